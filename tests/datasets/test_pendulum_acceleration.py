"""The acceleration of a pendulum: its physics, its missing part and the noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import make_pendulum_acceleration, pendulum_acceleration

OMEGA2 = math.pi**2 / 9
MISSING = {
    "drag": lambda angle, velocity: -0.2 * velocity * abs(velocity),
    "wiggly": lambda angle, velocity: 0.3 * math.cos(3 * angle) + 0.2 * velocity,
}


def test_physics_by_hand():
    angle = torch.tensor([0.0, math.pi / 2, -math.pi / 6], dtype=torch.float64)
    got = pendulum_acceleration(angle, torch.full_like(angle, 9.0), omega2=4.0)
    assert_allclose(got, [0.0, -4.0, 2.0], atol=1e-12)


@pytest.mark.parametrize("missing", MISSING)
def test_target_without_noise_by_hand(missing):
    pendulum = make_pendulum_acceleration(20, missing=missing, random_state=0)
    by_hand = [
        -OMEGA2 * math.sin(angle) + MISSING[missing](angle, velocity)
        for angle, velocity in pendulum.data.tolist()
    ]
    assert_allclose(pendulum.noise_free, by_hand, rtol=1e-12)
    assert pendulum.physics_params == pytest.approx({"omega2": OMEGA2})


@pytest.mark.parametrize("missing", MISSING)
def test_least_squares_with_the_physics_alone_finds_the_truth(missing):
    pendulum = make_pendulum_acceleration(100_000, missing=missing, random_state=0)
    sine = -np.sin(pendulum.data[:, 0])
    assert sine @ pendulum.target / (sine @ sine) == pytest.approx(OMEGA2, abs=0.01)


def test_ranges_and_layout():
    pendulum = make_pendulum_acceleration(random_state=0)
    assert pendulum.data.shape == (400, 2)
    assert pendulum.data.dtype == pendulum.target.dtype == np.float64
    assert pendulum.feature_names == ["angle", "velocity"]
    assert pendulum.target_name == "acceleration"
    assert pendulum.frame is None
    assert pendulum.physics is pendulum_acceleration
    largest = np.abs(pendulum.data).max(axis=0)
    assert_array_equal(largest <= [2.5, 2.0], True)
    assert_array_equal(largest > [2.4, 1.9], True)
    for unit in ("rad", "rad/s", "rad s^-2"):
        assert f" {unit} " in pendulum.DESCR


def test_noise_is_gaussian_with_the_given_standard_deviation():
    pendulum = make_pendulum_acceleration(50_000, noise=0.3, random_state=0)
    noise = pendulum.target - pendulum.noise_free
    assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert abs(noise.mean()) < 0.01
    assert np.mean(np.abs(noise) < 0.3) == pytest.approx(0.683, abs=0.01)
    silent = make_pendulum_acceleration(10, noise=0, random_state=0)
    assert_array_equal(silent.target, silent.noise_free)


def test_reproducible():
    first, again = (make_pendulum_acceleration(30, random_state=5) for _ in range(2))
    assert_array_equal(first.data, again.data)
    assert_array_equal(first.target, again.target)
    other = make_pendulum_acceleration(30, random_state=6)
    assert not np.allclose(first.data, other.data)


def test_frame_has_the_same_numbers():
    plain = make_pendulum_acceleration(30, random_state=5)
    framed = make_pendulum_acceleration(30, random_state=5, as_frame=True)
    assert list(framed.frame.columns) == ["angle", "velocity", "acceleration"]
    assert framed.target.name == framed.noise_free.name == "acceleration"
    assert_array_equal(framed.data, plain.data)
    data, target = make_pendulum_acceleration(30, random_state=5, return_X_y=True)
    assert_array_equal(data, plain.data)
    assert_array_equal(target, plain.target)
