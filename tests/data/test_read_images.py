"""Images over time as users give them."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid import HybridRegressor, LatentODE
from skhybrid.data.read_images import read_images

RNG = np.random.default_rng(0)
N, CONTEXT, TIMES, SHAPE = 4, 3, 6, (2, 3)
CONTEXT_IMAGES = RNG.normal(size=(N, CONTEXT, *SHAPE))
LATER_IMAGES = RNG.normal(size=(N, TIMES, *SHAPE))


def read(X=CONTEXT_IMAGES, y=LATER_IMAGES, *, sample_weight=None, masked=False):
    """Return the trajectories of images without physics, their facts and the estimator."""
    ode = LatentODE(4, 4, n_states=2, dt=0.1)
    model = HybridRegressor(None, nn=(4,), structure=ode)
    given = (model, ode, None, X, y, sample_weight)
    return (*read_images(*given, masked=masked, reset=True), model)


def test_states_are_the_context_images_up_to_each_time():
    films, info, model = read()
    images = np.concatenate([CONTEXT_IMAGES, LATER_IMAGES], axis=1)
    assert films.states.shape == (N, TIMES + 1, CONTEXT, *SHAPE)
    for k in range(TIMES + 1):
        np.testing.assert_array_equal(films.states[:, k], images[:, k : k + CONTEXT])
    np.testing.assert_array_equal(films.outputs, images[:, CONTEXT - 1 :])
    np.testing.assert_allclose(info.times, 0.1 * np.arange(TIMES + 1))
    assert info.x_shape == (CONTEXT, *SHAPE)
    assert info.component_names == ("state_0", "state_1", "time")
    assert info.layout.state_shape == (2,)
    assert info.layout.output_shape == SHAPE
    assert model.n_features_in_ == CONTEXT


def test_scales_are_mean_and_standard_deviation_of_all_pixels():
    _, info, _ = read()
    pixels = np.concatenate([CONTEXT_IMAGES, LATER_IMAGES], axis=1)
    assert float(info.scales.target_mean) == pytest.approx(pixels.mean())
    assert float(info.scales.target_scale) == pytest.approx(pixels.std())
    assert not info.scales.first_guess.any()


def test_windows_know_the_images_at_their_ends():
    films, info, _ = read()
    rows = films.windows(2, info.scales)
    assert len(rows) == N * (TIMES - 1)
    np.testing.assert_array_equal(rows.x.next_state[0], films.states[0, 2])
    np.testing.assert_array_equal(rows.x.next_index, 0)


def test_windows_whose_last_images_are_missing_have_no_next_state():
    y = LATER_IMAGES.copy()
    y[0, 3] = np.nan
    films, info, _ = read(y=y, masked=True)
    rows = films.windows(2, info.scales)
    assert np.isfinite(rows.x.next_state).all()
    missing = np.isnan(films.states[0]).any(axis=(1, 2, 3))
    starts = np.flatnonzero(~missing[:-2])
    of_first = rows.x.next_index[: len(starts)]
    np.testing.assert_array_equal(of_first == -1, missing[starts + 2])
    assert (of_first == -1).any()
    np.testing.assert_array_equal(rows.x.next_index[len(starts) :], 0)


def test_weights_belong_to_trajectories():
    films, _, _ = read(sample_weight=[1.0, 2.0, 0.0, 1.0])
    np.testing.assert_array_equal(films.weight, [1.0, 2.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (CONTEXT_IMAGES[:3], LATER_IMAGES),
        (CONTEXT_IMAGES[..., 1:], LATER_IMAGES),
        (CONTEXT_IMAGES, [*LATER_IMAGES[:3], LATER_IMAGES[3, :2]]),
    ],
    ids=["different numbers of sequences", "different pixels", "different lengths"],
)
def test_images_of_x_and_y_must_agree(X, y):
    with pytest.raises(ValueError, match="X must hold the images up to time 0"):
        read(X, y)
