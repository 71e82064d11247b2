"""Prey and predators: the physics, the interaction it misses, and the cycles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from skhybrid.datasets import lotka_volterra, make_lotka_volterra


def test_physics_and_missing_part_by_hand():
    states = torch.tensor([[10.0, 2.0], [1.0, 4.0]], dtype=torch.float64)
    got = lotka_volterra(3.0, states, growth=1.0, predation=0.5, conversion=0.25, mortality=2.0)
    assert_allclose(got, [[0.0, 1.0], [-1.0, -7.0]], atol=1e-14)
    missing = make_lotka_volterra(1, interference=0.1).missing(3.0, states)
    assert_allclose(missing, [[0.0, -0.4], [0.0, -1.6]], rtol=1e-14)


def test_protocol():
    cycles = make_lotka_volterra(random_state=0)
    assert cycles.data.shape == (25, 2)
    assert cycles.target.shape == (25, 40, 2)
    assert (cycles.dt, cycles.times[-1]) == (0.5, 20.0)
    assert cycles.physics is lotka_volterra
    truth = {"growth": 0.55, "predation": 0.028, "conversion": 0.024, "mortality": 0.8}
    assert cycles.physics_params == truth
    assert cycles.target.min() > 0


def test_initial_states_fill_their_ranges():
    states = make_lotka_volterra(1000, n_times=1, random_state=0).data
    assert_allclose(states.min(axis=0), [10, 5], rtol=0.02)
    assert_allclose(states.max(axis=0), [60, 40], rtol=0.02)
    assert np.all((states >= [10, 5]) & (states <= [60, 40]))
    assert_allclose(np.median(states, axis=0), [np.sqrt(600), np.sqrt(200)], rtol=0.1)


def test_constant_of_motion_without_interference():
    cycles = make_lotka_volterra(interference=0.0, random_state=1)

    def constant(states):
        prey, predators = states[..., 0], states[..., 1]
        return 0.024 * prey - 0.8 * np.log(prey) + 0.028 * predators - 0.55 * np.log(predators)

    initial = constant(cycles.data)[:, None]
    assert_allclose(constant(cycles.target), np.broadcast_to(initial, (25, 40)), atol=1e-10)


def test_against_another_solver():
    cycles = make_lotka_volterra(2, n_times=10, random_state=0)

    def rate(t, state):
        prey, predators = state
        return [
            prey * (0.55 - 0.028 * predators),
            predators * (0.024 * prey - 0.8 - 0.005 * predators),
        ]

    for initial, states in zip(cycles.data, cycles.target, strict=True):
        options = {"method": "LSODA", "t_eval": cycles.times, "rtol": 1e-11, "atol": 1e-11}
        solution = solve_ivp(rate, (0.0, 5.0), initial, **options)
        assert_allclose(states, solution.y.T, rtol=1e-7)


def test_description_is_right_about_the_physics_alone():
    cycles = make_lotka_volterra(random_state=0)
    prey, predators = cycles.target.reshape(-1, 2).T
    fall = 0.8 * predators + 0.005 * predators**2
    design = np.column_stack([prey * predators, -predators])
    conversion, mortality = np.linalg.lstsq(design, 0.024 * prey * predators - fall)[0]
    assert mortality == pytest.approx(0.8 * 1.15, rel=0.05)
    assert conversion == pytest.approx(0.024, rel=0.03)
