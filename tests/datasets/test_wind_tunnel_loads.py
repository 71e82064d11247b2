"""Loads and hatch of the simulated wind tunnel: impulses, steps and walks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skhybrid.datasets import make_wind_tunnel

LOADS = ["impulses", "steps", "walk"]


@pytest.mark.parametrize("loads", LOADS)
def test_ranges(loads):
    data = make_wind_tunnel(30, 200, loads=loads, random_state=0).data
    low, high = data.min(axis=(0, 1)), data.max(axis=(0, 1))
    assert (low >= [0.01, 0.01, 0.0]).all()
    assert (high <= [1.0, 1.0, 45.0]).all()
    assert (high - low > [0.9, 0.9, 35.0]).all()


def test_impulses():
    data = make_wind_tunnel(10, random_state=0).data
    assert_array_equal(data[:, :5, 0], 0.01)
    assert_array_equal(data[:, 5:25, 0], 1.0)
    assert_array_equal(data[:, 25:, 0], 0.01)
    for constant in (1, 2):
        assert_array_equal(data[..., constant], data[:, :1, constant].repeat(50, 1))
    assert set(np.unique(data[..., 1])) == {0.01, 0.5, 1.0}


def test_steps_hold_and_walks_move():
    steps = make_wind_tunnel(30, 200, loads="steps", random_state=0).data
    still = (np.diff(steps, axis=1) == 0).mean(axis=(0, 1))
    assert ((still > 0.9) & (still < 0.98)).all()
    walk = np.diff(make_wind_tunnel(30, 200, loads="walk", random_state=0).data, axis=1)
    assert (walk != 0).all()
    assert (np.abs(walk).max(axis=(0, 1)) <= np.array([0.99, 0.99, 45.0]) / 50 + 1e-12).all()


@pytest.mark.parametrize("loads", LOADS)
def test_shortest_records(loads):
    assert np.isfinite(make_wind_tunnel(1, 2, loads=loads, random_state=0).target).all()
