"""The Laplacian of fields on a periodic grid."""

from __future__ import annotations

import torch

# For each order of accuracy: weights of the neighbours at distance 1, 2, ... along an axis.
_WEIGHTS = {2: (1.0,), 4: (4 / 3, -1 / 12)}


def laplacian(field: torch.Tensor, *, spacing: float, order: int = 2) -> torch.Tensor:
    """Return the Laplacian of periodic fields by central differences.

    Parameters
    ----------
    field : Tensor of shape (..., height, width)
        The fields. Opposite edges are neighbours.
    spacing : float
        Distance between neighbouring points.
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
            # Subtract the point from each pair: a constant float32 field then gives exactly zero.
            around = torch.roll(field, distance, axis) + torch.roll(field, -distance, axis)
            total = total + weight * (around - 2 * field)
    return total / spacing**2
