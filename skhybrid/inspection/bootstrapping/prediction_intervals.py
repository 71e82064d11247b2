"""Quantiles of what the replicates predict, with or without the noise of a new measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Draws of the noise for each replicate: with 40 replicates a quantile rests on 1,280 draws.
N_NOISE_DRAWS = 32
# So many numbers are drawn at once.
CHUNK = 2**22


def quantiles_of(
    predictions: Sequence[Any],
    interval: float,
    *,
    noise: np.ndarray | None = None,
    rng: np.random.Generator,
) -> tuple[Any, Any]:
    """Return the lower and the upper quantile of predictions, in their shape.

    Parameters
    ----------
    predictions : sequence of arrays, or of lists of arrays
        From each replicate. Entries that are not finite are left out.
    interval : float
        Part between both quantiles.
    noise : array of shape (n, n_columns) or None
        Residuals; rows drawn from them are added to the predictions.
    rng : numpy Generator
    """
    if isinstance(predictions[0], list):
        pairs = [
            quantiles_of([each[i] for each in predictions], interval, noise=noise, rng=rng)
            for i in range(len(predictions[0]))
        ]
        return [low for low, _ in pairs], [high for _, high in pairs]
    stacked = np.stack(predictions)
    ends = ends_of(interval)
    if noise is None:
        return tuple(quantiles(stacked, ends))
    shape, n_columns = stacked.shape[1:], noise.shape[1]
    flat = stacked.reshape(len(stacked), -1, n_columns)
    found = np.empty((2, *flat.shape[1:]))
    size = max(1, CHUNK // (len(flat) * N_NOISE_DRAWS * n_columns))
    for begin in range(0, flat.shape[1], size):
        part = flat[None, :, begin : begin + size]
        drawn = noise[rng.integers(len(noise), size=(N_NOISE_DRAWS, *part.shape[1:3]))]
        noisy = (part + drawn).reshape(-1, *part.shape[2:])
        found[:, begin : begin + size] = quantiles(noisy, ends)
    return tuple(found.reshape(2, *shape))


def ends_of(level: float) -> list[float]:
    """Return the probabilities below both ends of a central interval."""
    return [(1.0 - level) / 2.0, (1.0 + level) / 2.0]


def quantiles(replicates: np.ndarray, ends: Sequence[float]) -> np.ndarray:
    """Return quantiles along the first axis, of what is finite.

    Of R sorted values, the k-th is the quantile k / (R + 1), so that a new value falls below it
    with this probability; beyond the first and the last, these are returned.
    """
    finite = np.isfinite(replicates)
    if finite.all():
        return np.quantile(replicates, ends, axis=0, method="weibull")
    kept = np.where(finite, replicates, np.nan)
    return np.nanquantile(kept, ends, axis=0, method="weibull")
