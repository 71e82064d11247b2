"""The law of the fans against the published models, written here once more."""

from __future__ import annotations

import numpy as np
import torch
from numpy.testing import assert_allclose, assert_array_equal
from published_fan import published_acceleration, published_static_pressure

from skhybrid.datasets import fan_pressure, fan_speeds, make_wind_tunnel

T0 = torch.tensor(0.0, dtype=torch.float64)


def test_physics_is_the_published_fan():
    truth = make_wind_tunnel(1, random_state=0).physics_params
    speeds = np.array([[0.0, 314.159], [50.0, 120.0], [300.0, 10.0]])
    inputs = np.array([[1.0, 0.05, 20.0], [0.5, 0.1, 0.0], [0.0, 0.7, 45.0]])
    got = fan_speeds(T0, torch.tensor(speeds), torch.tensor(inputs), **truth)
    published = [
        [published_acceleration(load, omega) for load, omega in zip(row[:2], pair, strict=True)]
        for row, pair in zip(inputs, speeds, strict=True)
    ]
    assert got.dtype == torch.float64
    assert_allclose(got, published, rtol=1e-12, atol=1e-9)


def test_steady_state_at_full_load_is_the_largest_speed():
    truth = make_wind_tunnel(1).physics_params
    assert truth["omega_max"] == 314.159
    full = torch.tensor([314.159, 314.159], dtype=torch.float64)
    loads = torch.ones(2, dtype=torch.float64)
    assert_allclose(fan_speeds(T0, full, loads, **truth), [0.0, 0.0], atol=1e-12)


def test_physics_ignores_the_hatch_and_brings_speeds_below_zero_back():
    state = torch.tensor([-5.0, 100.0])
    one, other = (fan_speeds(T0, state, torch.tensor([0.3, 0.4, hatch])) for hatch in (0.0, 45.0))
    assert_array_equal(one, other)
    assert one[0] > 0


def test_physics_passes_gradients_to_its_parameters():
    unknowns = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (150.0, 300.0)]
    state = 300 * torch.rand(4, 2, dtype=torch.float64)
    loads = torch.rand(4, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda a, w: fan_speeds(T0, state, loads, acceleration=a, omega_max=w), unknowns
    )


def test_pressure_physics_is_the_published_one_with_the_hatch_closed():
    tunnel = make_wind_tunnel(1, random_state=0)
    speeds = torch.tensor([[314.159, 20.0], [100.0, 250.0]], dtype=torch.float64)
    published = [
        published_static_pressure(a, 0.0) - published_static_pressure(b, 0.0)
        for a, b in speeds.tolist()
    ]
    got = fan_pressure(speeds[:, 0], speeds[:, 1], **tunnel.pressure_params)
    assert_allclose(got, published, rtol=1e-10)
    assert_allclose(tunnel.observe(speeds), np.column_stack([speeds, published]), rtol=1e-10)
