"""Directional derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad


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
    except (NotImplementedError, RuntimeError):
        # Some operation has no forward derivative: differentiate backwards twice.
        _, column = torch.autograd.functional.jvp(function, at, tangent)
    return column.detach().cpu().numpy()
