"""Residuals of a fitted model with the features that they may depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.inspection.residual_checks import ResidualChecks, check_residuals
from skhybrid.inspection.training_rows import TrainingRows
from skhybrid.model.batch import Windows


def check_residuals_of(estimator: Any, rows: TrainingRows) -> ResidualChecks:
    """Test the residuals of a fitted model on the rows of its fit.

    For a table, features are its columns. For an ODE, residuals are those at the first time of
    every training window, and features are the first states and inputs of the window. Noise in
    observed first states makes neighbours differ, so only a positive correlation counts there.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
    rows : TrainingRows
    """
    data, x = rows.data, rows.data.x
    with torch.no_grad():
        prediction, _ = rows.hybrid.evaluate(x, rows.coordinates)
    used = np.ones(len(data.y), dtype=bool)
    if isinstance(x, Windows):
        residuals = _array((data.y - prediction)[:, 0])
        if rows.hybrid.has_hidden_encoder:
            features = np.zeros((len(residuals), 0))
        else:
            parts = [x.first_state] if x.inputs is None else [x.first_state, x.inputs[:, 0]]
            features = np.concatenate([_array(part) for part in parts], axis=1)
        names = [f"component {i}" for i in range(features.shape[1])]
        series = np.asarray(rows.inputs.rows.groups)
    else:
        residuals, features = _array(data.y - prediction), _array(x)
        model = hybrid_of(estimator)
        names = [*getattr(model, "feature_names_in_", (f"column {i}" for i in range(x.shape[1])))]
        series = None
    if data.weight is not None:
        used = _array(data.weight).min(axis=1) > 0
    worst = None
    for column in range(residuals.shape[1]):
        target = _array(data.y[:, 0] if isinstance(x, Windows) else data.y)[used, column]
        found = check_residuals(
            residuals[used, column],
            float(target.std()),
            features[used],
            names,
            None if series is None else series[used],
        )
        if worst is None or found.predictable > worst.predictable:
            worst = found
    return worst


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array of two dimensions, in float64."""
    return tensor.double().cpu().numpy().reshape(len(tensor), -1)
