"""What the parameters do to the prediction at their starting values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from skhybrid.fitting.covariance import directions_without_effect
from skhybrid.fitting.parameter_warnings import (
    ADVICE_FOR_TOGETHER,
    advice_for_idle,
    element_name,
)
from skhybrid.fitting.residuals import Residuals
from skhybrid.fitting.sensitivities import sensitivities
from skhybrid.fitting.standard_errors import UnfixedDirection
from skhybrid.inspection.physics_check.result import ParameterAtStart
from skhybrid.model.physics import Physics
from skhybrid.runtime.number_text import number_text
from skhybrid.runtime.seeds import seeded

# Part of its start by which a parameter changes for its effect.
CHANGE = 0.1
# With a larger loss, the error is ten standard deviations of y: some unit is wrong.
FAR = 100.0
# A smaller effect, in standard deviations of y, is lost in any noise.
SMALL_EFFECT = 1e-4


@dataclass(frozen=True)
class AtStart:
    """The physics alone at its starting values.

    Attributes
    ----------
    loss : float
    effects : dict of str to array
        Root mean square of ∂ŷ/∂θ over the rows by free parameter, in standard deviations of y.
    unfixed : tuple of UnfixedDirection
    predicted, observed : tuple of two floats
        Smallest and largest value.
    """

    loss: float
    effects: dict[str, np.ndarray]
    unfixed: tuple[UnfixedDirection, ...]
    predicted: tuple[float, float]
    observed: tuple[float, float]

    @classmethod
    def of(cls, residuals: Residuals) -> AtStart:
        """Evaluate the residuals and their derivatives at the starting values."""
        hybrid, data, start = residuals.hybrid, residuals.data, residuals.start
        found = residuals(start)
        jacobian = residuals.known_jacobian(start) if len(start) else None
        if not len(start):
            columns = {}
        elif jacobian is not None:
            columns = residuals.sensitivities(jacobian)
        else:  # implicit solvers: combinations of rows take the place of rows
            with seeded(0):
                columns = sensitivities(hybrid, data, hybrid.initial_coordinates())
            flat = [each.reshape(len(each), -1) for each in columns.values()]
            jacobian = np.concatenate(flat, axis=1) if flat else np.zeros((0, 0))
        n, values = residuals.n_values, start[: residuals.n_values]
        unfixed = ()
        if n and (hybrid.differentiable or len(jacobian) >= n):
            unfixed = directions_without_effect(hybrid, jacobian, values)
        effects = {name: np.sqrt(np.square(each).sum(axis=0)) for name, each in columns.items()}
        if not hybrid.differentiable:
            effects = {name: each / math.sqrt(len(columns[name])) for name, each in effects.items()}
        with torch.no_grad():
            predicted = hybrid.physics_part(data.x, hybrid.initial_coordinates())
        used = torch.ones_like(data.y, dtype=bool) if data.weight is None else data.weight > 0
        ranges = [(float(y[used].min()), float(y[used].max())) for y in (predicted, data.y)]
        return cls(residuals.loss(found), effects, unfixed, *ranges)

    def warnings(self) -> Iterator[str]:
        """Yield what to think about before a fit."""
        for each in self.unfixed:
            names = each.names
            advice = advice_for_idle(names[0]) if len(names) == 1 else ADVICE_FOR_TOGETHER
            yield f"At the starting values: {each.sentence} {advice}"
        low, high = (number_text(each, 3) for each in self.predicted)
        y_low, y_high = (number_text(each, 3) for each in self.observed)
        between = (
            f"the physics predicts {low} to {high} at the starting values, and y goes from {y_low} "
            f"to {y_high}"
        )
        if self.loss > FAR:
            yield (
                f"The start is far from the data: {between} (loss {number_text(self.loss, 3)}). "
                "Check the units of X, y and the parameters. If they are right, give starting "
                "values nearer to the data; from far away, least squares may not find the way."
            )
        elif self.predicted[0] == self.predicted[1] and self.observed[0] < self.observed[1]:
            yield (
                f"The prediction does not vary: {between}. Give other starting values, such as "
                "nonzero ones, or check that the physics uses its arguments."
            )


def parameters_at_start(physics: Physics, start: AtStart | None) -> list[ParameterAtStart]:
    """Return all elements of the physics parameters.

    Parameters
    ----------
    physics : Physics
    start : AtStart or None
        None if the effects are not known.
    """
    unfixed = {name for each in (start.unfixed if start else ()) for name in each.names}
    found = []
    for name, param in physics.params.items():
        value, (low, high) = param.value(), param.limits()
        effect = start.effects.get(name) if start is not None else None
        for index in np.ndindex(value.shape):
            element = element_name(name, index)
            width = float(high[index] - low[index])
            size = abs(float(value[index])) or (width if math.isfinite(width) else 1.0 / CHANGE)
            found.append(
                ParameterAtStart(
                    name=element,
                    start=float(value[index]),
                    unit=param.unit or "",
                    lower_bound=float(low[index]),
                    upper_bound=float(high[index]),
                    fixed=bool(param.fixed),
                    effect_per_unit=math.nan if effect is None else float(effect[index]),
                    change=CHANGE * size,
                    unfixed=element in unfixed,
                )
            )
    return found


def small_effects(parameters: list[ParameterAtStart]) -> Iterator[str]:
    """Yield the parameters whose effect is lost in any noise."""
    for each in parameters:
        if not each.fixed and not each.unfixed and each.effect < SMALL_EFFECT:
            yield (
                f"Parameter {each.name} = {number_text(each.start)} hardly acts: a change by "
                f"{number_text(each.change, 3)} moves the prediction by "
                f"{number_text(each.effect, 2)} standard deviations of y. Check its unit, or give "
                "another initial value. If it is known, set fixed=True."
            )
