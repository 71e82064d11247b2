"""Trajectories: windows, scales and groups, checked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skhybrid.data.rows import Rows
from skhybrid.data.trajectories import (
    AUTO_LEARNED_WINDOW,
    AUTO_NETWORK_WINDOW,
    AUTO_WINDOW,
    Trajectories,
    initial_states,
    windows_at_learned_states,
)
from skhybrid.model.batch import Windows
from skhybrid.model.layout import Layout

RNG = np.random.default_rng(0)


def make_trajectories(n=3, n_times=8, *, lengths=None, weight=None, states=None, **options):
    """Return trajectories of two states whose values identify trajectory and time."""
    if states is not None:
        n, n_times = states.shape[:2]
    lengths = np.full(n, n_times) if lengths is None else np.array(lengths)
    n, n_times = len(lengths), int(lengths.max())
    if states is None:
        number = np.arange(n)[:, None, None]
        states = 100.0 * number + np.arange(n_times)[:, None] + [0.0, 0.5]
    for i, length in enumerate(lengths):
        states[i, length:] = np.nan
    times = np.broadcast_to(0.1 * np.arange(n_times), (n, n_times)).copy()
    for i, length in enumerate(lengths):
        times[i, length:] = times[i, length - 1]
    inputs = options.pop("inputs", None)
    outputs = options.pop("outputs", states)
    learned = options.get("learned", False)
    layout = {"state_shape": (2,), "output_shape": outputs.shape[2:], "with_first": learned}
    return Trajectories(
        states=np.nan_to_num(states) if learned else states,
        times=times,
        outputs=outputs,
        inputs=inputs,
        lengths=lengths,
        weight=np.ones(n) if weight is None else np.array(weight, dtype=float),
        layout=Layout(**{**layout, **options}),
    )


# Overlapping windows that start at observed states


@pytest.mark.parametrize("window", [1, 3, 7, None])
def test_every_observed_state_with_enough_following_states_starts_a_window(window):
    trajectories = make_trajectories()
    rows = trajectories.windows(window, trajectories.scales())
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
    rows = trajectories.windows(window, trajectories.scales())
    length = rows.x.steps.shape[1]
    assert trajectories.n_targets(length, rows.kept) == 3 * 7 * 2 - 1


def test_outliers_do_not_inflate_robust_scales():
    swing = np.sin(0.3 * np.arange(60))[:, None] + [0.0, 0.5]
    states = np.stack([swing] * 3)
    outlying = states.copy()
    outlying[0, ::10] = 1e4
    before = make_trajectories(states=states).scales(robust=True)
    after = make_trajectories(states=outlying).scales(robust=True)
    for name in ("target_scale", "state_scale", "rate_scale"):
        ratio = getattr(after, name) / getattr(before, name)
        assert 0.7 < float(ratio.min()) <= float(ratio.max()) < 1.4


def test_auto_window_lengths():
    def chosen(trajectories):
        return trajectories.windows("auto", trajectories.scales()).x.steps.shape[1]

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
        trajectories.windows(8, trajectories.scales())


def test_windows_do_not_start_at_incomplete_states():
    states = make_trajectories().states.copy()
    states[0, 2, 1] = np.nan
    states[1, :5] = np.nan
    trajectories = make_trajectories(states=states)
    rows = trajectories.windows(2, trajectories.scales())
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
    rows = trajectories.windows(2, trajectories.scales())
    np.testing.assert_array_equal(rows.x.first_state, states[0, [0, 1]])


def test_trajectories_without_any_window_raise_an_error():
    states = make_trajectories(1).states.copy()
    states[0, ::2, 0] = np.nan
    states[0, 1::2, 1] = np.nan
    trajectories = make_trajectories(states=states)
    with pytest.raises(ValueError, match=r"no window to train on: .*initial_state='learned'"):
        trajectories.windows(2, trajectories.scales())


@pytest.mark.parametrize("window", [2, 5, None])
def test_trajectories_of_different_lengths(window):
    trajectories = make_trajectories(lengths=[8, 4, 2])
    rows = trajectories.windows(window, trajectories.scales())
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
    rows = trajectories.windows(4, trajectories.scales())
    assert set(rows.x.first_state[:, 0] // 100) == {0.0, 2.0}
    heavy = rows.x.first_state[:, 0] >= 200
    assert rows.weight[heavy].mean() == pytest.approx(3.0 * rows.weight[~heavy].mean())


def test_windows_have_the_inputs_at_their_own_times():
    inputs = RNG.normal(size=(2, 8, 3))
    trajectories = make_trajectories(2, inputs=inputs, n_inputs=3)
    rows = trajectories.windows(5, trajectories.scales())
    for row, (i, k) in enumerate((i, k) for i in range(2) for k in range(3)):
        np.testing.assert_array_equal(rows.x.inputs[row], inputs[i, k : k + 6])


def test_windows_of_fields():
    states = RNG.normal(size=(2, 6, 2, 3, 4))
    trajectories = make_trajectories(2, 6, states=states, state_shape=(2, 3, 4))
    rows = trajectories.windows(2, trajectories.scales())
    assert rows.x.first_state.shape == (8, 2, 3, 4)
    np.testing.assert_array_equal(rows.y[5], states[1, 2:4])


# Consecutive windows with learned first states


def test_windows_with_learned_first_states_follow_each_other():
    trajectories = make_trajectories(lengths=[8, 4], learned=True)
    scales = trajectories.scales()
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
    rows = trajectories.windows(3, trajectories.scales())
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
    rows = trajectories.windows(3, trajectories.scales())
    np.testing.assert_array_equal(rows.x.next_index, [1, 2, -1, 4, 5, -1])
    assert (rows.weight[1] == 0).all()


def test_learning_continues_from_learned_states():
    trajectories = make_trajectories(lengths=[8, 4], learned=True)
    rows = trajectories.windows(3, trajectories.scales())
    coordinates = RNG.normal(size=(4, 2))
    learned = rows.x.first_state + rows.x.unit * coordinates
    first = trajectories.first_indices(3)
    np.testing.assert_array_equal(first, [0, 3])
    np.testing.assert_allclose(initial_states(rows, coordinates, first), learned[[0, 3]])
    std = np.array([5.0, 7.0])
    for given, unit in ((None, rows.x.unit), (std, np.tile(std, (4, 1)))):
        moved = windows_at_learned_states(rows, coordinates, given)
        np.testing.assert_allclose(moved.x.first_state, learned)
        np.testing.assert_allclose(moved.x.next_state[:2], learned[1:3])
        np.testing.assert_allclose(moved.x.unit, unit)
    np.testing.assert_allclose(initial_states(moved, np.zeros((4, 2)), first), learned[[0, 3]])


# Scales


def test_scales_with_weights_and_missing_values():
    states = RNG.normal(size=(3, 6, 2)) * [1.0, 5.0] + [2.0, -3.0]
    states[0, 2, 1] = np.nan
    weight = np.array([1.0, 2.0, 0.0])
    trajectories = make_trajectories(3, 6, states=states, weight=weight)
    scales = trajectories.scales()
    every = np.repeat(weight[:, None], 6, axis=1).ravel()
    for component in range(2):
        column = states[..., component].ravel()
        there = ~np.isnan(column)
        mean = np.average(column[there], weights=every[there])
        std = np.sqrt(np.average((column[there] - mean) ** 2, weights=every[there]))
        assert float(scales.target_mean[component]) == pytest.approx(mean)
        assert float(scales.target_scale[component]) == pytest.approx(std)
        assert float(scales.state_mean[component]) == pytest.approx(mean)
        squares, by_rate = [], []
        for values, w in zip(states[..., component], weight, strict=True):
            at = np.flatnonzero(~np.isnan(values))
            squares += list((np.diff(values[at]) / (0.1 * np.diff(at))) ** 2)
            by_rate += [w] * (len(at) - 1)
        size = np.sqrt(np.average(squares, weights=by_rate))
        assert float(scales.rate_scale[component]) == pytest.approx(size)


def test_padding_does_not_count_in_the_scales():
    scales = make_trajectories(lengths=[8, 3]).scales()
    values = np.concatenate([np.arange(8.0), 100.0 + np.arange(3)])
    assert float(scales.target_mean[0]) == pytest.approx(values.mean())
    assert float(scales.target_scale[0]) == pytest.approx(values.std())
    assert scales.rate_scale.tolist() == pytest.approx([10.0, 10.0])


def test_rates_are_differences_between_observed_values():
    states = RNG.normal(size=(2, 7, 2))
    states[:, 1::2, 0] = np.nan
    scales = make_trajectories(states=states).scales()
    rates = np.diff(states[:, ::2, 0], axis=1) / 0.2
    assert float(scales.rate_scale[0]) == pytest.approx(np.sqrt(np.mean(rates**2)))


def test_constant_states_have_rate_scale_one():
    states = RNG.normal(size=(2, 7, 2))
    states[..., 1] = 3.0
    assert float(make_trajectories(states=states).scales().rate_scale[1]) == 1.0


@pytest.mark.parametrize("observed", [True, False])
def test_free_states_have_unit_one_and_the_speed_of_the_others(observed):
    states = RNG.normal(size=(2, 7, 2)) * [1.0, 50.0]
    plain = make_trajectories(states=states, learned=True, states_observed=observed).scales()
    free = np.concatenate([states, np.zeros((2, 7, 2))], axis=2)
    options = {"learned": True, "states_observed": observed, "outputs": states}
    more = {"state_shape": (4,), "n_free_states": 2}
    scales = make_trajectories(states=free, **options, **more).scales()
    assert scales.state_scale.tolist() == [*plain.state_scale.tolist(), 1.0, 1.0]
    assert scales.state_mean.tolist() == [*plain.state_mean.tolist(), 0.0, 0.0]
    speeds = (plain.rate_scale / plain.state_scale).tolist()
    assert scales.rate_scale[:2].tolist() == plain.rate_scale.tolist()
    assert scales.rate_scale[2:].tolist() == pytest.approx([np.sqrt(np.prod(speeds))] * 2)
    constant = make_trajectories(states=0.0 * free, **{**options, "outputs": 0.0 * states}, **more)
    assert np.isfinite(constant.scales().rate_scale).all()


def test_fields_have_one_scale_per_channel():
    states = RNG.normal(size=(2, 6, 2, 3, 4)) * np.array([1.0, 9.0])[:, None, None]
    scales = make_trajectories(2, 6, states=states, state_shape=(2, 3, 4)).scales()
    assert scales.target_scale.shape == (2, 1, 1)
    expected = states.std(axis=(0, 1, 3, 4))
    np.testing.assert_allclose(scales.state_scale.flatten(), expected)


def test_error_names_an_output_that_is_never_observed():
    states = make_trajectories().states
    states[..., 1] = np.nan
    with pytest.raises(ValueError, match="Output 1 of y is missing everywhere"):
        make_trajectories(states=states).scales()


# Groups


def test_groups_are_trajectories_or_blocks_of_one_long_record():
    many = make_trajectories(6)
    groups = many.windows(3, many.scales()).groups
    np.testing.assert_array_equal(groups, np.repeat(np.arange(6), 5))
    one = make_trajectories(1, 105)
    groups = one.windows(5, one.scales()).groups
    assert len(groups) == 100
    np.testing.assert_array_equal(np.bincount(groups), np.full(20, 5))
    assert (np.diff(groups) >= 0).all()


@pytest.mark.parametrize("lengths", [[8, 8, 8], [8, 5, 6]])
def test_states_along_windows_become_the_guesses(lengths):
    trajectories = make_trajectories(lengths=lengths, weight=[1.0, 0.0, 1.0], learned=True)
    rows = trajectories.windows(3, trajectories.scales())
    along = np.arange(len(rows))[:, None, None] + 0.1 * np.arange(4)[:, None] + np.zeros(2)
    moved = trajectories.at_states(along, rows.kept)
    np.testing.assert_array_equal(
        moved.windows(3, trajectories.scales()).x.first_state, along[:, 0]
    )
    # The end of a window is where the next one begins.
    expected = [0.0, 0.1, 0.2, 1.0, 1.1, 1.2, 2.0, 2.1]
    np.testing.assert_allclose(moved.states[0, :, 0], expected)
    np.testing.assert_array_equal(moved.states[1], trajectories.states[1])


def test_the_last_trajectories_may_have_no_rows():
    first = np.arange(3.0)[:, None]
    x = Windows(first, np.zeros(3), np.ones((3, 2)), index=np.arange(3), unit=np.ones((3, 1)))
    states = initial_states(Rows(x, first, None), np.ones((3, 1)), np.array([0, 2, 4]))
    np.testing.assert_array_equal(states, [[1.0], [3.0], [np.nan]])
