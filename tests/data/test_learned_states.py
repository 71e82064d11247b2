"""Learned first states of windows."""

from __future__ import annotations

import numpy as np
from numbered_trajectories import make_trajectories

from skhybrid.data.learned_states import initial_states, windows_at_learned_states
from skhybrid.data.rows import Rows
from skhybrid.data.trajectory_scales import trajectory_scales
from skhybrid.model.batch import Windows

RNG = np.random.default_rng(0)


def test_learning_continues_from_learned_states():
    trajectories = make_trajectories(lengths=[8, 4], learned=True)
    rows = trajectories.windows(3, trajectory_scales(trajectories))
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


def test_the_last_trajectories_may_have_no_rows():
    first = np.arange(3.0)[:, None]
    x = Windows(first, np.zeros(3), np.ones((3, 2)), index=np.arange(3), unit=np.ones((3, 1)))
    states = initial_states(Rows(x, first, None), np.ones((3, 1)), np.array([0, 2, 4]))
    np.testing.assert_array_equal(states, [[1.0], [3.0], [np.nan]])
