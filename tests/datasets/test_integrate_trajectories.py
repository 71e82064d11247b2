"""Numerical integration: accuracy, time, chunks and failure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skhybrid.datasets._integrate_trajectories import integrate


def test_integration_is_accurate_and_knows_the_time():
    initial_states = np.array([[1.0, 0.0], [0.0, 2.0]])
    times = np.array([0.5, 7.0, 40.0])

    def rate(t, state):
        x, v = state.unbind(-1)
        return torch.stack([v, -x + 2 * np.cos(t)], dim=-1)

    got = integrate(rate, initial_states, times)
    t, (x0, v0) = times, initial_states.T[..., None]
    exact = x0 * np.cos(t) + (v0 + t) * np.sin(t)  # resonance: the time matters
    assert_allclose(got[..., 0], exact, atol=1e-10)
    later = integrate(rate, got[:, 0], times[1:], initial_time=0.5)
    assert_allclose(later, got[:, 1:], atol=1e-10)


def test_trajectories_do_not_depend_on_how_many_are_integrated_at_a_time():
    initial_states = np.linspace(0.0, 1.0, 3 * 2**14).reshape(3, 2**14)
    times = np.array([0.1, 0.2])
    got = integrate(lambda t, state: -state, initial_states, times)
    assert got.shape == (3, 2, 2**14)
    assert_allclose(got, initial_states[:, None] * np.exp(-times)[:, None], atol=1e-11)


def test_diverging_trajectory_is_an_error_with_its_time():
    with pytest.raises(ValueError, match=r"beyond t = (0\.9|1)"):
        integrate(lambda t, state: state**2, np.ones((1, 1)), np.array([0.5, 1.5]))
