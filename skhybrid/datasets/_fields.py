"""Fields on a square grid without edges."""

from __future__ import annotations

import torch

# Of each order of accuracy, the weights of the neighbours at distance 1, 2, ... along an axis.
_WEIGHTS = {2: (1.0,), 4: (4 / 3, -1 / 12)}


def laplacian(field: torch.Tensor, *, spacing: float, order: int = 2) -> torch.Tensor:
    """Laplacian of periodic fields by central differences.

    Parameters
    ----------
    field : Tensor of shape (..., height, width)
        The fields; what leaves at one edge comes in at the opposite one.
    spacing : float
        Distance of neighbouring points.
    order : {2, 4}, default=2
        Order of accuracy: three points along each axis, or five.

    Returns
    -------
    Tensor of shape (..., height, width)
        The Laplacian.
    """
    total = torch.zeros_like(field)
    for distance, weight in enumerate(_WEIGHTS[order], start=1):
        for axis in (-2, -1):
            # Differences to the point itself: in float32 a field without gradients gives zero.
            around = torch.roll(field, distance, axis) + torch.roll(field, -distance, axis)
            total = total + weight * (around - 2 * field)
    return total / spacing**2
