"""Targets as series: a table is one, and every trajectory is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skhybrid.data.missing_targets import read_table_targets
from skhybrid.data.records import read_outputs
from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.model.ode import ODE
from skhybrid.prediction.scores import given_for_rollouts


@dataclass(frozen=True)
class Series:
    """Targets of a table or of trajectories, as arrays with a row for each time.

    Attributes
    ----------
    values : list of arrays of shape (n_rows, n_columns)
        One for a table, one for each trajectory; NaN where a target is missing.
    shape : tuple
        Shape of one target in the user's y.
    trajectories : bool
        Whether they are trajectories.
    ragged : bool
        Whether the user gave a list of arrays.
    """

    values: list[np.ndarray]
    shape: tuple[int, ...]
    trajectories: bool
    ragged: bool = False

    @classmethod
    def of(cls, estimator: Any, y: Any) -> Series:
        """Read the y of a fit; what cannot be read is left to ``fit``, which says more."""
        if not isinstance(hybrid_of(estimator).structure, ODE):
            values = read_table_targets(y)
            return cls([values.reshape(len(values), -1)], values.shape[1:], False)
        outputs, scalar = read_outputs(y, masked=True)
        ragged = isinstance(y, (list, tuple)) and hasattr(y[0], "shape")
        shape = () if scalar else outputs[0].shape[1:]
        return cls([each.reshape(len(each), -1) for each in outputs], shape, True, ragged)

    @property
    def n_samples(self) -> int:
        """Number of rows of X: rows of a table, or trajectories."""
        return len(self.values) if self.trajectories else len(self.values[0])

    @property
    def observed(self) -> np.ndarray:
        """Whether each row of X has a target."""
        if self.trajectories:
            return np.array([not np.isnan(each).all() for each in self.values])
        return ~np.isnan(self.values[0]).all(axis=1)

    def as_given(self, values: Sequence[np.ndarray]) -> Any:
        """Return other values in the form of the user's y."""
        arrays = [each.reshape(len(each), *self.shape) for each in values]
        if not self.trajectories:
            return arrays[0]
        return arrays if self.ragged else np.stack(arrays)

    def weights_of_rows(self, weight: np.ndarray) -> list[np.ndarray]:
        """Return weights of rows of X as a column for each series."""
        if not self.trajectories:
            return [weight[:, None]]
        return [np.full((len(each), 1), w) for each, w in zip(self.values, weight, strict=True)]


def predicted(
    estimator: Any, X: Any, series: Series, *, in_sample: bool = False
) -> list[np.ndarray]:
    """Return predictions of the rows of X as series.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted.
    X : array-like
    series : Series
        What was observed. Unknown initial states are estimated from the first outputs, whose
        predictions are NaN then.
    in_sample : bool, default=False
        Whether the initial states of the fit are used where X holds none.
    """
    if not series.trajectories:
        return [np.reshape(estimator.predict(X), (series.n_samples, -1))]
    model = hybrid_of(estimator)
    image_shape = model._fitted.trajectory_info.layout.output_shape
    outputs = [each.reshape(len(each), *image_shape) for each in series.values]
    if in_sample and model._fitted.hybrid.structure.inputs is not None:
        given, n_first = {"initial_states": _without_gaps(model._fitted.initial_states)}, 0
    elif model._fitted.hybrid.structure.reads_images:
        given, n_first = {}, 0
    else:
        given, n_first = given_for_rollouts(model, X, outputs)
    found = []
    for each, prediction in zip(outputs, estimator.predict(X, **given), strict=True):
        prediction = np.array(prediction[: len(each)], dtype=np.float64).reshape(len(each), -1)
        prediction[:n_first] = np.nan
        found.append(prediction)
    return found


def _without_gaps(states: np.ndarray) -> np.ndarray:
    """Return initial states with the mean in place of those that no row determines."""
    return np.where(np.isnan(states), np.nanmean(states, axis=0), states)
