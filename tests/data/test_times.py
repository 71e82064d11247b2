"""Times of trajectories."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.data.times import padded, read_times, uniform_step
from skhybrid.model.ode import ODE


def test_times_from_dt():
    times = read_times(ODE(dt=0.5), 2, np.array([4, 2]), False, None)
    np.testing.assert_allclose(times, [[0.0, 0.5, 1.0, 1.5], [0.0, 0.5, 0.5, 0.5]])


@pytest.mark.parametrize("given", [[0.3, 0.4, 1.0], [0.0, 0.3, 0.4, 1.0]])
def test_times_shared_by_all_trajectories(given):
    times = read_times(ODE(times=given), 2, np.array([4, 3]), False, None)
    np.testing.assert_allclose(times, [[0.0, 0.3, 0.4, 1.0], [0.0, 0.3, 0.4, 0.4]])


def test_times_of_each_trajectory():
    ode = ODE(times=[[1.0, 2.0, 4.0], [0.5]])
    times = read_times(ode, 2, np.array([4, 2]), False, None)
    np.testing.assert_allclose(times, [[0.0, 1.0, 2.0, 4.0], [0.0, 0.5, 0.5, 0.5]])


def test_times_in_a_column_of_the_inputs():
    column = np.array([[3.0, 4.0, 6.0], [1.0, 2.0, np.nan]])
    times = read_times(ODE(times=0), 2, np.array([3, 2]), True, column)
    np.testing.assert_allclose(times, [[3.0, 4.0, 6.0], [1.0, 2.0, 2.0]])


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0.1, 0.2], "ODE has 2 times, but the longest trajectory in y has 3"),
        ([0.1, 0.3, 0.3], "in trajectory 0 time 0.3 is followed by 0.3"),
        ([0.1, 0.3, 0.2], "in trajectory 0 time 0.3 is followed by 0.2. Sort each trajectory"),
        ([0.0, 0.1, 0.2], "in trajectory 0 time 0 is followed by 0"),
        ([-1.0, 0.1, 0.2], "in trajectory 0 time 0 is followed by -1"),
        ([0.1, np.nan, 0.2], "Times must be finite"),
        ([0.1, 0.2, np.inf], r"Times must be finite; trajectory 0 .* inf"),
        ([[0.1, 0.2, 0.3]], "times of 1 trajectories, but there are 2"),
        ([[0.1, 0.2, 0.3], [0.1]], "Trajectory 1 has 2 observations, but 1 times"),
        ([[0.1, 0.2, 0.3], [0.5, 0.2]], "in trajectory 1 time 0.5 is followed by 0.2"),
    ],
)
def test_invalid_times_raise_an_error(times, message):
    with pytest.raises(ValueError, match=message):
        read_times(ODE(times=times), 2, np.array([4, 3]), False, None)


def test_uniform_step():
    times = np.array([[0.0, 0.1, 0.2], [5.0, 5.1, 5.2]])
    lengths = np.array([3, 3])
    assert uniform_step(times, lengths) == pytest.approx(0.1)
    assert uniform_step(times, np.array([3, 2])) is None
    assert uniform_step(np.array([[0.0, 0.1, 0.25]]), np.array([3])) is None


def test_padding_fills_the_end_of_shorter_arrays():
    whole = padded([np.ones((2, 1)), np.full((3, 1), 2.0)], -1.0)
    np.testing.assert_array_equal(whole[..., 0], [[1.0, 1.0, -1.0], [2.0, 2.0, 2.0]])
    whole = padded([np.array([[1.0], [3.0]]), np.full((3, 1), 2.0)], None)
    np.testing.assert_array_equal(whole[..., 0], [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
