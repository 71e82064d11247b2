"""The Duffing oscillator: its spring, its damping and its initial states."""

from __future__ import annotations

import numpy as np
import torch
from numpy.testing import assert_allclose
from scipy.integrate import simpson
from scipy.special import ellipj, ellipkinc

from skhybrid.datasets import duffing, make_duffing


def energy(states):
    position, velocity = states[..., 0], states[..., 1]
    return velocity**2 / 2 + position**2 / 2 + position**4 / 4


def test_physics_and_missing_part_by_hand():
    states = torch.tensor([[0.5, 2.0], [-1.0, -1.0]], dtype=torch.float64)
    got = duffing(3.0, states, linear=4.0, cubic=8.0)
    assert_allclose(got, [[2.0, -3.0], [-1.0, 12.0]], rtol=1e-14)
    assert_allclose(make_duffing(1).missing(3.0, states), [[0.0, -0.6], [0.0, 0.3]], rtol=1e-14)


def test_protocol():
    oscillations = make_duffing(random_state=0)
    assert oscillations.data.shape == (25, 2)
    assert oscillations.target.shape == (25, 40, 2)
    assert oscillations.dt == 0.2
    assert oscillations.physics is duffing
    assert oscillations.physics_params == {"linear": 1.0, "cubic": 1.0}


def test_initial_states_fill_the_square():
    states = make_duffing(1000, n_times=1, random_state=0).data
    assert np.all(np.abs(states) <= 1.5)
    assert_allclose(states.min(axis=0), -1.5, atol=0.02)
    assert_allclose(states.max(axis=0), 1.5, atol=0.02)


def test_energy_without_damping_is_kept():
    oscillations = make_duffing(damping=0.0, n_times=20, dt=1.0, random_state=1)
    initial = energy(oscillations.data)[:, None]
    assert_allclose(energy(oscillations.target), np.broadcast_to(initial, (25, 20)), atol=1e-9)


def test_period_without_damping_is_that_of_the_elliptic_function():
    # From rest at 1: position = cn(sqrt(linear + cubic) t, m) with m = cubic / 2 (linear + cubic).
    oscillations = make_duffing(4, damping=0.0, linear=1.5, cubic=0.5, random_state=2)
    for initial, states in zip(oscillations.data, oscillations.target, strict=True):
        twice = initial[1] ** 2 + 1.5 * initial[0] ** 2 + 0.25 * initial[0] ** 4
        amplitude2 = (-1.5 + np.sqrt(1.5**2 + 4 * 0.25 * twice)) / 0.5
        frequency = np.sqrt(1.5 + 0.5 * amplitude2)
        m = 0.5 * amplitude2 / (2 * frequency**2)
        amplitude = np.sqrt(amplitude2)
        # The phase of the initial state, from its angle in the scaled plane of cn and sn.
        cn = initial[0] / amplitude
        sn = -np.sign(initial[1]) * np.sqrt(1 - cn**2)
        phase = ellipkinc(np.arctan2(sn, cn), m)
        exact = amplitude * ellipj(phase + frequency * oscillations.times, m)[1]
        assert_allclose(states[:, 0], exact, atol=1e-8)


def test_damping_takes_the_energy_it_should():
    oscillations = make_duffing(3, n_times=80, dt=0.05, random_state=1)
    states = np.concatenate([oscillations.data[:, None], oscillations.target], axis=1)
    power = 0.3 * states[..., 1] ** 2
    lost = simpson(power, dx=0.05, axis=1)
    assert_allclose(energy(states[:, 0]) - energy(states[:, -1]), lost, rtol=1e-5)
