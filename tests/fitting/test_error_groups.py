"""Which values of a fit have independent errors."""

from __future__ import annotations

import numpy as np
import pytest
from small_trajectories import SmallTrajectories, make_oscillations

from skhybrid.fitting.error_groups import BLOCK_WINDOWS, MAX_BLOCKS, error_groups


def groups(n, n_times=12, **structure):
    small = SmallTrajectories(*make_oscillations(n, n_times), **structure)
    return small, error_groups(small.inputs.trajectories, small.rows)


def test_values_of_a_table_are_independent():
    assert error_groups(None, None).kind == "values"
    assert error_groups(None, None).number == 0


@pytest.mark.parametrize(
    ("n", "structure", "kind"),
    [
        (6, {"window": 2}, "trajectories"),
        (6, {"window": 5, "initial_state": "learned"}, "trajectories"),
        (6, {"window": None}, "trajectories"),
        (6, {"window": None, "initial_state": "learned"}, "values"),
        (2, {"window": None}, "rollouts"),
        (2, {"window": 2}, "blocks"),
    ],
)
def test_windows_of_one_trajectory_depend_on_each_other(n, structure, kind):
    small, found = groups(n, **structure)
    assert found.kind == kind
    if kind == "trajectories":
        assert found.number == n
        assert np.bincount(found.of_window).tolist() == [len(small.rows) // n] * n


@pytest.mark.parametrize("n_times", [40, 600])
def test_blocks_are_parts_of_one_trajectory(n_times):
    small, found = groups(3, n_times=n_times, window=2)
    per_trajectory = len(small.rows) // 3
    of_each = found.of_window.reshape(3, per_trajectory)
    assert not set(of_each[0]) & set(of_each[1])
    assert (np.diff(of_each, axis=1) >= 0).all()
    assert np.bincount(found.of_window).min() >= BLOCK_WINDOWS * 2 - 2
    assert 3 <= found.number <= MAX_BLOCKS
