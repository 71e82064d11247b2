"""What the bootstrap draws: rows of X, groups of rows, or trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from skhybrid.inspection.bootstrapping.series import Series

# A fold for every fifth unit, as for cross-validation elsewhere in the package.
N_FOLDS = 5
# Rows in an order are held out in chunks of neighbours, this many for each fold, so that every fold
# holds out chunks from the whole range.
CHUNKS_PER_FOLD = 4


def read_sample_weight(series: Series, sample_weight: Any) -> np.ndarray:
    """Return the weights of the rows of X, 1 by default."""
    if sample_weight is None:
        return np.ones(series.n_samples)
    return _check_sample_weight(
        sample_weight, np.empty((series.n_samples, 1)), ensure_non_negative=True
    )


def units_of(series: Series, weight: np.ndarray, groups: Any) -> np.ndarray:
    """Return the number of the unit of every row of X; −1 for rows that no fit reads.

    Parameters
    ----------
    series : Series
    weight : array of shape (n_samples,)
        Rows of weight zero, or without a target, belong to no unit.
    groups : array-like of shape (n_samples,) or None
        Rows of one group are one unit; None makes every row of X a unit.
    """
    used = (weight > 0) & series.observed
    units = np.full(series.n_samples, -1)
    if groups is None:
        units[used] = np.arange(np.count_nonzero(used))
        return units
    groups = np.asarray(groups)
    check_consistent_length(weight, groups)
    units[used] = np.unique(groups[used], return_inverse=True)[1]
    return units


def require_units(units: np.ndarray, series: Series, groups: Any, kind: str) -> int:
    """Return the number of units, or raise a ValueError if there is one only."""
    n_units = int(units.max(initial=-1)) + 1
    if n_units < 2:
        what = "trajectories" if series.trajectories else "rows"
        what = what if groups is None else "groups"
        raise ValueError(
            f"kind={kind!r} draws whole {what}, and there is a single one with a target and a "
            "weight above zero. kind='block' resamples blocks of neighbouring residuals within it."
        )
    return n_units


def draw_weights(
    units: np.ndarray, n_units: int, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return weights times how often each unit is drawn, with replacement.

    Every replicate has the same number of distinct units, that of the mean draw of n out of n:
    units are drawn until the next new one would exceed it (Rao, Pathak and Koltchinskii 1997). So
    all replicates hold about the same information, and, if units have as many rows, one batch can
    train them all.
    """
    # Rounded down: with few units the variance is then that of the mean or a little above.
    n_distinct = int(n_units * (1.0 - (1.0 - 1.0 / n_units) ** n_units))
    drawn = rng.integers(n_units, size=n_units)
    while True:
        first = np.sort(np.unique(drawn, return_index=True)[1])
        if len(first) > n_distinct:
            break
        drawn = np.concatenate([drawn, rng.integers(n_units, size=n_units)])
    counts = np.bincount(drawn[: first[n_distinct]], minlength=n_units)
    return np.where(units >= 0, counts[units] * weight, 0.0)


def folds_of(units: np.ndarray, *, in_order: bool, rng: np.random.Generator) -> np.ndarray:
    """Return the fold of every row of X, whole units; −1 for rows of no unit.

    Parameters
    ----------
    units : array of int, shape (n_samples,)
    in_order : bool
        Whether neighbours are in the same fold where possible, because they are not independent.
    rng : numpy Generator
    """
    n_units = int(units.max()) + 1
    n_folds = min(N_FOLDS, n_units)
    if in_order:
        size = -(-n_units // (n_folds * CHUNKS_PER_FOLD))
        fold = np.arange(n_units) // size % n_folds
    else:
        fold = rng.permutation(np.arange(n_units) % n_folds)
    return np.where(units >= 0, fold[units], -1)
