"""The simulated wind tunnel: its physics, the published models behind it, and the records."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp

from skhybrid.datasets import _wind_tunnel, fan_pressure, fan_speeds, make_wind_tunnel

LOADS = ["impulses", "steps", "walk"]
T0 = torch.tensor(0.0, dtype=torch.float64)

# The published models, written down once more, as published.
INERTIA = 0.5 * 0.059**2 * 0.02
OMEGA_MAX = 314.159
S_MAX = 74.82
Q_MAX = 186.7 / 3600


def torque(load):
    return 0.05 * max(load, 0.1) ** 3 * (0.27 - 0.166)


def published_acceleration(load, omega):
    return (torque(load) - torque(1.0) / OMEGA_MAX**2 * omega**2) / INERTIA


def published_static_pressure(omega, hatch):
    ratio = min(1.0, 0.75 + 0.15 * hatch / 45)
    z = S_MAX / Q_MAX**2 * (1 - ratio) / ratio**2
    b = omega / OMEGA_MAX * S_MAX / Q_MAX
    c = -((omega / OMEGA_MAX) ** 2) * S_MAX
    flow = (-b + math.sqrt(b**2 - 4 * z * c)) / (2 * z)
    return z * flow**2


# Physics


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
    kept_up = _wind_tunnel._simulate_speeds(np.ones((1, 200, 2)), 0.5)
    assert_allclose(kept_up, 314.159, rtol=1e-12)


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


# The published models behind the records


@pytest.mark.parametrize("hatch", [0.0, 10.0, 30.0, 45.0])
@pytest.mark.parametrize("omega", [9.9, 150.0, 314.159])
def test_pressure_solved_back_satisfies_the_quadratic(omega, hatch):
    got = _wind_tunnel._pressure(np.array([[omega, 0.0]]), np.array([[hatch]]))[0, 0]
    ratio = 0.75 + 0.15 * hatch / 45
    z = S_MAX / Q_MAX**2 * (1 - ratio) / ratio**2
    flow = math.sqrt(got / z)
    terms = [z * flow**2, omega / OMEGA_MAX * S_MAX / Q_MAX * flow]
    terms.append(-((omega / OMEGA_MAX) ** 2) * S_MAX)
    assert abs(sum(terms)) < 1e-12 * max(map(abs, terms))
    assert flow > 0
    assert got == pytest.approx(published_static_pressure(omega, hatch), rel=1e-10)


def test_wide_open_tunnel_keeps_no_pressure():
    speeds = np.array([[300.0, 10.0]])
    assert_array_equal(_wind_tunnel._pressure(speeds, np.array([[90.0]])), [[0.0]])


@pytest.mark.parametrize("loads", LOADS)
def test_speeds_agree_with_an_accurate_solver(loads):
    tunnel = make_wind_tunnel(2, 30, loads=loads, dt=0.4, random_state=1)
    for record in range(2):
        for fan in range(2):
            omega = tunnel.noise_free[record, :, fan]
            for i in range(29):
                load = tunnel.data[record, i, fan]
                solved = solve_ivp(
                    lambda t, y, load=load: [published_acceleration(load, y[0])],
                    (0.0, 0.4),
                    [omega[i]],
                    rtol=1e-12,
                    atol=1e-12,
                    method="DOP853",
                )
                assert omega[i + 1] == pytest.approx(solved.y[0, -1], rel=1e-10)


def test_half_the_step_gives_the_same_speeds():
    loads = make_wind_tunnel(3, 20, loads="steps", random_state=0).data[..., :2]
    coarse = _wind_tunnel._simulate_speeds(loads, 0.2)
    fine = _wind_tunnel._simulate_speeds(np.repeat(loads, 2, axis=1), 0.1)
    assert_allclose(fine[:, ::2], coarse, rtol=1e-12)


# The records


def test_impulse_response_is_monotone():
    tunnel = make_wind_tunnel(10, random_state=0)
    load, speed = tunnel.data[..., 0], tunnel.noise_free[..., 0]
    assert_array_equal(load[:, :5], 0.01)
    assert_array_equal(load[:, 5:25], 1.0)
    assert_array_equal(load[:, 25:], 0.01)
    assert_allclose(speed[:, :6], OMEGA_MAX * 0.1**1.5, rtol=1e-12)
    assert (np.diff(speed[:, 5:26]) > 0).all()
    assert (np.diff(speed[:, 25:]) < 0).all()
    assert (speed < OMEGA_MAX).all()
    assert (speed[:, 25] > 0.5 * OMEGA_MAX).all()
    pressure = tunnel.noise_free[..., 2]
    assert (np.diff(pressure[:, 5:26]) > 0).all()
    for constant in (1, 2):
        assert_array_equal(tunnel.data[..., constant], tunnel.data[:, :1, constant].repeat(50, 1))
    assert set(np.unique(tunnel.data[..., 1])) == {0.01, 0.5, 1.0}


def test_opening_the_hatch_takes_pressure():
    tunnel = make_wind_tunnel(40, noise=0, random_state=0)
    idle = tunnel.data[:, 0, 1] == 0.01
    hatch, peak = tunnel.data[idle, 0, 2], tunnel.target[idle, 25, 2]
    assert len(hatch) > 5
    assert (np.diff(peak[np.argsort(hatch)]) < 0).all()


@pytest.mark.parametrize("loads", LOADS)
def test_layout_and_ranges(loads):
    tunnel = make_wind_tunnel(30, 200, loads=loads, random_state=0)
    assert tunnel.data.shape == tunnel.target.shape == tunnel.noise_free.shape == (30, 200, 3)
    assert tunnel.data.dtype == tunnel.target.dtype == np.float64
    low, high = tunnel.data.min(axis=(0, 1)), tunnel.data.max(axis=(0, 1))
    assert (low >= [0.01, 0.01, 0.0]).all()
    assert (high <= [1.0, 1.0, 45.0]).all()
    assert (high - low > [0.9, 0.9, 35.0]).all()
    assert_array_equal(tunnel.initial_states, tunnel.noise_free[:, 0, :2])
    assert_allclose(tunnel.times, 0.15 * np.arange(200))
    assert tunnel.dt == 0.15
    assert tunnel.feature_names == ["load_in", "load_out", "hatch"]
    assert tunnel.target_names == ["speed_in", "speed_out", "pressure"]
    assert pickle.loads(pickle.dumps(tunnel)).physics is fan_speeds


def test_steps_hold_and_walks_move():
    steps = make_wind_tunnel(30, 200, loads="steps", random_state=0).data
    still = (np.diff(steps, axis=1) == 0).mean(axis=(0, 1))
    assert ((still > 0.9) & (still < 0.98)).all()
    walk = np.diff(make_wind_tunnel(30, 200, loads="walk", random_state=0).data, axis=1)
    assert (walk != 0).all()
    assert (np.abs(walk).max(axis=(0, 1)) <= np.array([0.99, 0.99, 45.0]) / 50 + 1e-12).all()


def test_noise_is_on_the_pressure_only_with_the_given_spread():
    tunnel = make_wind_tunnel(200, 100, noise=0.5, random_state=0)
    assert_array_equal(tunnel.target[..., :2], tunnel.noise_free[..., :2])
    noise = (tunnel.target - tunnel.noise_free)[..., 2]
    assert noise.std() == pytest.approx(0.5, rel=0.03)
    assert abs(noise.mean()) < 0.02
    silent = make_wind_tunnel(2, noise=0, random_state=0)
    assert_array_equal(silent.target, silent.noise_free)


def test_default_noise_is_that_of_the_barometer():
    tunnel = make_wind_tunnel(200, 100, random_state=0)
    assert (tunnel.target - tunnel.noise_free)[..., 2].std() == pytest.approx(0.2, rel=0.03)


@pytest.mark.parametrize("loads", LOADS)
def test_reproducible(loads):
    first, again = (make_wind_tunnel(3, loads=loads, random_state=5) for _ in range(2))
    assert_array_equal(first.data, again.data)
    assert_array_equal(first.target, again.target)
    other = make_wind_tunnel(3, loads=loads, random_state=6)
    assert not np.allclose(first.data, other.data)
    data, target = make_wind_tunnel(3, loads=loads, random_state=5, return_X_y=True)
    assert_array_equal(data, first.data)
    assert_array_equal(target, first.target)


def test_units_and_constants_are_stated():
    tunnel = make_wind_tunnel(1)
    for part in ("rad/s", " Pa ", "degrees", "149.38 rad s^-2", "simulated"):
        assert part in tunnel.DESCR
    assert tunnel.physics_params["acceleration"] == pytest.approx(torque(1.0) / INERTIA)
    assert tunnel.pressure_params["closed_pressure"] == pytest.approx(18.705)
    assert tunnel.constants["inertia"] == pytest.approx(3.481e-5)
    assert tunnel.constants["flow_max"] == pytest.approx(Q_MAX)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_records": 0},
        {"n_times": 1},
        {"loads": "impulse"},
        {"dt": 0.0},
        {"noise": -1.0},
        {"random_state": "seed"},
        {"return_X_y": "no"},
    ],
)
def test_wrong_argument_is_named_with_its_value(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=name) as raised:
        make_wind_tunnel(**wrong)
    assert repr(value) in str(raised.value)
    if name == "loads":
        assert all(f"'{choice}'" in str(raised.value) for choice in LOADS)


def test_shortest_records():
    for loads in LOADS:
        tunnel = make_wind_tunnel(1, 2, loads=loads, random_state=0)
        assert np.isfinite(tunnel.target).all()
