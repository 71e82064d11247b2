"""Which rows lie outside of the range of the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skhybrid.data.group_columns import encode_groups
from skhybrid.inspection.bootstrapping.series import Series
from skhybrid.inspection.flat_parameters import hybrid_of

# For an ODE, network inputs are held only where they leave the training range by more than this
# part of it: rollouts of a good model leave it a little.
MARGIN = 0.1


@dataclass(frozen=True)
class TrainingRange:
    """Smallest and largest value of each column that training has seen.

    Attributes
    ----------
    x : array of shape (2, n_columns)
        Of the features, the inputs over time, or the initial states.
    y : array of shape (2, n_outputs), or None
        Of the outputs of trajectories; None for a table.
    """

    x: np.ndarray
    y: np.ndarray | None = None

    @classmethod
    def of(cls, estimator: Any, X: Any, series: Series, used: np.ndarray) -> TrainingRange:
        """Note the range of the training rows.

        Parameters
        ----------
        estimator : HybridRegressor or Pipeline
            Fitted.
        X : array-like
        series : Series
        used : bool array of shape (n_samples,)
            Rows with a weight.
        """
        given = [each for each, kept in zip(_rows_of(estimator, X), used, strict=True) if kept]
        x = _range(np.concatenate(given))
        if not series.trajectories:
            return cls(x)
        outputs = [each for each, kept in zip(series.values, used, strict=True) if kept]
        y = _range(_columns(estimator, np.concatenate(outputs)))
        if x.shape == y.shape and hybrid_of(estimator)._fitted.hybrid.structure.inputs is None:
            # X holds initial states, or the first images, of the same columns.
            x = y = _range(np.concatenate([x, y]))
        width = MARGIN * (y[1] - y[0])
        return cls(x, y + np.stack([-width, width]))

    def outside(self, estimator: Any, X: Any, prediction: Any) -> np.ndarray:
        """Return whether each row of X leaves the range, at any time if it is a trajectory.

        Parameters
        ----------
        estimator : HybridRegressor or Pipeline
        X : array-like
        prediction : array or list of arrays
            Prediction of the rows of X.
        """
        found = np.array([_leaves(each, self.x) for each in _rows_of(estimator, X)], dtype=bool)
        if self.y is not None:
            outputs = [
                _columns(estimator, np.reshape(each, (len(each), -1))) for each in prediction
            ]
            found |= [_leaves(each, self.y) for each in outputs]
        return found


def _rows_of(estimator: Any, X: Any) -> list[np.ndarray]:
    """Return what the last step reads: for every row of X an array with columns."""
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = estimator[:-1].transform(X)
    structure = hybrid_of(estimator)._fitted.hybrid.structure
    if getattr(structure, "inputs", None) is not None:
        return [np.asarray(each, dtype=np.float64) for each in X]
    model = hybrid_of(estimator)
    names = getattr(model, "feature_names_in_", None)
    X = encode_groups(X, model._fitted.group_labels, names, tell=False)
    rows = np.asarray(X, dtype=np.float64)
    return [*_columns(estimator, rows.reshape(len(rows), -1))[:, None]]


def _columns(estimator: Any, rows: np.ndarray) -> np.ndarray:
    """Return rows with their columns; the pixels of images are one column with two values."""
    if not getattr(hybrid_of(estimator)._fitted.hybrid.structure, "reads_images", False):
        return rows
    return np.stack([np.nanmin(rows, axis=1), np.nanmax(rows, axis=1)], axis=1)


def _range(rows: np.ndarray) -> np.ndarray:
    """Return the smallest and the largest known value of each column."""
    return np.stack([np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)])


def _leaves(rows: np.ndarray, limits: np.ndarray) -> bool:
    """Whether a value lies beyond the limits of its column; what is not finite does."""
    return not bool(((rows >= limits[0]) & (rows <= limits[1])).all())
