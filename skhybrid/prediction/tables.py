"""Predict the rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch import Tensor

from skhybrid.data.given_arrays import columns_named
from skhybrid.data.rows import as_tensor, require_range
from skhybrid.model.out_of_memory import memory_errors_named

# Size of a chunk: rows that are predicted at once.
PREDICTION_ROWS = 8192


@memory_errors_named("a prediction", "Predict fewer rows at once.")
def predict_table(
    estimator: Any, X: Any, outputs: Callable[..., tuple[Tensor, ...]]
) -> tuple[np.ndarray, ...]:
    """Return arrays with one value or one row for every row of X.

    Parameters
    ----------
    estimator : HybridRegressor
        Fitted.
    X : array-like of shape (n_samples, n_features)
    outputs : callable
        From (model, rows, coordinates, hold) to tensors.
    """
    with columns_named(X=X):
        X = validate_data(estimator, X, dtype=np.float64, reset=False)
    model, coordinates = estimator._fitted.hybrid, estimator._fitted.coordinates
    dtype, device = model.scales.target_scale.dtype, model.scales.target_scale.device
    require_range("X", X, dtype, getattr(estimator, "feature_names_in_", None))
    hold = estimator.nn_extrapolation == "hold"
    chunks = []
    with torch.no_grad():
        for start in range(0, len(X), PREDICTION_ROWS):
            x = as_tensor(X[start : start + PREDICTION_ROWS], dtype, device)
            chunks.append(outputs(model, x, coordinates, hold))
    return tuple(torch.cat(chunk).cpu().double().numpy() for chunk in zip(*chunks, strict=True))
