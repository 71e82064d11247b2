"""The same fitted model with other values of physics parameters."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone

from skhybrid.exceptions import PhysicsError
from skhybrid.fitting.fitted import Fitted
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.param import Param, plain
from skhybrid.model.parameters import ParameterSpace
from skhybrid.runtime.suggestions import suggestion


def copied_with_params(estimator: Any, given: Mapping[str, Any]) -> Any:
    """Return a fitted copy of a fitted estimator, with other physics parameters.

    Parameters
    ----------
    estimator : HybridRegressor
    given : mapping of str to float or array
        As for :func:`with_params`.
    """
    fitted = with_params(estimator._fitted, given)
    copied = clone(estimator)
    own = {*copied.get_params(deep=False)}
    for name, value in vars(estimator).items():
        if name not in own:
            setattr(copied, name, copy.copy(value) if isinstance(value, dict | list) else value)
    vars(copied).update(fitted.attributes())
    return copied


def with_params(fitted: Fitted, given: Mapping[str, Any]) -> Fitted:
    """Return a copy of a fitted model in which some physics parameters have other values.

    The network is copied as it is. There are no standard errors: they belong to the estimate.

    Parameters
    ----------
    fitted : Fitted
    given : mapping of str to float or array
        Values by name of the parameter, fixed ones included, in the user's units.

    Raises
    ------
    PhysicsError
        If there is no such parameter, or the value is no finite number, has another shape, or is
        outside the bounds.
    """
    hybrid, values = fitted.hybrid, fitted.physics_params
    params = {} if hybrid.physics is None else hybrid.physics.params
    changed = {name: _checked(name, value, params, hybrid.varying) for name, value in given.items()}
    found = hybrid.space.values(fitted.coordinates)
    values |= {name: found[name].detach().double().cpu().numpy() for name in hybrid.varying}
    scale = hybrid.scales.target_scale
    # Held, because training keeps a little away from bounds, and the given values may be on them.
    space = ParameterSpace(
        hybrid.physics, {**values, **changed}, dtype=scale.dtype, device=scale.device, held=True
    )
    space.variations = hybrid.space.variations
    states = {name: z for name, z in fitted.coordinates.items() if name == FIRST_STATES}
    model = hybrid.at(space, hybrid.scales).with_network(copy.deepcopy(hybrid.network))
    return replace(
        fitted,
        hybrid=model,
        coordinates=states,
        standard_errors=None,
        set_params={**fitted.set_params, **changed},
    )


def _checked(
    name: str, value: Any, params: Mapping[str, Param], varying: Collection[str]
) -> np.ndarray:
    """Return a value as an array of float64, if the parameter can have it."""
    if name not in params:
        hint = suggestion(name.removeprefix("physics__"), params)
        raise PhysicsError(
            f"The model has no physics parameter named {name!r}{hint} Its "
            f"parameters are: {', '.join(params) or 'none'}."
        )
    if name in varying and params[name].per is not None:
        raise PhysicsError(
            f"{name!r} has a value for each group of {params[name].per!r} (per), so it cannot be "
            "set to one value."
        )
    if name in varying:
        features = ", ".join(str(each) for each in params[name].depends_on)
        raise PhysicsError(
            f"{name!r} is a function of {features} (depends_on), so it cannot be set to one value. "
            "Change these features in X."
        )
    param = params[name]
    try:
        array = Param(plain(value)).value()
    except (TypeError, ValueError) as error:
        raise PhysicsError(
            f"{name} must be a number, or an array of numbers; got {value!r}."
        ) from error
    if array.shape != param.shape:
        raise PhysicsError(
            f"{name}={value!r} has shape {array.shape}, and the parameter has shape {param.shape}."
        )
    if not np.isfinite(array).all():
        raise PhysicsError(f"{name} must be finite; got {value!r}.")
    low, high = param.limits()
    if np.any(array < low) or np.any(array > high):
        unit = f" {param.unit}" if param.unit else ""
        raise PhysicsError(
            f"{name}={value!r} is outside the bounds {param.bounds!r}{unit} of the parameter. "
            "Choose a value inside, or fit with wider bounds: Param(..., bounds=...)."
        )
    return array
