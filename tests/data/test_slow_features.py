"""Slow features of images."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.data.slow_features import slow_features


def test_first_feature_is_the_slowest():
    rng = np.random.default_rng(0)
    time = np.arange(300)
    slow, fast = np.sin(0.05 * time), np.cos(1.5 * time)
    film = np.stack([fast + slow, fast - slow, 2 * fast], axis=1)[None]
    film = film + 1e-6 * rng.normal(size=film.shape)
    offset, factor = slow_features(film)
    features = offset + film[0] @ factor
    assert abs(np.corrcoef(features[:, 0], slow)[0, 1]) > 0.99
    std = features.std(axis=0)
    assert std[0] == pytest.approx(1.0, rel=0.05)
    assert (std[1:] < 0.2).all()


def test_constant_images_keep_their_pixels_as_features():
    offset, factor = slow_features(np.ones((2, 4, 3, 3)))
    assert factor.shape == (9, 9)
    assert not offset.any()
