"""Images of a pendulum: pixels, times, and the states behind them."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skhybrid.datasets import make_pendulum_images, pendulum
from skhybrid.datasets._integrate_trajectories import integrate
from skhybrid.datasets._pendulum_images import render


def angle_in(images):
    """Return the angle of the light in each image, seen from the middle."""
    size = images.shape[-1]
    centres = (2 * np.arange(size) + 1) / size - 1
    right = (images * centres).sum(axis=(-2, -1))
    down = (images * centres[:, None]).sum(axis=(-2, -1))
    return np.arctan2(right, down)


def test_pixel_by_hand():
    image = render(np.array(math.pi / 6), 20)
    row, column = 17, 12  # centred at 0.75 below and 0.25 right of the middle
    distance2 = (0.75 - 0.7 * math.cos(math.pi / 6)) ** 2 + (0.25 - 0.7 * 0.5) ** 2
    assert image[row, column] == pytest.approx(math.exp(-distance2 / (2 * 0.15**2)), rel=1e-12)


@pytest.mark.parametrize(
    ("angle", "place"), [(0.0, "bottom"), (math.pi / 2, "right"), (-math.pi / 2, "left")]
)
def test_bob_is_where_the_angle_says(angle, place):
    image = render(np.array(angle), 16)
    halves = {"bottom": image[8:], "right": image[:, 8:], "left": image[:, :8]}
    assert halves[place].sum() > 0.99 * image.sum()
    assert 0 <= image.min() < 1e-6
    assert 0.8 < image.max() <= 1


def test_layout():
    film = make_pendulum_images(3, n_context=5, n_times=6, size=12, random_state=0)
    assert film.data.shape == film.noise_free_data.shape == (3, 5, 12, 12)
    assert film.target.shape == film.noise_free.shape == (3, 6, 12, 12)
    assert film.states.shape == (3, 6, 2)
    assert film.initial_states.shape == (3, 2)
    assert film.data.dtype == film.target.dtype == film.states.dtype == np.float64
    assert_allclose(film.context_times, [-1.0, -0.75, -0.5, -0.25, 0.0], atol=1e-15)
    assert_allclose(film.times, [0.25, 0.5, 0.75, 1.0, 1.25, 1.5])
    assert film.dt == 0.25
    assert film.physics is pendulum
    assert film.physics_params == pytest.approx({"omega2": math.pi**2 / 9})
    assert film.state_names == ["angle", "velocity"]
    assert "simulated" in film.DESCR
    assert_array_equal(pickle.loads(pickle.dumps(film)).target, film.target)
    options = {"n_context": 5, "n_times": 6, "size": 12, "random_state": 0}
    data, target = make_pendulum_images(3, **options, return_X_y=True)
    assert_array_equal(data, film.data)
    assert_array_equal(target, film.target)


def test_images_show_the_angles_of_a_pendulum_with_friction():
    film = make_pendulum_images(4, size=32, random_state=1)
    below = np.abs(film.states[..., 0]) < 3
    assert below.any()
    assert_allclose(angle_in(film.target)[below], film.states[..., 0][below], atol=0.02)
    assert_allclose(angle_in(film.data[:, -1]), film.initial_states[:, 0], atol=0.02)

    def rate(t, state):
        return pendulum(t, state, **film.physics_params) + film.missing(t, state)

    expected = integrate(rate, film.initial_states, film.times)
    assert_allclose(film.states, expected, atol=1e-9)
    assert_allclose(film.missing(0.0, torch.tensor([1.0, 3.0])), [0.0, -0.6], rtol=1e-6)


def test_context_is_the_past():
    film = make_pendulum_images(5, n_context=3, n_times=1, size=32, random_state=2)

    def backwards(t, state):
        return -pendulum(t, state, **film.physics_params) - film.missing(t, state)

    before = integrate(backwards, film.initial_states, np.array([0.25, 0.5]))[:, ::-1, 0]
    assert_allclose(angle_in(film.data[:, :2]), before, atol=0.02)
    alone = make_pendulum_images(5, n_context=1, n_times=1, random_state=2)
    radii = np.linalg.norm(alone.initial_states, axis=1)
    assert np.all((radii >= 1.3) & (radii <= 2.3))


def test_noise_has_the_given_standard_deviation_and_leaves_the_truth_alone():
    silent = make_pendulum_images(20, n_times=6, random_state=0)
    noisy = make_pendulum_images(20, n_times=6, noise=0.2, random_state=0)
    assert_array_equal(silent.target, silent.noise_free)
    assert not np.shares_memory(silent.target, silent.noise_free)
    assert_array_equal(noisy.noise_free, silent.noise_free)
    assert_array_equal(noisy.states, silent.states)
    for noise in (noisy.target - noisy.noise_free, noisy.data - noisy.noise_free_data):
        assert noise.std() == pytest.approx(0.2, rel=0.05)
        assert abs(noise.mean()) < 0.02


def test_reproducible():
    options = {"n_times": 4, "noise": 0.1}
    first, again = (make_pendulum_images(2, **options, random_state=3) for _ in range(2))
    assert_array_equal(first.data, again.data)
    assert_array_equal(first.target, again.target)
    assert not np.allclose(first.states, make_pendulum_images(2, **options, random_state=4).states)
