"""Clones of an estimator that hold some elements of the physics parameters at given values."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.model.param import Param
from skhybrid.model.physics import Physics, as_physics


def holding(estimator: Any, elements: Sequence[str]) -> Any:
    """Return a clone whose fits leave some elements of the physics parameters where they start.

    It has no restarts, because they would draw the held elements. Clones that start elsewhere can
    be trained in one batch; with ``Param(fixed=True)`` they could not, because all members of a
    batch share fixed values. A parameter with a held element has no prior, which would move it.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
    elements : sequence of str
        Such as "gain[0]".

    Returns
    -------
    estimator
        Its physics is a :class:`~skhybrid.Physics`.
    """
    copied = clone(estimator)
    model = hybrid_of(copied)
    physics = as_physics(model.physics)
    masks = _masks(physics, elements)
    model.set_params(n_restarts=1)
    if isinstance(physics.function, torch.nn.Module):
        changed = {name: _fixed(physics, name, mask) for name, mask in masks.items()}
        params = {**physics.params, **changed}
        model.set_params(physics=Physics(physics.function, **params))
    else:
        held = _with_held(physics.function, masks)
        params = {**physics.params, **{n: _without_prior(physics.params[n]) for n in masks}}
        model.set_params(physics=Physics(held, **params))
    return copied


def start_at(
    estimator: Any,
    elements: Mapping[str, float],
    others: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """Return the parameters of an estimator that let its physics start at some values.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        From :func:`holding`.
    elements : mapping of str to float
        Values of elements, such as {"gain[0]": 1.0}; a value beyond a bound becomes the bound.
    others : mapping of str to (float or array), default=None
        Values of whole parameters, such as ``physics_params_``; missing ones stay as they are.

    Returns
    -------
    dict of str to array
        Such as {"physics__gain": ...}, for :class:`~skhybrid.inspection.refits.Refit`.
    """
    physics = hybrid_of(estimator).physics
    values = {name: np.array(value, dtype=float) for name, value in (others or {}).items()}
    for element, value in elements.items():
        name, index = split_element(element)
        param = physics.params[name]
        whole = values.setdefault(name, np.array(param.value()))
        low, high = param.limits()
        whole[index] = np.clip(value, low[index], high[index])
    return {f"physics__{name}": value for name, value in values.items()}


def split_element(element: str) -> tuple[str, tuple[int, ...]]:
    """Return the name of the parameter and the index of an element such as "gain[0, 1]"."""
    name, bracket, inside = element.partition("[")
    index = tuple(int(number) for number in inside.rstrip("]").split(",")) if bracket else ()
    return name, index


def _masks(physics: Physics | None, elements: Sequence[str]) -> dict[str, np.ndarray]:
    """Return which elements of parameters are held, by name of the parameter."""
    masks: dict[str, np.ndarray] = {}
    free = () if physics is None else physics.free
    for element in elements:
        name, index = split_element(element)
        if name in free and physics.params[name].depends_on is not None:
            raise ValueError(
                f"{name!r} is a function of features (depends_on), so it has no one value to hold."
            )
        if name in free and physics.params[name].per is not None:
            raise ValueError(
                f"{name!r} has a value for each group (per), and its common value cannot be held "
                "while the groups' values are learned."
            )
        if name not in free:
            raise ValueError(f"There is no free physics parameter {name!r}; there are {[*free]}.")
        mask = masks.setdefault(name, np.zeros(physics.params[name].shape, dtype=bool))
        if len(index) != mask.ndim or not all(
            0 <= i < n for i, n in zip(index, mask.shape, strict=True)
        ):
            raise ValueError(f"{element!r} is no element of {name!r}, of shape {mask.shape}.")
        mask[index] = True
    return masks


def _fixed(physics: Physics, name: str, mask: np.ndarray) -> Param:
    """Return a whole parameter of a module as a fixed one."""
    param = physics.params[name]
    if not mask.all():
        raise ValueError(
            f"Only some elements of {name!r} are to be held, and the physics is a module. Give "
            "all of its elements, or write the physics as a function."
        )
    return Param(param.init, param.bounds, param.unit, fixed=True)


def _without_prior(param: Param) -> Param:
    """Return the same parameter without a prior."""
    return Param(param.init, param.bounds, param.unit, param.fixed)


def _with_held(function: Callable, masks: Mapping[str, np.ndarray]) -> Callable:
    """Return the function without derivatives by the held elements, so that training holds them."""

    @functools.wraps(function)
    def held(*inputs: Tensor, **values: Tensor) -> Tensor:
        for name, mask in masks.items():
            value = values[name]
            # Derivatives are zero, and not missing, which the checks of a physics would refuse.
            is_held = torch.as_tensor(mask, device=value.device)
            values[name] = torch.where(is_held, value.detach(), value)
        return function(*inputs, **values)

    held.__signature__ = inspect.signature(function)
    return held
