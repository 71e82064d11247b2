"""Find features of images that change slowly."""

from __future__ import annotations

import numpy as np

# Slow features are combinations of the principal components that hold this part of the variance.
EXPLAINED = 0.95
# The principal components come from at most about this many images.
MAX_IMAGES = 2000


def slow_features(images_over_time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return linear features of images, from slow to fast change between consecutive images.

    Parameters
    ----------
    images_over_time : array of shape (n, n_times, *image_shape)
        Images with NaN are ignored.

    Returns
    -------
    offset : array of shape (n_features,)
    factor : array of shape (n_pixels, n_features)
        Features are offset + pixels · factor, with mean zero. Their standard deviation is inversely
        proportional to how fast they change; the slowest feature has standard deviation one.
    """
    pairs = np.stack([images_over_time[:, :-1], images_over_time[:, 1:]], axis=2)
    pairs = pairs.reshape(-1, 2, int(np.prod(images_over_time.shape[2:])))
    pairs = pairs[~np.isnan(pairs).any(axis=(1, 2))]
    pairs = pairs[:: max(1, -(-2 * len(pairs) // MAX_IMAGES))]
    images = pairs.reshape(-1, pairs.shape[-1])
    n_pixels = images.shape[1]
    if len(images) == 0 or not images.std(axis=0).any():
        return np.zeros(n_pixels), np.eye(n_pixels)
    mean = images.mean(axis=0)
    _, singular, components = np.linalg.svd(images - mean, full_matrices=False)
    explained = np.cumsum(singular**2) / np.sum(singular**2)
    n_components = 1 + int(np.sum(explained < EXPLAINED))
    std = singular[:n_components] / np.sqrt(len(images))
    white = components[:n_components].T / std
    change = (pairs[:, 1] - pairs[:, 0]) @ white
    squares, directions = np.linalg.eigh(change.T @ change / len(change))
    speed = np.sqrt(np.maximum(squares, np.finfo(float).eps))
    factor = white @ directions * (speed[0] / speed)
    return -mean @ factor, factor
