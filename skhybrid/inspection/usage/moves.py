"""The training loss when a physics parameter is moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from skhybrid.inspection.fixed_parameters import holding, split_element, start_at
from skhybrid.inspection.flat_parameters import constants_of, elements_of, hybrid_of
from skhybrid.inspection.refits import Refit, refit
from skhybrid.inspection.training_rows import TrainingRows, training_rows
from skhybrid.inspection.usage.losses import Data
from skhybrid.inspection.usage.result import Move


def moves_of(
    estimator: Any, fitted: Any, data: Data, change: float, **options: Any
) -> tuple[dict[str, list[Move]], dict[str, str]]:
    """Return what happens to the training loss when each element is moved, and reasons for gaps.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Cloned to train again.
    fitted : HybridRegressor or Pipeline
        A clone of it that is fitted to all rows.
    data : Data
    change : float
        Part of the fitted value by which an element is moved.
    **options
        As for :func:`~skhybrid.inspection.refits.refit`.
    """
    read = training_rows(fitted, data.X, data.y, data.weight)
    base, loss = loss_at(read, {}), hybrid_of(fitted).loss_
    params = hybrid_of(fitted)._fitted.hybrid.physics.params
    found, reasons = {}, {}
    for name, value in elements_of(fitted).items():
        if value == 0.0:
            reasons[name] = f"{name} is zero: there is no tenth by which to move it."
            continue
        if params[split_element(name)[0]].per is not None:
            reasons[name] = f"{name} has a value for each group: its common value is not moved."
            continue
        targets = _inside(fitted, name, [value * (1.0 - change), value * (1.0 + change)])
        held = holding(estimator, [name])
        others = constants_of(fitted)
        refits = [
            Refit(data.X, data.y, data.weight, _starts(held, name, target, others))
            for target in targets
        ]
        again = refit(held, refits, what=f"fits with {name} moved", **options)
        found[name] = []
        for target, model in zip(targets, again, strict=True):
            gain = np.nan
            if isinstance(model, Exception):
                reasons[name] = f"With {name} = {target:.4g} the fit failed: {model}"
            else:
                gain = hybrid_of(model).loss_ - loss
            found[name].append(Move(value, target, loss_at(read, {name: target}) - base, gain))
    return found, reasons


def _starts(held: Any, name: str, target: float, others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the start of a fit with an element moved; fixed parameters keep their values."""
    physics = hybrid_of(held).physics
    free = {each: others[each] for each in physics.free if each in others}
    return start_at(held, {name: target}, free)


def _inside(fitted: Any, name: str, targets: list[float]) -> list[float]:
    """Return the values within the bounds of an element."""
    parameter, index = split_element(name)
    low, high = hybrid_of(fitted)._fitted.hybrid.physics.params[parameter].limits()
    return [float(np.clip(target, low[index], high[index])) for target in targets]


def loss_at(read: TrainingRows, elements: Mapping[str, float]) -> float:
    """Return the training loss with elements of θ at other values and all else held.

    Parameters
    ----------
    read : TrainingRows
    elements : mapping of str to float
        Such as {"gain[0]": 1.0}.
    """
    hybrid, data = read.hybrid, read.data
    with torch.no_grad():
        values = dict(hybrid.space.values(read.coordinates))
        for element, value in elements.items():
            name, index = split_element(element)
            moved = values[name].clone()
            moved[index] = value
            values[name] = moved
        prediction = hybrid.join(data.x, values, hybrid.bind_network())
        scale = hybrid.scales.target_scale
        error = ((prediction - data.y) / scale).double()
        weight = None if data.weight is None else data.weight.double()
    return float(read.cost.mean(error, weight, scale.shape))
