"""Trajectories: windows and groups, checked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numbered_trajectories import make_trajectories

from skhybrid.data.trajectories import (
    AUTO_LEARNED_WINDOW,
    AUTO_NETWORK_WINDOW,
    AUTO_WINDOW,
)
from skhybrid.data.trajectory_scales import trajectory_scales

RNG = np.random.default_rng(0)


# Overlapping windows that start at observed states


@pytest.mark.parametrize("window", [1, 3, 7, None])
def test_every_observed_state_with_enough_following_states_starts_a_window(window):
    trajectories = make_trajectories()
    rows = trajectories.windows(window, trajectory_scales(trajectories))
    n_steps = 7 if window is None else window
    starts = [(i, k) for i in range(3) for k in range(8 - n_steps)]
    assert len(rows) == len(starts)
    for row, (i, k) in enumerate(starts):
        np.testing.assert_array_equal(rows.x.first_state[row], trajectories.states[i, k])
        np.testing.assert_array_equal(rows.y[row], trajectories.states[i, k + 1 : k + 1 + n_steps])
        assert rows.x.first_time[row] == pytest.approx(0.1 * k)
    np.testing.assert_allclose(rows.x.steps, 0.1)
    assert rows.weight is None
    assert rows.x.index is None


@pytest.mark.parametrize("window", [1, 3, None])
def test_observed_targets_are_counted_once(window):
    trajectories = make_trajectories()
    trajectories.outputs[0, 7, 1] = np.nan
    rows = trajectories.windows(window, trajectory_scales(trajectories))
    length = rows.x.steps.shape[1]
    assert trajectories.n_targets(length, rows.kept) == 3 * 7 * 2 - 1


def test_auto_window_lengths():
    def chosen(trajectories):
        return trajectories.windows("auto", trajectory_scales(trajectories)).x.steps.shape[1]

    assert chosen(make_trajectories(2, 60)) == AUTO_WINDOW
    assert chosen(make_trajectories(2, 60, learned=True)) == AUTO_LEARNED_WINDOW
    assert chosen(make_trajectories(2, 4, learned=True)) == 3
    hidden = make_trajectories(2, 60, learned=True, states_observed=False)
    assert chosen(hidden) == AUTO_LEARNED_WINDOW
    assert chosen(replace(hidden, has_physics=False)) == AUTO_NETWORK_WINDOW
    assert chosen(make_trajectories(2, 2)) == 1


def test_window_longer_than_every_trajectory_raises_an_error():
    trajectories = make_trajectories()
    with pytest.raises(ValueError, match=r"window of 8 steps .* the longest has 7 steps"):
        trajectories.windows(8, trajectory_scales(trajectories))


def test_windows_do_not_start_at_incomplete_states():
    states = make_trajectories().states.copy()
    states[0, 2, 1] = np.nan
    states[1, :5] = np.nan
    trajectories = make_trajectories(states=states)
    rows = trajectories.windows(2, trajectory_scales(trajectories))
    starts = [(0, k) for k in (0, 1, 3, 4, 5)] + [(1, 5)] + [(2, k) for k in range(6)]
    expected = np.array([states[i, k] for i, k in starts])
    np.testing.assert_array_equal(rows.x.first_state, expected)
    wanted = np.array([states[i, k + 1 : k + 3] for i, k in starts])
    there = ~np.isnan(wanted)
    np.testing.assert_array_equal(rows.weight > 0, there)
    np.testing.assert_array_equal(rows.y[there], wanted[there])
    assert rows.weight.mean() == pytest.approx(1.0)
    assert np.ptp(rows.weight[there]) == pytest.approx(0.0)


def test_windows_without_observations_are_dropped():
    states = make_trajectories(1).states.copy()
    states[0, 3:6] = np.nan
    trajectories = make_trajectories(states=states)
    rows = trajectories.windows(2, trajectory_scales(trajectories))
    np.testing.assert_array_equal(rows.x.first_state, states[0, [0, 1]])


def test_trajectories_without_any_window_raise_an_error():
    states = make_trajectories(1).states.copy()
    states[0, ::2, 0] = np.nan
    states[0, 1::2, 1] = np.nan
    trajectories = make_trajectories(states=states)
    with pytest.raises(ValueError, match=r"no window to train on: .*initial_state='learned'"):
        trajectories.windows(2, trajectory_scales(trajectories))


@pytest.mark.parametrize("window", [2, 5, None])
def test_trajectories_of_different_lengths(window):
    trajectories = make_trajectories(lengths=[8, 4, 2])
    rows = trajectories.windows(window, trajectory_scales(trajectories))
    n_steps = 7 if window is None else window
    starts = [(i, k) for i, length in enumerate([8, 4, 2]) for k in range(max(1, length - n_steps))]
    assert len(rows) == len(starts)
    for row, (i, k) in enumerate(starts):
        n_inside = min(n_steps, trajectories.lengths[i] - 1 - k)
        np.testing.assert_array_equal(rows.x.first_state[row], trajectories.states[i, k])
        expected = trajectories.states[i, k + 1 : k + 1 + n_inside]
        np.testing.assert_array_equal(rows.y[row, :n_inside], expected)
        np.testing.assert_allclose(rows.x.steps[row, :n_inside], 0.1)
        np.testing.assert_array_equal(rows.x.steps[row, n_inside:], 0.0)
        assert (rows.weight[row, :n_inside] > 0).all()
        assert (rows.weight[row, n_inside:] == 0).all()


def test_windows_have_the_weight_of_their_trajectory_and_zero_weight_drops_them():
    trajectories = make_trajectories(weight=[1.0, 0.0, 3.0])
    rows = trajectories.windows(4, trajectory_scales(trajectories))
    assert set(rows.x.first_state[:, 0] // 100) == {0.0, 2.0}
    heavy = rows.x.first_state[:, 0] >= 200
    assert rows.weight[heavy].mean() == pytest.approx(3.0 * rows.weight[~heavy].mean())


def test_windows_have_the_inputs_at_their_own_times():
    inputs = RNG.normal(size=(2, 8, 3))
    trajectories = make_trajectories(2, inputs=inputs, n_inputs=3)
    rows = trajectories.windows(5, trajectory_scales(trajectories))
    for row, (i, k) in enumerate((i, k) for i in range(2) for k in range(3)):
        np.testing.assert_array_equal(rows.x.inputs[row], inputs[i, k : k + 6])


def test_windows_of_fields():
    states = RNG.normal(size=(2, 6, 2, 3, 4))
    trajectories = make_trajectories(2, 6, states=states, state_shape=(2, 3, 4))
    rows = trajectories.windows(2, trajectory_scales(trajectories))
    assert rows.x.first_state.shape == (8, 2, 3, 4)
    np.testing.assert_array_equal(rows.y[5], states[1, 2:4])


# Consecutive windows with learned first states


def test_windows_with_learned_first_states_follow_each_other():
    trajectories = make_trajectories(lengths=[8, 4], learned=True)
    scales = trajectory_scales(trajectories)
    rows = trajectories.windows(3, scales)
    starts = [(0, 0), (0, 3), (0, 6), (1, 0)]
    np.testing.assert_array_equal(rows.x.index, [0, 1, 2, 3])
    np.testing.assert_array_equal(rows.x.next_index, [1, 2, -1, -1])
    expected = np.array([trajectories.states[i, k] for i, k in starts])
    np.testing.assert_array_equal(rows.x.first_state, expected)
    np.testing.assert_array_equal(rows.x.next_state[:2], rows.x.first_state[1:3])
    np.testing.assert_allclose(rows.x.unit, np.tile(scales.state_scale.numpy(), (4, 1)))
    np.testing.assert_array_equal(rows.x.next_unit[:2], rows.x.unit[1:3])
    n_inside = [4, 4, 2, 4]  # the state that two windows share counts in both
    for row, ((i, k), n) in enumerate(zip(starts, n_inside, strict=True)):
        np.testing.assert_array_equal(rows.y[row, :n], trajectories.outputs[i, k : k + n])
        np.testing.assert_array_equal(
            rows.weight[row] > 0, np.repeat((np.arange(4) < n)[:, None], 2, 1)
        )


def test_exact_first_states_are_not_learned():
    trajectories = make_trajectories(2, learned=True)
    trajectories = replace(trajectories, known_first=np.ones((2, 2), dtype=bool))
    rows = trajectories.windows(3, trajectory_scales(trajectories))
    held = rows.x.first_time == 0.0
    assert held.sum() == 2
    assert (rows.x.unit[held] == 0.0).all()
    assert (rows.x.unit[~held] > 0.0).all()
    followed = rows.x.next_index >= 0
    np.testing.assert_array_equal(
        rows.x.next_unit[followed], rows.x.unit[rows.x.next_index[followed]]
    )


def test_windows_without_outputs_stay_if_first_states_are_learned():
    states = make_trajectories(2, 10).states
    outputs = states.copy()
    outputs[0, 3:7] = np.nan
    trajectories = make_trajectories(2, 10, states=states, outputs=outputs, learned=True)
    rows = trajectories.windows(3, trajectory_scales(trajectories))
    np.testing.assert_array_equal(rows.x.next_index, [1, 2, -1, 4, 5, -1])
    assert (rows.weight[1] == 0).all()


# Groups


def test_groups_are_trajectories_or_blocks_of_one_long_record():
    many = make_trajectories(6)
    groups = many.windows(3, trajectory_scales(many)).groups
    np.testing.assert_array_equal(groups, np.repeat(np.arange(6), 5))
    one = make_trajectories(1, 105)
    groups = one.windows(5, trajectory_scales(one)).groups
    assert len(groups) == 100
    np.testing.assert_array_equal(np.bincount(groups), np.full(20, 5))
    assert (np.diff(groups) >= 0).all()


@pytest.mark.parametrize("lengths", [[8, 8, 8], [8, 5, 6]])
def test_states_along_windows_become_the_guesses(lengths):
    trajectories = make_trajectories(lengths=lengths, weight=[1.0, 0.0, 1.0], learned=True)
    rows = trajectories.windows(3, trajectory_scales(trajectories))
    along = np.arange(len(rows))[:, None, None] + 0.1 * np.arange(4)[:, None] + np.zeros(2)
    moved = trajectories.at_states(along, rows.kept)
    np.testing.assert_array_equal(
        moved.windows(3, trajectory_scales(trajectories)).x.first_state, along[:, 0]
    )
    # The end of a window is where the next one begins.
    expected = [0.0, 0.1, 0.2, 1.0, 1.1, 1.2, 2.0, 2.1]
    np.testing.assert_allclose(moved.states[0, :, 0], expected)
    np.testing.assert_array_equal(moved.states[1], trajectories.states[1])
