"""The rows of a fit, read again: a fitted model does not keep its data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skhybrid.batching.auto_parameters import auto_parameters
from skhybrid.data.rows import Rows
from skhybrid.fitting.inputs import FitInputs, read_inputs
from skhybrid.fitting.settings import FitSettings
from skhybrid.inspection.flat_parameters import hybrid_of, require_estimated
from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import FIRST_STATES
from skhybrid.training.losses import SQUARED_ERROR, Loss


@dataclass(frozen=True)
class TrainingRows:
    """A fitted model and rows that it can be evaluated on.

    Attributes
    ----------
    hybrid : Hybrid
    coordinates : dict of str to Tensor
        Fitted coordinates of the physics parameters. Learned first states are in ``data``.
    data : Batch
        Rows of a table, or windows of trajectories, as tensors.
    inputs : FitInputs
        The same rows as arrays.
    cost : Loss
        What an error costs in the fit.
    """

    hybrid: Hybrid
    coordinates: dict
    data: Batch
    inputs: FitInputs
    cost: Loss = SQUARED_ERROR


def training_rows(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> TrainingRows:
    """Read the rows that a model was fitted to, as its fit has read them.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted.
    X, y, sample_weight : array-like
        As given to ``fit``.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If ``with_params`` has set parameters of the model, a table has other columns than in the
        fit, or the model has learned initial states and these are other trajectories.
    """
    check_is_fitted(hybrid_of(estimator), "_fitted")
    require_estimated(estimator)
    if isinstance(estimator, Pipeline):
        X = estimator[:-1].transform(X)
    model = hybrid_of(estimator)
    # A clone notes the features.
    unfitted = clone(model).set_params(warm_start=False, nn_features=None)
    chosen = {name: getattr(model, f"{name}_") for name in auto_parameters(unfitted)}
    unfitted.set_params(**chosen)
    settings = FitSettings.of(unfitted)
    inputs = read_inputs(
        settings, unfitted, X, y, sample_weight, group_labels=model._fitted.group_labels
    )
    _require_same_columns(model, inputs)
    fitted = model._fitted
    if fitted.window is not None:
        inputs = inputs.at_window(fitted.window)
    hybrid, coordinates = fitted.hybrid, dict(fitted.coordinates)
    if coordinates.pop(FIRST_STATES, None) is not None:
        inputs = replace(inputs, rows=_at_learned_states(inputs.rows, fitted.window_states))
    scale = hybrid.scales.target_scale
    data = inputs.rows.tensors(scale.dtype, scale.device)
    return TrainingRows(hybrid, coordinates, data, replace(inputs, earlier=()), settings.cost)


def _require_same_columns(model: Any, inputs: FitInputs) -> None:
    """Raise a ValueError if a table has other columns than in the fit."""
    before, now = getattr(model, "feature_names_in_", None), inputs.feature_names
    if inputs.trajectory_info is None and before is not None and now is not None:
        if list(before) != list(now):
            raise ValueError(
                f"X has the columns {list(now)}, and the model was fitted with {list(before)}. "
                "Give the same columns in the same order."
            )


def _at_learned_states(rows: Rows, states: np.ndarray) -> Rows:
    """Return the training windows at their learned first states, which are then given ones."""
    n_windows = int(rows.x.index.max()) + 1
    if n_windows != len(states):
        raise ValueError(
            f"The model has learned {len(states)} initial states, and these trajectories have "
            f"{n_windows}. Give the X and y of its fit."
        )
    first = states[rows.x.index]
    known = np.flatnonzero(~np.isnan(first).reshape(len(first), -1).any(axis=1))
    kept = np.arange(len(rows)) if rows.kept is None else rows.kept
    rows, first = replace(rows.select(known), kept=kept[known]), first[known]
    return replace(rows, x=rows.x._replace(first_state=first, index=None))
