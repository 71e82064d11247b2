"""Directional derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from skhybrid.exceptions import PhysicsError
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.model.user_code import NAMED, reason

# Two ways to compute one derivative agree within this part of its size.
RELATIVE_ERROR = 1e-3
# Functions that compute more values are differentiated forwards, which takes less memory. Few
# values are differentiated backwards: forwards, torch takes a hundred times as long for a product
# or a sum with a constant.
FEW_VALUES = 100_000
# Whatever an operation raises that torch cannot vectorise.
TOGETHER_FAILED = (RuntimeError, NotImplementedError, ValueError, TypeError)
ONCE = "an operation can be differentiated only once."

Function = Callable[[Tensor], Tensor]


def directional(
    function: Function, at: Tensor, tangents: Sequence[Tensor], n_values: int
) -> list[np.ndarray]:
    """Return the derivatives of a function in some directions.

    Parameters
    ----------
    function : callable
    at : Tensor
        Point of the derivatives.
    tangents : sequence of Tensor of the shape of ``at``
        Directions.
    n_values : int
        About so many values the function computes on its way, over all steps.

    Raises
    ------
    PhysicsError
        If some operation of the function has neither derivative.
    """
    tangents = [tangent.to(at) for tangent in tangents]
    ways = [_backwards, _forwards] if n_values <= FEW_VALUES else [_forwards, _backwards]
    columns, failures = None, {}
    for way in ways:
        try:
            found = way(function, at, tangents)
        except NAMED:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            failures[way] = error
            continue
        columns = found if columns is None else columns
        # Beside a singularity that the function avoids, a derivative backwards is 0 * inf.
        if all(bool(torch.isfinite(column).all()) for column in found):
            columns = found
            break
    if columns is None:
        error = failures[_backwards]
        raise PhysicsError(
            f"The model has no derivative for least squares: {reason(error)} Use other torch "
            "operations in the physics, or physics_init='given' with a network."
        ) from error
    return [column.detach().cpu().numpy() for column in columns]


def _forwards(function: Function, at: Tensor, tangents: Sequence[Tensor]) -> list[Tensor]:
    """Return the derivatives from one forward pass each."""
    columns = []
    for tangent in tangents:
        # torch.func.jvp is slower: it decomposes some operations.
        with forward_ad.dual_level():
            output = forward_ad.unpack_dual(function(forward_ad.make_dual(at, tangent)))
            column = output.tangent
            columns.append(torch.zeros_like(output.primal) if column is None else column)
    return columns


def _backwards(function: Function, at: Tensor, tangents: Sequence[Tensor]) -> list[Tensor]:
    """Return the derivatives from a backward pass, which is linear in weights of the outputs.

    Its derivative by the weights, in the direction of a tangent, is a second backward pass.
    """
    with torch.enable_grad():
        point = at.detach().requires_grad_()
        output = function(point)
        if not output.requires_grad:
            return [torch.zeros_like(output) for _ in tangents]
        weights = torch.linspace(1.0, 2.0, output.numel()).to(output).reshape(output.shape)
        weights.requires_grad_()
        (gradient,) = torch.autograd.grad(
            output, point, weights, create_graph=True, allow_unused=True, materialize_grads=True
        )
        if not gradient.requires_grad:
            raise RuntimeError(ONCE)
        columns = _by_weights(gradient, weights, tangents)
    # Operations that can be differentiated once give zero, without an error.
    for column, tangent in zip(columns, tangents, strict=True):
        terms, expected = column * weights.detach(), gradient.detach() * tangent
        size = float(terms.abs().sum() + expected.abs().sum())
        if abs(float(terms.sum() - expected.sum())) > RELATIVE_ERROR * size:
            raise RuntimeError(ONCE)
    return columns


def _by_weights(gradient: Tensor, weights: Tensor, tangents: list[Tensor]) -> list[Tensor]:
    """Return the derivatives of a gradient by the weights, in some directions.

    The directions together take as long as one, but not every operation can be differentiated so.
    """
    options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    if len(tangents) > 1:
        with suppress(*TOGETHER_FAILED):
            (columns,) = torch.autograd.grad(
                gradient, weights, torch.stack(tangents), is_grads_batched=True, **options
            )
            return list(columns)
    return [torch.autograd.grad(gradient, weights, each, **options)[0] for each in tangents]
