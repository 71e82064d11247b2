"""Trajectories cut into windows, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.data.times import padded, read_times, uniform_step
from skhybrid.data.trajectories import (
    AUTO_LEARNED_WINDOW,
    AUTO_WINDOW,
    Trajectories,
    windows_at_learned_states,
    initial_states,
)
from skhybrid.model.layout import Layout
from skhybrid.model.ode import ODE

RNG = np.random.default_rng(0)


def make_trajectories(n=3, n_times=8, *, lengths=None, weight=None, states=None, **options):
    """Return trajectories of two states whose values tell where they come from."""
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


# Windows that overlap


@pytest.mark.parametrize("window", [1, 3, 7, None])
def test_every_observed_state_that_is_followed_by_enough_others_starts_a_window(window):
    trajectories = make_trajectories()
    rows = trajectories.windows(window, trajectories.scales())
    n_steps = 7 if window is None else window
    starts = [(i, k) for i in range(3) for k in range(8 - n_steps)]
    assert len(rows) == len(starts)
    for row, (i, k) in enumerate(starts):
        np.testing.assert_array_equal(rows.x.start[row], trajectories.states[i, k])
        np.testing.assert_array_equal(rows.y[row], trajectories.states[i, k + 1 : k + 1 + n_steps])
        assert rows.x.origin[row] == pytest.approx(0.1 * k)
    np.testing.assert_allclose(rows.x.steps, 0.1)
    assert rows.weight is None
    assert rows.x.entry is None


def test_the_window_that_is_chosen_for_one():
    def chosen(trajectories):
        return trajectories.windows("auto", trajectories.scales()).x.steps.shape[1]

    assert chosen(make_trajectories(2, 60)) == AUTO_WINDOW
    assert chosen(make_trajectories(2, 60, learned=True)) == AUTO_LEARNED_WINDOW
    assert chosen(make_trajectories(2, 4, learned=True)) == 3
    assert chosen(make_trajectories(2, 2)) == 1


def test_a_window_longer_than_every_trajectory():
    trajectories = make_trajectories()
    with pytest.raises(ValueError, match=r"window of 8 steps .* the longest has 7 steps"):
        trajectories.windows(8, trajectories.scales())


def test_windows_do_not_start_at_states_of_which_a_part_is_missing():
    states = make_trajectories().states.copy()
    states[0, 2, 1] = np.nan
    states[1, :5] = np.nan
    trajectories = make_trajectories(states=states)
    rows = trajectories.windows(2, trajectories.scales())
    starts = [(0, k) for k in (0, 1, 3, 4, 5)] + [(1, 5)] + [(2, k) for k in range(6)]
    expected = np.array([states[i, k] for i, k in starts])
    np.testing.assert_array_equal(rows.x.start, expected)
    wanted = np.array([states[i, k + 1 : k + 3] for i, k in starts])
    there = ~np.isnan(wanted)
    np.testing.assert_array_equal(rows.weight > 0, there)
    np.testing.assert_array_equal(rows.y[there], wanted[there])
    assert rows.weight.mean() == pytest.approx(1.0)
    assert np.ptp(rows.weight[there]) == pytest.approx(0.0)


def test_windows_in_which_nothing_is_observed_are_left_out():
    states = make_trajectories(1).states.copy()
    states[0, 3:6] = np.nan
    trajectories = make_trajectories(states=states)
    rows = trajectories.windows(2, trajectories.scales())
    np.testing.assert_array_equal(rows.x.start, states[0, [0, 1]])


def test_no_window_at_all():
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
        np.testing.assert_array_equal(rows.x.start[row], trajectories.states[i, k])
        expected = trajectories.states[i, k + 1 : k + 1 + n_inside]
        np.testing.assert_array_equal(rows.y[row, :n_inside], expected)
        np.testing.assert_allclose(rows.x.steps[row, :n_inside], 0.1)
        np.testing.assert_array_equal(rows.x.steps[row, n_inside:], 0.0)
        assert (rows.weight[row, :n_inside] > 0).all()
        assert (rows.weight[row, n_inside:] == 0).all()


def test_weights_belong_to_trajectories_and_zero_leaves_one_out():
    trajectories = make_trajectories(weight=[1.0, 0.0, 3.0])
    rows = trajectories.windows(4, trajectories.scales())
    assert set(rows.x.start[:, 0] // 100) == {0.0, 2.0}
    heavy = rows.x.start[:, 0] >= 200
    assert rows.weight[heavy].mean() == pytest.approx(3.0 * rows.weight[~heavy].mean())


def test_inputs_are_those_of_the_times_of_the_window():
    inputs = RNG.normal(size=(2, 8, 3))
    trajectories = make_trajectories(2, inputs=inputs, n_inputs=3)
    rows = trajectories.windows(5, trajectories.scales())
    for row, (i, k) in enumerate((i, k) for i in range(2) for k in range(3)):
        np.testing.assert_array_equal(rows.x.inputs[row], inputs[i, k : k + 6])


def test_windows_of_fields():
    states = RNG.normal(size=(2, 6, 2, 3, 4))
    trajectories = make_trajectories(2, 6, states=states, state_shape=(2, 3, 4))
    rows = trajectories.windows(2, trajectories.scales())
    assert rows.x.start.shape == (8, 2, 3, 4)
    np.testing.assert_array_equal(rows.y[5], states[1, 2:4])


# Windows one after another


def test_windows_with_learned_first_states_follow_each_other():
    trajectories = make_trajectories(lengths=[8, 4], learned=True)
    scales = trajectories.scales()
    rows = trajectories.windows(3, scales)
    starts = [(0, 0), (0, 3), (0, 6), (1, 0)]
    np.testing.assert_array_equal(rows.x.entry, [0, 1, 2, 3])
    np.testing.assert_array_equal(rows.x.following, [1, 2, -1, -1])
    expected = np.array([trajectories.states[i, k] for i, k in starts])
    np.testing.assert_array_equal(rows.x.start, expected)
    np.testing.assert_array_equal(rows.x.end[:2], rows.x.start[1:3])
    np.testing.assert_allclose(rows.x.reach, np.tile(scales.state_scale.numpy(), (4, 1)))
    np.testing.assert_array_equal(rows.x.end_reach[:2], rows.x.reach[1:3])
    n_inside = [4, 4, 2, 4]  # the state that two windows share counts in both
    for row, ((i, k), n) in enumerate(zip(starts, n_inside, strict=True)):
        np.testing.assert_array_equal(rows.y[row, :n], trajectories.outputs[i, k : k + n])
        np.testing.assert_array_equal(
            rows.weight[row] > 0, np.repeat((np.arange(4) < n)[:, None], 2, 1)
        )


def test_a_first_state_that_is_known_is_held():
    trajectories = make_trajectories(2, learned=True)
    object.__setattr__(trajectories, "first_is_exact", True)
    rows = trajectories.windows(3, trajectories.scales())
    held = rows.x.origin == 0.0
    assert held.sum() == 2
    assert (rows.x.reach[held] == 0.0).all()
    assert (rows.x.reach[~held] > 0.0).all()
    followed = rows.x.following >= 0
    np.testing.assert_array_equal(
        rows.x.end_reach[followed], rows.x.reach[rows.x.following[followed]]
    )


def test_windows_without_outputs_stay_where_they_bridge_a_gap():
    states = make_trajectories(2, 10).states
    outputs = states.copy()
    outputs[0, 3:7] = np.nan
    trajectories = make_trajectories(2, 10, states=states, outputs=outputs, learned=True)
    rows = trajectories.windows(3, trajectories.scales())
    np.testing.assert_array_equal(rows.x.following, [1, 2, -1, 4, 5, -1])
    assert (rows.weight[1] == 0).all()


def test_learned_states_are_where_learning_goes_on():
    trajectories = make_trajectories(lengths=[8, 4], learned=True)
    rows = trajectories.windows(3, trajectories.scales())
    table = RNG.normal(size=(4, 2))
    learned = rows.x.start + rows.x.reach * table
    first = trajectories.first_indices(3)
    np.testing.assert_array_equal(first, [0, 3])
    np.testing.assert_allclose(initial_states(rows, table, first), learned[[0, 3]])
    spread = np.array([5.0, 7.0])
    for given, reach in ((None, rows.x.reach), (spread, np.tile(spread, (4, 1)))):
        moved = windows_at_learned_states(rows, table, given)
        np.testing.assert_allclose(moved.x.start, learned)
        np.testing.assert_allclose(moved.x.end[:2], learned[1:3])
        np.testing.assert_allclose(moved.x.reach, reach)
    np.testing.assert_allclose(initial_states(moved, np.zeros((4, 2)), first), learned[[0, 3]])


# Scales and groups


def test_scales_by_hand_with_weights_and_missing_values():
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
        spread = np.sqrt(np.average((column[there] - mean) ** 2, weights=every[there]))
        assert float(scales.target_mean[component]) == pytest.approx(mean)
        assert float(scales.target_scale[component]) == pytest.approx(spread)
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


def test_rates_are_those_between_the_values_that_are_there():
    states = RNG.normal(size=(2, 7, 2))
    states[:, 1::2, 0] = np.nan
    scales = make_trajectories(states=states).scales()
    rates = np.diff(states[:, ::2, 0], axis=1) / 0.2
    assert float(scales.rate_scale[0]) == pytest.approx(np.sqrt(np.mean(rates**2)))


def test_what_never_changes_has_a_rate_of_one():
    states = RNG.normal(size=(2, 7, 2))
    states[..., 1] = 3.0
    assert float(make_trajectories(states=states).scales().rate_scale[1]) == 1.0


def test_scales_of_fields_are_those_of_channels():
    states = RNG.normal(size=(2, 6, 2, 3, 4)) * np.array([1.0, 9.0])[:, None, None]
    scales = make_trajectories(2, 6, states=states, state_shape=(2, 3, 4)).scales()
    assert scales.target_scale.shape == (2, 1, 1)
    expected = states.std(axis=(0, 1, 3, 4))
    np.testing.assert_allclose(scales.state_scale.flatten(), expected)


def test_an_output_that_is_never_observed_is_named():
    states = make_trajectories().states
    states[..., 1] = np.nan
    with pytest.raises(ValueError, match="Output 1 of y is missing everywhere"):
        make_trajectories(states=states).scales()


def test_trajectories_are_held_out_whole_and_a_long_record_in_blocks():
    many = make_trajectories(6)
    groups = many.windows(3, many.scales()).groups
    np.testing.assert_array_equal(groups, np.repeat(np.arange(6), 5))
    one = make_trajectories(1, 105)
    groups = one.windows(5, one.scales()).groups
    assert len(groups) == 100
    np.testing.assert_array_equal(np.bincount(groups), np.full(20, 5))
    assert (np.diff(groups) >= 0).all()


# Times


def test_times_from_dt():
    times = read_times(ODE(dt=0.5), 2, np.array([4, 2]), False, None)
    np.testing.assert_allclose(times, [[0.0, 0.5, 1.0, 1.5], [0.0, 0.5, 0.5, 0.5]])


@pytest.mark.parametrize("given", [[0.3, 0.4, 1.0], [0.0, 0.3, 0.4, 1.0]])
def test_times_for_all(given):
    times = read_times(ODE(times=given), 2, np.array([4, 3]), False, None)
    np.testing.assert_allclose(times, [[0.0, 0.3, 0.4, 1.0], [0.0, 0.3, 0.4, 0.4]])


def test_times_of_each():
    ode = ODE(times=[[1.0, 2.0, 4.0], [0.5]])
    times = read_times(ode, 2, np.array([4, 2]), False, None)
    np.testing.assert_allclose(times, [[0.0, 1.0, 2.0, 4.0], [0.0, 0.5, 0.5, 0.5]])


def test_times_that_came_with_the_inputs():
    column = np.array([[3.0, 4.0, 6.0], [1.0, 2.0, np.nan]])
    times = read_times(ODE(times=0), 2, np.array([3, 2]), True, column)
    np.testing.assert_allclose(times, [[3.0, 4.0, 6.0], [1.0, 2.0, 2.0]])


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.1, 0.2], "ODE has 2 times, but the longest trajectory in y has 3"),
        ([0.1, 0.3, 0.3], "in trajectory 0 time 0.3 is followed by 0.3"),
        ([0.1, 0.3, 0.2], "in trajectory 0 time 0.3 is followed by 0.2"),
        ([0.0, 0.1, 0.2], "in trajectory 0 time 0 is followed by 0"),
        ([-1.0, 0.1, 0.2], "in trajectory 0 time 0 is followed by -1"),
        ([0.1, np.nan, 0.2], "Times must increase"),
        ([[0.1, 0.2, 0.3]], "times of 1 trajectories, but there are 2"),
        ([[0.1, 0.2, 0.3], [0.1]], "Trajectory 1 has 2 observations, but 1 times"),
        ([[0.1, 0.2, 0.3], [0.5, 0.2]], "in trajectory 1 time 0.5 is followed by 0.2"),
    ],
)
def test_times_that_cannot_be(times, message):
    with pytest.raises(ValueError, match=message):
        read_times(ODE(times=times), 2, np.array([4, 3]), False, None)


def test_the_step_that_is_the_same_everywhere():
    times = np.array([[0.0, 0.1, 0.2], [5.0, 5.1, 5.2]])
    lengths = np.array([3, 3])
    assert uniform_step(times, lengths) == pytest.approx(0.1)
    assert uniform_step(times, np.array([3, 2])) is None
    assert uniform_step(np.array([[0.0, 0.1, 0.25]]), np.array([3])) is None


def test_padding_fills_up_at_the_end():
    whole = padded([np.ones((2, 1)), np.full((3, 1), 2.0)], -1.0)
    np.testing.assert_array_equal(whole[..., 0], [[1.0, 1.0, -1.0], [2.0, 2.0, 2.0]])
