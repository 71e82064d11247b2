"""The simulated wind tunnel: speeds and pressure against the published models, and the layout."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from published_fan import (
    INERTIA,
    OMEGA_MAX,
    Q_MAX,
    S_MAX,
    published_acceleration,
    published_static_pressure,
    torque,
)
from scipy.integrate import solve_ivp

from skhybrid.datasets import fan_speeds, make_wind_tunnel
from skhybrid.datasets._wind_tunnel_simulated import simulate_pressure, simulate_speeds

LOADS = ["impulses", "steps", "walk"]


@pytest.mark.parametrize("hatch", [0.0, 10.0, 30.0, 45.0])
@pytest.mark.parametrize("omega", [9.9, 150.0, 314.159])
def test_pressure_solved_back_satisfies_the_quadratic(omega, hatch):
    got = simulate_pressure(np.array([[omega, 0.0]]), np.array([[hatch]]))[0, 0]
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
    assert_array_equal(simulate_pressure(speeds, np.array([[90.0]])), [[0.0]])


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


def test_full_load_keeps_the_largest_speed():
    speeds = simulate_speeds(np.ones((1, 200, 2)), 0.5)
    assert_allclose(speeds, 314.159, rtol=1e-12)


def test_half_the_step_gives_the_same_speeds():
    loads = make_wind_tunnel(3, 20, loads="steps", random_state=0).data[..., :2]
    coarse = simulate_speeds(loads, 0.2)
    fine = simulate_speeds(np.repeat(loads, 2, axis=1), 0.1)
    assert_allclose(fine[:, ::2], coarse, rtol=1e-12)


def test_impulse_response_is_monotone():
    tunnel = make_wind_tunnel(10, random_state=0)
    speed = tunnel.noise_free[..., 0]
    assert_allclose(speed[:, :6], OMEGA_MAX * 0.1**1.5, rtol=1e-12)
    assert (np.diff(speed[:, 5:26]) > 0).all()
    assert (np.diff(speed[:, 25:]) < 0).all()
    assert (speed < OMEGA_MAX).all()
    assert (speed[:, 25] > 0.5 * OMEGA_MAX).all()
    pressure = tunnel.noise_free[..., 2]
    assert (np.diff(pressure[:, 5:26]) > 0).all()


def test_opening_the_hatch_lowers_the_pressure():
    tunnel = make_wind_tunnel(40, noise=0, random_state=0)
    idle = tunnel.data[:, 0, 1] == 0.01
    hatch, peak = tunnel.data[idle, 0, 2], tunnel.target[idle, 25, 2]
    assert len(hatch) > 5
    assert (np.diff(peak[np.argsort(hatch)]) < 0).all()


@pytest.mark.parametrize("loads", LOADS)
def test_layout(loads):
    tunnel = make_wind_tunnel(30, 200, loads=loads, random_state=0)
    assert tunnel.data.shape == tunnel.target.shape == tunnel.noise_free.shape == (30, 200, 3)
    assert tunnel.data.dtype == tunnel.target.dtype == np.float64
    assert_array_equal(tunnel.initial_states, tunnel.noise_free[:, 0, :2])
    assert_allclose(tunnel.times, 0.15 * np.arange(200))
    assert tunnel.dt == 0.15
    assert tunnel.feature_names == ["load_in", "load_out", "hatch"]
    assert tunnel.target_names == ["speed_in", "speed_out", "pressure"]
    assert pickle.loads(pickle.dumps(tunnel)).physics is fan_speeds


def test_noise_is_on_the_pressure_only_with_the_given_standard_deviation():
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
