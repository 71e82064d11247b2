"""Residuals of rows that a fit has not seen, or of all rows, inflated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skhybrid.inspection.bootstrapping.series import Series, predicted
from skhybrid.inspection.flat_parameters import elements_of, hybrid_of


def held_out_residuals(
    estimators: Sequence[Any],
    X: Any,
    series: Series,
    weight: np.ndarray,
    held_out: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """Return residuals of each row, from the mean of the fits that have not seen it.

    Parameters
    ----------
    estimators : sequence of estimator
        Fitted, each without some rows of X.
    X : array-like
    series : Series
    weight : array of shape (n_samples,)
        A residual is multiplied by the root of its row's weight, so that all have the same
        standard deviation.
    held_out : sequence of bool arrays of shape (n_samples,)
        Rows of X that each fit has not seen.

    Returns
    -------
    list of arrays of shape (n_rows, n_columns)
        Centred; NaN where a target is missing, the weight is zero, or every fit has seen the row.
    """
    sums = [np.zeros_like(each) for each in series.values]
    counts = [np.zeros_like(each) for each in series.values]
    for estimator, rows in zip(estimators, held_out, strict=True):
        new = series.weights_of_rows(rows.astype(float))
        for number, prediction in enumerate(predicted(estimator, X, series)):
            sums[number] += np.where(new[number] > 0, prediction, 0.0)
            counts[number] += np.broadcast_to(new[number], prediction.shape)
    with np.errstate(invalid="ignore"):
        predictions = [total / count for total, count in zip(sums, counts, strict=True)]
    return _centred(_scaled(predictions, series, weight))


def inflated_residuals(
    estimator: Any, X: Any, series: Series, weight: np.ndarray
) -> list[np.ndarray]:
    """Return residuals of the fit's own rows, times √(n / (n − k)) and centred.

    Of n known targets, k are counted as used up: one for each element of θ and for each component
    of an initial state that is learned, and for each output of the network one and one more for
    each of its inputs, as if it were linear. A network that bends uses up more.
    """
    fitted = hybrid_of(estimator)._fitted
    residuals = _scaled(predicted(estimator, X, series, in_sample=True), series, weight)
    n_known = sum(np.count_nonzero(~np.isnan(each)) for each in residuals)
    n_used = len(elements_of(estimator))
    if fitted.learned_states is not None:
        n_used += fitted.learned_states.size
    if fitted.hybrid.network is not None and fitted.trajectory_info is not None:
        n_states = fitted.trajectory_info.layout.state_shape[0]
        n_used += n_states * (len(fitted.trajectory_info.component_names) + 1)
    elif fitted.hybrid.network is not None:
        n_used += series.values[0].shape[1] * (hybrid_of(estimator).n_features_in_ + 1)
    factor = np.sqrt(n_known / max(1, n_known - n_used))
    return _centred([factor * each for each in residuals])


def _scaled(
    predictions: Sequence[np.ndarray], series: Series, weight: np.ndarray
) -> list[np.ndarray]:
    """Return residuals times the root of the weights; NaN for rows of weight zero."""
    roots = series.weights_of_rows(np.sqrt(weight))
    return [
        np.where(root > 0, root * (observed - prediction), np.nan)
        for root, observed, prediction in zip(roots, series.values, predictions, strict=True)
    ]


def _centred(residuals: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return residuals without the mean of each column."""
    pool = np.concatenate(residuals)
    known = ~np.isnan(pool)
    mean = np.where(known, pool, 0.0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
    return [each - mean for each in residuals]
