"""Directional derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from skhybrid.exceptions import PhysicsError
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.model.user_code import NAMED, reason

# Two ways to compute one derivative agree within this part of its size.
RELATIVE_ERROR = 1e-3


def directional(function: Callable[[Tensor], Tensor], at: Tensor, tangent: Tensor) -> np.ndarray:
    """Return the derivative of a function in one direction.

    Parameters
    ----------
    function : callable
    at : Tensor
        Point of the derivative.
    tangent : Tensor of the shape of ``at``
        Direction.
    """
    tangent = tangent.to(at)
    try:
        # torch.func.jvp is slower: it decomposes some operations.
        with forward_ad.dual_level():
            output = forward_ad.unpack_dual(function(forward_ad.make_dual(at, tangent)))
            column = output.tangent
            column = torch.zeros_like(output.primal) if column is None else column
    except Exception:
        # Some operation has no forward derivative: differentiate backwards twice.
        column = _backwards_twice(function, at, tangent)
    return column.detach().cpu().numpy()


def _backwards_twice(function: Callable[[Tensor], Tensor], at: Tensor, tangent: Tensor) -> Tensor:
    """Return the derivative in one direction from two backward passes."""
    try:
        column = torch.autograd.functional.jvp(function, at, tangent)[1]
        gradient, output_weights = _gradient(function, at)
    except NAMED:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise PhysicsError(_no_derivative(reason(error))) from error
    # Operations that can be differentiated once give zero, without an error.
    terms, expected = column * output_weights, gradient * tangent
    size = float(terms.abs().sum() + expected.abs().sum())
    if abs(float(terms.sum() - expected.sum())) > RELATIVE_ERROR * size:
        raise PhysicsError(_no_derivative("an operation can be differentiated only once."))
    return column


def _gradient(function: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradient of a weighted sum of the outputs, and the weights."""
    with torch.enable_grad():
        point = at.detach().requires_grad_()
        output = function(point)
        weights = torch.linspace(1.0, 2.0, output.numel()).to(output).reshape(output.shape)
        (gradient,) = torch.autograd.grad(
            (output * weights).sum(), point, allow_unused=True, materialize_grads=True
        )
    return gradient, weights


def _no_derivative(why: str) -> str:
    """Return an error message about a model without the derivatives of least squares."""
    return (
        f"The model has no derivative for least squares: {why} Use other torch operations in the "
        "physics, or physics_init='given' with a network."
    )
