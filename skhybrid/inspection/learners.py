"""Learners that tell how much of a quantity some inputs can predict, on rows held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

FOLDS = KFold(4, shuffle=True, random_state=0)
# A learner that predicts so much is good enough: no other one is tried.
PREDICTED = 0.999
# Kernels need the square of the number of points.
MAX_KERNEL_POINTS = 800
MAX_POLYNOMIAL_INPUTS = 12


def best_prediction(
    inputs: np.ndarray,
    values: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
) -> np.ndarray:
    """Predict every row from the other rows, by the learner that does best.

    The learners are polynomials of third degree, Gaussian kernels and boosted trees.

    Parameters
    ----------
    inputs : array of shape (n, n_inputs)
    values : array of shape (n,)
    splits : sequence of (train, test) arrays of int, default=None
        Folds, each row in one test set; None is four folds of rows drawn at random.

    Returns
    -------
    array of shape (n,)
        The mean of the values where no learner does better.
    """
    mean, size = values.mean(), values.std()
    best, least = np.full(len(values), mean), float(len(values))
    if size == 0.0 or len(values) < 2 * FOLDS.get_n_splits():
        return best
    scaled = (values - mean) / size
    with threadpool_limits(1):
        for learner in _learners(*inputs.shape):
            if least <= (1.0 - PREDICTED) * len(values):
                break
            predicted = cross_val_predict(learner, inputs, scaled, cv=splits or FOLDS)
            left = float(np.sum((scaled - predicted) ** 2))
            if left < least:
                best, least = mean + size * predicted, left
    return best


def _learners(n_points: int, n_inputs: int) -> Iterator:
    """Yield learners, fast ones first."""
    if n_inputs <= MAX_POLYNOMIAL_INPUTS:
        polynomial = PolynomialFeatures(3, include_bias=False)
        yield make_pipeline(StandardScaler(), polynomial, RidgeCV(np.logspace(-8, 2, 6)))
    if n_points <= MAX_KERNEL_POINTS:
        for gamma, alpha in ((0.1, 1e-4), (1.0, 1e-4), (1.0, 1.0)):
            kernel = KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma / n_inputs)
            yield make_pipeline(StandardScaler(), kernel)
    yield HistGradientBoostingRegressor(max_iter=60, random_state=0)
