"""Slow features of images."""

from __future__ import annotations

import numpy as np

# Slow features are sought among principal components of the images with this part of the variance,
# of so many images.
EXPLAINED = 0.95


MOST_IMAGES = 2000


def slow_features(film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the linear features of images that change least from one image to the next.

    Parameters
    ----------
    film : array of shape (n, n_times, *image_shape)
        NaN in an image leaves it out.

    Returns
    -------
    offset : array of shape (n_features,)
    factor : array of shape (n_pixels, n_features)
        Features are offset + pixels · factor, of mean zero. Their spread is in inverse proportion
        to how fast they change; that of the slowest is one.
    """
    pairs = np.stack([film[:, :-1], film[:, 1:]], axis=2)
    pairs = pairs.reshape(-1, 2, int(np.prod(film.shape[2:])))
    pairs = pairs[~np.isnan(pairs).any(axis=(1, 2))]
    pairs = pairs[:: max(1, -(-2 * len(pairs) // MOST_IMAGES))]
    images = pairs.reshape(-1, pairs.shape[-1])
    n_pixels = images.shape[1]
    if len(images) == 0 or not images.std(axis=0).any():
        return np.zeros(n_pixels), np.eye(n_pixels)
    mean = images.mean(axis=0)
    _, singular, components = np.linalg.svd(images - mean, full_matrices=False)
    explained = np.cumsum(singular**2) / np.sum(singular**2)
    n_components = 1 + int(np.sum(explained < EXPLAINED))
    spread = singular[:n_components] / np.sqrt(len(images))
    white = components[:n_components].T / spread
    change = (pairs[:, 1] - pairs[:, 0]) @ white
    squares, directions = np.linalg.eigh(change.T @ change / len(change))
    speed = np.sqrt(np.maximum(squares, np.finfo(float).eps))
    factor = white @ directions * (speed[0] / speed)
    return -mean @ factor, factor
