"""How a physics parameter varies around its constant value, inside its bounds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import elu

from skhybrid.model.param import Param

# A constant on a bound counts as inside by this part of the scale or of the width of two bounds:
# otherwise no answer could move it.
INSIDE = 1e-3


class Variation:
    """The value of a parameter for a row, from its constant value and the network's answer.

    The answer is added in a coordinate u in which the parameter has no bounds. With the scale s:

    - no bounds: θ = s·u
    - one bound b: θ = b ± s·(elu(u) + 1), where elu(u) is u above 0 and exp(u) - 1 below
    - two bounds a and b: θ = a + (b - a) · sigmoid(4 s u / (b - a))

    An answer of zero gives the constant value. Away from bounds, an answer of one changes the value
    by about s. The formula is ours.

    Parameters
    ----------
    scale : array of the parameter's shape
        Change of the value for an answer of one; with groups, their standard deviation.
    param : Param
        It has the bounds.
    as_tensor : callable
        From numbers to tensors of the training dtype.
    """

    def __init__(self, scale: np.ndarray, param: Param, as_tensor: Callable[..., Tensor]) -> None:
        low, high = param.limits()
        self.form = _form(low, high)
        self.constants = {"scale": as_tensor(scale)}
        if self.form in ("above", "between"):
            self.constants["low"] = as_tensor(low)
        if self.form in ("below", "between"):
            self.constants["high"] = as_tensor(high)

    def at(self, constants: Mapping[str, Tensor]) -> Variation:
        """Return the same form with other constants."""
        copied = copy.copy(self)
        copied.constants = dict(constants)
        return copied

    def __call__(self, constant: Tensor, answer: Tensor) -> Tensor:
        """Return the values.

        Parameters
        ----------
        constant : Tensor of shape (*shape,) or (*shape, n, ...)
            The constant value of the parameter, or one for every row.
        answer : Tensor of shape (*shape, n, ...)

        Returns
        -------
        Tensor of shape (*shape, n, ...)
        """
        known = {"constant": constant, **self.constants}
        known = {
            name: each.reshape(*each.shape, *[1] * (answer.ndim - each.ndim))
            for name, each in known.items()
        }
        constant, scale = known["constant"], known["scale"]
        if self.form == "open":
            return torch.addcmul(constant, scale, answer)
        if self.form == "between":
            low, width = known["low"], known["high"] - known["low"]
            part = ((constant - low) / width).clamp(INSIDE, 1.0 - INSIDE)
            return low + width * torch.sigmoid(torch.logit(part) + 4.0 * scale / width * answer)
        if self.form == "above":
            return known["low"] + scale * _grown((constant - known["low"]) / scale, answer)
        return known["high"] - scale * _grown((known["high"] - constant) / scale, -answer)


def varied(
    variations: Mapping[str, Variation], values: Mapping[str, Tensor], answers: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return parameters with the network's answers: one value of a varying one for every row.

    Parameters
    ----------
    variations : mapping of str to Variation
    values : mapping of str to Tensor
        All parameters. A varying one varies around this value.
    answers : mapping of str to Tensor of shape (*shape, n, ...)
        The rows come after the axes of the parameter.
    """
    return {**values, **{name: variations[name](values[name], a) for name, a in answers.items()}}


def _grown(height: Tensor, answer: Tensor) -> Tensor:
    """Return a height above a bound, in units of the scale, after an answer."""
    height = height.clamp(min=INSIDE)
    at = torch.where(height > 1.0, height - 1.0, height.clamp(max=1.0).log())
    return elu(at + answer) + 1.0


def _form(low: np.ndarray, high: np.ndarray) -> str:
    """Return which bounds there are, for all elements: "open", "above", "below" or "between"."""
    forms = {(False, False): "open", (True, False): "above", (False, True): "below"}
    return forms.get((bool(np.isfinite(low).all()), bool(np.isfinite(high).all())), "between")
