"""Physics parameters of fitted models, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skhybrid.model_selection.scoring import free_elements


def hybrid_of(estimator: Any) -> Any:
    """Return the HybridRegressor of an estimator: itself, or the last step of a pipeline.

    Raises
    ------
    TypeError
        If it is neither.
    """
    model = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(model, "_can_be_batched"):
        raise TypeError(
            f"The estimator must be a HybridRegressor, or a pipeline that ends in one, and this "
            f"one is a {type(model).__name__}."
        )
    return model


def elements_of(estimator: Any) -> dict[str, float]:
    """Return the free elements of the physics parameters of a fitted model, such as "gain[0]"."""
    model = hybrid_of(estimator)
    return free_elements(model.physics_params_, model)


def in_shape(elements: Mapping[str, float], model: Any) -> dict[str, float | np.ndarray]:
    """Return numbers for elements as numbers for parameters, in their shapes.

    Parameters
    ----------
    elements : mapping of str to float
        As from :func:`elements_of`; what is missing is NaN.
    model : HybridRegressor
        Fitted.
    """
    found = {}
    for name in hybrid_of(model)._fitted.free_names:
        shape = np.shape(hybrid_of(model).physics_params_[name])
        values = np.empty(shape)
        for index in np.ndindex(shape):
            number = f"[{', '.join(map(str, index))}]" if index else ""
            values[index] = elements.get(f"{name}{number}", np.nan)
        found[name] = values if shape else float(values)
    return found
