"""The pendulum: its physics, its friction, its drive and its initial states."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import simpson, solve_ivp

from skhybrid.datasets import forced_pendulum, make_pendulum, pendulum

OMEGA2 = math.pi**2 / 9


def energy(states):
    angle, velocity = states[..., 0], states[..., 1]
    return velocity**2 / 2 + OMEGA2 * (1 - np.cos(angle))


def test_physics_by_hand():
    states = torch.tensor([[0.0, 2.0], [math.pi / 6, -1.0]], dtype=torch.float64)
    assert_allclose(pendulum(3.0, states, omega2=4.0), [[2.0, 0.0], [-1.0, -2.0]], atol=1e-14)
    driven = forced_pendulum(math.pi / 6, states, omega2=4.0, amplitude=3.0, frequency=2.0)
    assert_allclose(driven, [[2.0, 1.5], [-1.0, -0.5]], atol=1e-14)


def test_drive_takes_a_time_for_each_state():
    t = torch.tensor([0.0, math.pi], dtype=torch.float64)
    got = forced_pendulum(t, torch.zeros(2, 2, dtype=torch.float64), amplitude=0.7)
    assert_allclose(got[:, 1], [0.7, -0.7], atol=1e-14)


def test_protocol():
    swings = make_pendulum(random_state=0)
    assert swings.data.shape == (25, 2)
    assert swings.target.shape == (25, 40, 2)
    assert (swings.dt, swings.times[0], swings.times[-1]) == (0.5, 0.5, 20.0)
    assert swings.physics is pendulum
    assert swings.physics_params == pytest.approx({"omega2": OMEGA2})
    assert_allclose(swings.missing(0.0, torch.tensor([[1.0, 3.0]])), [[0.0, -0.6]], rtol=1e-6)


def test_initial_states_fill_the_ring():
    states = make_pendulum(2000, n_times=1, random_state=0).data
    radii = np.linalg.norm(states, axis=1)
    assert 1.3 <= radii.min() < 1.31
    assert 2.29 < radii.max() <= 2.3
    assert radii.mean() == pytest.approx(1.8, abs=0.02)
    assert np.all(np.bincount((states > 0) @ [1, 2]) > 400)  # all four quadrants


def test_energy_without_friction_is_kept():
    swings = make_pendulum(damping=0.0, n_times=20, dt=2.0, random_state=1)
    initial = energy(swings.data)[:, None]
    assert_allclose(energy(swings.target), np.broadcast_to(initial, (25, 20)), atol=1e-10)


def test_friction_takes_the_energy_it_should():
    swings = make_pendulum(3, n_times=80, dt=0.1, random_state=1)
    states = np.concatenate([swings.data[:, None], swings.target], axis=1)
    power = 0.2 * states[..., 1] ** 2
    lost = simpson(power, dx=0.1, axis=1)
    assert_allclose(energy(states[:, 0]) - energy(states[:, -1]), lost, rtol=1e-5)


def test_drive_against_another_solver():
    swings = make_pendulum(
        2, n_times=10, forcing_amplitude=0.8, forcing_frequency=1.3, random_state=0
    )
    for initial, states in zip(swings.data, swings.target, strict=True):
        solution = solve_ivp(
            lambda t, y: [y[1], -OMEGA2 * np.sin(y[0]) - 0.2 * y[1] + 0.8 * np.cos(1.3 * t)],
            (0.0, 5.0),
            initial,
            method="LSODA",
            t_eval=swings.times,
            rtol=1e-11,
            atol=1e-11,
        )
        assert_allclose(states, solution.y.T, atol=1e-7)
    assert isinstance(swings.physics, functools.partial)
    assert list(swings.physics_params) == ["omega2"]  # the drive is known
    rate = swings.physics(0.0, torch.zeros(2, dtype=torch.float64))
    assert_array_equal(rate, [0.0, 0.8])
