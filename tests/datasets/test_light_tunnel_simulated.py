"""The simulated light tunnel: settings, noise, and the effects that the physics misses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import fetch_light_tunnel, make_light_tunnel, malus
from skhybrid.datasets._light_tunnel_simulated import simulate_reading

FEATURES = ["red", "green", "blue", "pol_1", "pol_2", "l_31", "l_32"]
SUBSETS = ["reference", "polarizer_shift", "red_shift"]


@pytest.mark.parametrize("subset", SUBSETS)
def test_ranges(subset, check_light_tunnel_ranges):
    check_light_tunnel_ranges(make_light_tunnel(2000, subset=subset, random_state=0).data, subset)


def test_layout():
    tunnel = make_light_tunnel(50, random_state=0)
    assert tunnel.feature_names == FEATURES
    assert tunnel.target_name == tunnel.target.name == "ir_3"
    assert list(tunnel.frame.columns) == [*FEATURES, "ir_3"]
    assert set(tunnel.data.dtypes) == {np.dtype("float64")}
    assert tunnel.target.dtype == tunnel.noise_free.dtype == np.float64
    assert tunnel.physics is malus
    assert set(tunnel.physics_params) == {"gain", "leak"}
    assert "simulated" in tunnel.DESCR


def test_arrays_equal_frames():
    framed = make_light_tunnel(50, random_state=3)
    plain = make_light_tunnel(50, random_state=3, as_frame=False)
    assert plain.frame is None
    assert isinstance(plain.data, np.ndarray)
    assert_array_equal(plain.data, framed.data)
    assert_array_equal(plain.noise_free, framed.noise_free)
    data, target = make_light_tunnel(50, random_state=3, return_X_y=True)
    assert data.equals(framed.data)
    assert target.equals(framed.target)


def test_is_reproducible():
    first, again = (make_light_tunnel(50, random_state=1).frame for _ in range(2))
    assert first.equals(again)
    assert not first.equals(make_light_tunnel(50, random_state=2).frame)


def test_noise_is_multiplicative():
    tunnel = make_light_tunnel(20_000, noise=0.2, random_state=0)
    relative = tunnel.target / tunnel.noise_free - 1
    assert relative.std() == pytest.approx(0.2, rel=0.03)
    bright = tunnel.noise_free > tunnel.noise_free.median()
    assert relative[bright].std() == pytest.approx(relative[~bright].std(), rel=0.05)


def test_without_noise_is_noise_free():
    tunnel = make_light_tunnel(50, noise=0, random_state=0)
    assert_array_equal(tunnel.target, tunnel.noise_free)


def test_dark_tunnel_reads_the_offset_and_stray_light():
    dark = np.zeros((2, 7))
    dark[1, 5:] = 100, 50
    assert_allclose(simulate_reading(dark), [10.0, 10.0 + 0.02 * 150], rtol=1e-12)


def test_true_gain_is_the_slope_at_high_drive():
    settings = np.zeros((2, 7))
    settings[:, 0] = 200, 201
    settings[:, 3] = -3.5  # makes up for the misalignment
    low, high = simulate_reading(settings)
    gain = make_light_tunnel(1).physics_params["gain"]
    assert high - low == pytest.approx(gain[0], rel=1e-5)


def test_physics_alone_misses_something():
    tunnel = make_light_tunnel(2000, random_state=0)
    columns = [torch.tensor(tunnel.data[name].to_numpy()) for name in FEATURES[:5]]
    missing = tunnel.noise_free - malus(*columns, **tunnel.physics_params).numpy()
    assert 10 < missing.std() < 0.5 * tunnel.noise_free.std()


@pytest.mark.parametrize(
    ("subset", "error"), [("reference", 60), ("polarizer_shift", 21), ("red_shift", 100)]
)
def test_simulated_tunnel_predicts_the_measured_one(subset, error, data_home):
    tunnel = fetch_light_tunnel(data_home=data_home, subset=subset)
    residual = simulate_reading(tunnel.data.to_numpy()) - tunnel.target
    assert np.sqrt(np.mean(residual**2)) < error
