"""Losses of fitted models on rows held out, and which of these rows are at the edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.model.ode import ODE

# The rows farthest out are at the edge: this part of the training rows.
EDGE = 0.2


@dataclass(frozen=True)
class Data:
    """Rows as the user gave them.

    Attributes
    ----------
    X, y : array-like
        As for ``fit``.
    weight : array of shape (n_samples,) or None
    """

    X: Any
    y: Any
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return _num_samples(self.X)

    def select(self, rows: np.ndarray) -> Data:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return Data(_safe_indexing(self.X, rows), _safe_indexing(self.y, rows), weight)


def target_deviation(data: Data) -> np.ndarray:
    """Return the weighted standard deviation of each target of a table."""
    y = np.asarray(data.y, dtype=float)
    known = ~np.isnan(y)
    weight = np.ones(len(y)) if data.weight is None else data.weight
    weight = known * weight.reshape(-1, *[1] * (y.ndim - 1))
    y = np.where(known, y, 0.0)
    mean = (weight * y).sum(axis=0) / weight.sum(axis=0)
    deviation = np.sqrt((weight * (y - mean) ** 2).sum(axis=0) / weight.sum(axis=0))
    if not np.all(deviation > 0.0):
        raise ValueError(
            "y is constant, or a column of it is, so a loss relative to its variance "
            "says nothing. Give a target that varies."
        )
    return deviation


def held_out_loss(estimator: Any, data: Data, deviation: np.ndarray | None) -> float:
    """Return the mean weighted squared error in units of the target's variance.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted to other rows.
    data : Data
    deviation : array or None
        Standard deviation of each target of a table. For trajectories, None: the loss is 1 − score,
        in units of the variance of these trajectories.
    """
    if not len(data):
        return np.nan
    if deviation is None:
        return 1.0 - float(estimator.score(data.X, data.y, sample_weight=data.weight))
    error = (np.asarray(data.y, dtype=float) - estimator.predict(data.X)) / deviation
    weight = np.ones(len(error)) if data.weight is None else data.weight
    weight = ~np.isnan(error) * weight.reshape(-1, *[1] * (error.ndim - 1))
    total = weight.sum()
    return float(np.sum(weight * np.nan_to_num(error) ** 2) / total) if total else np.nan


def reads_trajectories(estimator: Any) -> bool:
    """Whether samples are trajectories."""
    return isinstance(hybrid_of(estimator).structure, ODE)


def at_edge(X: Any, train: np.ndarray, test: np.ndarray) -> np.ndarray | str:
    """Return which test rows are at the edge of the training rows.

    The distance of a row is that of its column farthest from the median, in ranks among the
    training rows. A row is at the edge if a fifth of the training rows at most are as far out.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features, or initial states of trajectories.
    train, test : array of int
        Rows.

    Returns
    -------
    array of bool of shape (n_test,), or str
        The reason why no row has a place.
    """
    try:
        table = np.asarray(X, dtype=float)
    except (TypeError, ValueError):
        return "The samples have no place in a range: X is no table of numbers."
    if table.ndim != 2:
        return "The samples have no place in a range: X is no table."
    known = table[train]
    varies = (np.ptp(known, axis=0) > 0) & np.isfinite(known).all(axis=0)
    varies &= [len(np.unique(column)) > 2 for column in known.T]
    if not varies.any():
        return "The samples have no place in a range: no column of X has more than two values."
    columns = [np.sort(column) for column in known[:, varies].T]
    distances = [_distance(columns, table[rows][:, varies]) for rows in (train, test)]
    return distances[1] > np.quantile(distances[0], 1.0 - EDGE)


def _distance(columns: list[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Return the largest distance from the median over columns, in ranks from 0 to 1."""
    ranks = []
    for column, values in zip(columns, rows.T, strict=True):
        below = np.searchsorted(column, values, side="left")
        up_to = np.searchsorted(column, values, side="right")
        ranks.append(np.abs((below + up_to) / len(column) - 1.0))
    return np.max(ranks, axis=0)
