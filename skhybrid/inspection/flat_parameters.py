"""Physics parameters of fitted models, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skhybrid.fitting.parameter_warnings import listed
from skhybrid.model.physics import as_physics
from skhybrid.model_selection.scoring import free_elements

NONE_FREE = (
    "The model has no free physics parameters, so there is nothing to report. Give physics with at "
    "least one parameter that is not fixed and does not depend on features."
)


def hybrid_of(estimator: Any) -> Any:
    """Return the HybridRegressor of an estimator: itself, or the last step of a pipeline.

    Raises
    ------
    TypeError
        If it is neither.
    """
    model = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(model, "_can_be_batched"):
        hint = ""
        if hasattr(model, "estimator"):
            hint = " Give its best_estimator_."
        elif hasattr(model, "regressor"):
            hint = " Give its regressor_, with the target that this one has seen."
        raise TypeError(
            f"The estimator must be a HybridRegressor, or a pipeline that ends in one, and this "
            f"one is a {type(model).__name__}.{hint}"
        )
    return model


def constants_of(estimator: Any) -> dict[str, float | np.ndarray]:
    """Return all physics parameters of a fitted model.

    For functions of features, these are the constants around which they vary.
    """
    model = hybrid_of(estimator)
    fitted = model._fitted
    values = fitted.hybrid.space.values(fitted.coordinates)
    constants = {name: each.detach().double().cpu().numpy() for name, each in values.items()}
    return constants | model.physics_params_


def elements_of(estimator: Any) -> dict[str, float]:
    """Return the free elements of the physics parameters of a fitted model, such as "gain[0]"."""
    model = hybrid_of(estimator)
    return free_elements(model.physics_params_, model)


def require_free_elements(estimator: Any) -> None:
    """Raise a ValueError if a fitted model has no free physics parameters, or set ones."""
    require_estimated(estimator)
    if not hybrid_of(estimator)._fitted.free_names:
        raise ValueError(NONE_FREE)


def require_estimated(estimator: Any) -> None:
    """Raise a ValueError if ``with_params`` has set parameters of a fitted model."""
    given = [*hybrid_of(estimator)._fitted.set_params]
    if given:
        raise ValueError(
            f"with_params has set {listed(given)}: this model is for what-if predictions, and how "
            "sure an estimate is can be asked of the fitted model only. Give the model that was "
            "fitted."
        )


def require_free_physics(model: Any) -> None:
    """Raise a ValueError if a model that need not be fitted has no free physics parameters."""
    physics = None if model.physics is None else as_physics(model.physics)
    if physics is None or not physics.free:
        raise ValueError(NONE_FREE)


def limits_of(estimator: Any) -> dict[str, tuple[float, float]]:
    """Return the bounds of each free element of a fitted model, infinite where open."""
    model = hybrid_of(estimator)
    params = model._fitted.hybrid.physics.params if model._fitted.free_names else {}
    sides = [{name: params[name].limits()[side] for name in params} for side in (0, 1)]
    low, high = (free_elements(side, model) for side in sides)
    return {name: (low[name], high[name]) for name in low}


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
