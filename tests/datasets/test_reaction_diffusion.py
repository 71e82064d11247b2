"""Reaction and diffusion: each alone, both against another solver, and the initial states."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from skhybrid.datasets import diffusion, make_reaction_diffusion


def test_protocol():
    fields = make_reaction_diffusion(1, random_state=0)
    assert fields.data.shape == (1, 2, 32, 32)
    assert fields.target.shape == (1, 30, 2, 32, 32)
    assert fields.dt == 0.1
    assert fields.times[-1] == pytest.approx(3.0)
    assert fields.physics is diffusion
    assert fields.physics_params == {"a": 1e-3, "b": 5e-3}


def test_initial_states_are_uniform():
    data = make_reaction_diffusion(4, n_times=1, random_state=0).data
    assert 0 < data.min() < 0.01
    assert 0.99 < data.max() < 1
    assert data.mean() == pytest.approx(0.5, abs=0.02)
    assert data.std() == pytest.approx(np.sqrt(1 / 12), rel=0.02)
    u, v = data[:, 0].ravel(), data[:, 1].ravel()
    assert abs(np.corrcoef(u, v)[0, 1]) < 0.06
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.06


def test_diffusion_of_plane_waves():
    points = -1 + torch.arange(32, dtype=torch.float64) / 16
    u = torch.cos(torch.pi * points)[:, None].expand(32, 32)
    v = torch.sin(2 * torch.pi * points).expand(32, 32)
    rate = diffusion(5.0, torch.stack([u, v]), a=2.0, b=3.0)
    assert_allclose(rate[0], -2.0 * np.pi**2 * u, atol=0.005 * 2 * np.pi**2)
    assert_allclose(rate[1], -3.0 * 4 * np.pi**2 * v, atol=0.02 * 12 * np.pi**2)


def test_reaction_by_hand():
    state = torch.zeros(2, 32, 32, dtype=torch.float64)
    state[0, 3, 4], state[1, 3, 4] = 2.0, 0.5
    rate = make_reaction_diffusion(1, n_times=1, k=0.25).missing(0.0, state)
    assert_allclose(rate[:, 3, 4], [2.0 - 8.0 - 0.5 - 0.25, 1.5], rtol=1e-14)
    assert_allclose(rate[:, 0, 0], [-0.25, 0.0], atol=1e-14)


def test_against_an_independent_integrator():
    fields = make_reaction_diffusion(2, n_times=4, random_state=3)
    spacing2 = (2 / 32) ** 2

    def around(field):
        padded = np.pad(field, 1, mode="wrap")
        return (
            padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2] - 4 * field
        ) / spacing2

    def rate(t, flat):
        u, v = flat.reshape(2, 32, 32)
        u_rate = 1e-3 * around(u) + u - u**3 - v - 5e-3
        return np.concatenate([u_rate.ravel(), (5e-3 * around(v) + u - v).ravel()])

    options = {"method": "RK45", "rtol": 1e-9, "atol": 1e-9}
    solution = solve_ivp(rate, (0.0, 0.4), fields.data[1].ravel(), **options)
    few = solution.y[:, -1].reshape(2, 32, 32)[:, ::5, ::7]
    assert_allclose(fields.target[1, -1][:, ::5, ::7], few, atol=1e-8)
