"""The damped wave: its speed, its damping, its energy and its pulses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import make_damped_wave, wave
from skhybrid.datasets._damped_wave import solve_exactly

POINTS = np.arange(64.0)
NUMBER = 2 * np.pi * 2 / 64  # two periods on the square


def plane_wave(phase, c):
    """Return displacement and velocity of a plane wave that travels along the columns."""
    angle = np.broadcast_to(NUMBER * POINTS - phase, (64, 64))
    return np.stack([np.sin(angle), -NUMBER * c * np.cos(angle)])


def test_protocol():
    waves = make_damped_wave(2, random_state=0)
    assert waves.data.shape == (2, 2, 64, 64)
    assert waves.target.shape == (2, 25, 2, 64, 64)
    assert waves.dt == 1e-3
    assert waves.physics is wave
    assert waves.physics_params == {"c": 330.0}


def test_pulses():
    waves = make_damped_wave(200, n_times=1, random_state=0)
    displacement, velocity = np.moveaxis(waves.data, 1, 0)
    assert_array_equal(velocity, 0.0)
    assert_array_equal(displacement.max(axis=(1, 2)), 1.0)
    peaks = np.array([np.unravel_index(pulse.argmax(), pulse.shape) for pulse in displacement])
    assert_array_equal(peaks.min(axis=0), 20)
    assert_array_equal(peaks.max(axis=0), 39)
    assert abs(np.corrcoef(peaks.T)[0, 1]) < 0.2
    picked = np.arange(200), *peaks.T
    beside = displacement[picked[0], picked[1] + 1, picked[2]]
    diagonal = displacement[picked[0], picked[1] + 3, picked[2] - 2]
    areas = -1 / np.log(beside)
    assert 10 <= areas.min() < 12
    assert 98 < areas.max() <= 100
    assert_allclose(diagonal, np.exp(-13 / areas), rtol=1e-10)


def test_plane_wave_travels_at_its_speed():
    c, times = 200.0, np.array([0.01, 0.08])
    got = solve_exactly(plane_wave(0.0, c)[None], times, c=c, k=0.0)[0]
    for states, t in zip(got, times, strict=True):
        exact = plane_wave(NUMBER * c * t, c)
        assert_allclose(states[0], exact[0], atol=1e-4)  # the grid changes the speed
        assert_allclose(states[1], exact[1], atol=1e-4 * NUMBER * c)


@pytest.mark.parametrize("k", [10.0, 78.52, 79.0, 500.0])  # around critical damping, and above
def test_standing_wave_is_a_damped_oscillator(k):
    initial = np.stack([np.broadcast_to(np.cos(NUMBER * POINTS), (64, 64)), np.zeros((64, 64))])
    frequency2 = 200.0**2 * (5 / 2 - 8 / 3 * np.cos(NUMBER) + np.cos(2 * NUMBER) / 6)
    times = np.array([0.002, 0.03, 1.0])
    got = solve_exactly(initial[None], times, c=200.0, k=k)[0]
    matrix = np.array([[0.0, 1.0], [-frequency2, -k]])
    values, vectors = np.linalg.eig(matrix.astype(complex))
    for states, t in zip(got, times, strict=True):
        exact = (vectors * np.exp(values * t)) @ np.linalg.inv(vectors) @ [1.0, 0.0]
        assert_allclose(states, exact.real[:, None, None] * initial[0], atol=1e-9)


def test_mean_and_critical_modes():
    # Without gradients only the damping acts, and without damping the mean drifts: root = 0.
    initial = np.ones((1, 2, 64, 64))
    damped = solve_exactly(initial, np.array([0.1]), c=330.0, k=50.0)[0, 0]
    assert_allclose(damped[1], np.exp(-5.0), rtol=1e-10)
    assert_allclose(damped[0], 1 + (1 - np.exp(-5.0)) / 50, rtol=1e-10)
    free = solve_exactly(initial, np.array([0.1]), c=330.0, k=0.0)[0, 0]
    assert_allclose(free[0], 1.1, rtol=1e-10)
    assert_allclose(free[1], 1.0, rtol=1e-10)


def energy(states, c):
    displacement, velocity = torch.tensor(states).unbind(-3)
    pull = wave(0.0, torch.tensor(states), c=c)[..., 1, :, :]
    return (velocity**2 - displacement * pull).sum((-2, -1)).numpy() / 2


def test_energy_is_kept_without_damping_and_lost_with_it():
    free = make_damped_wave(3, k=0.0, random_state=0)
    initial = energy(free.data, 330.0)[:, None]
    assert_allclose(energy(free.target, 330.0), np.broadcast_to(initial, (3, 25)), rtol=1e-10)
    damped = make_damped_wave(3, dt=1e-4, n_times=100, random_state=0)
    states = np.concatenate([damped.data[:, None], damped.target], axis=1)
    power = 50.0 * (states[:, :, 1] ** 2).sum(axis=(-2, -1))
    lost = 1e-4 * (power[:, 1:] + power[:, :-1]).sum(axis=1) / 2  # trapezoidal rule
    kept = energy(states, 330.0)
    assert_allclose(kept[:, 0] - kept[:, -1], lost, rtol=1e-3)
