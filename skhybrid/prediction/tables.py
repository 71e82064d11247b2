"""Predict the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch import Tensor

from skhybrid.data.given_arrays import columns_named
from skhybrid.data.group_columns import encode_groups
from skhybrid.data.rows import as_tensor, require_range
from skhybrid.exceptions import PhysicsError
from skhybrid.model.hybrid import Hybrid
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

    Raises
    ------
    PhysicsError
        If an output is not finite, because it is beyond the range of the dtype, for example.
    """
    names = getattr(estimator, "feature_names_in_", None)
    X = encode_groups(X, estimator._fitted.group_labels, names)
    with columns_named(X=X):
        X = validate_data(estimator, X, dtype=np.float64, reset=False)
    model, coordinates = estimator._fitted.hybrid, estimator._fitted.coordinates
    dtype, device = model.scales.target_scale.dtype, model.scales.target_scale.device
    require_range("X", X, dtype, names)
    hold = estimator.nn_extrapolation == "hold"
    chunks = []
    with torch.no_grad():
        for start in range(0, len(X), PREDICTION_ROWS):
            x = as_tensor(X[start : start + PREDICTION_ROWS], dtype, device)
            chunks.append(outputs(model, x, coordinates, hold))
    whole = [torch.cat(chunk).cpu().double().numpy() for chunk in zip(*chunks, strict=True)]
    for each in whole:
        finite = np.isfinite(each).reshape(len(each), -1).all(axis=1)
        if not finite.all():
            raise PhysicsError(_not_finite(model, coordinates, X, np.flatnonzero(~finite)))
    return tuple(whole)


def _not_finite(
    model: Hybrid, coordinates: Mapping[str, Tensor], X: np.ndarray, wrong: np.ndarray
) -> str:
    """Return an error message about rows whose prediction is not finite."""
    scale = model.scales.target_scale
    row = X[wrong[0]]
    with torch.no_grad():
        part = model.physics_part(as_tensor(row[None], scale.dtype, scale.device), coordinates)
    who = "The model"
    if model.physics is not None and not bool(torch.isfinite(part).all()):
        who = f"The physics {model.physics.name!r}"
    wider = "" if scale.dtype == torch.float64 else ", or fit with dtype='float64'"
    shown = np.array2string(row, precision=6, threshold=8)
    return (
        f"{who} is not finite in {scale.dtype} for {len(wrong)} of {len(X)} rows of X; the first "
        f"is row {wrong[0]}, {shown}. Leave these rows out or guard the function "
        f"(torch.clamp, torch.where){wider}."
    )
