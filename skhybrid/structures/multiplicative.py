"""Multiplicative structure: the network corrects the physics by a relative amount."""

from __future__ import annotations

from torch import Tensor


def multiplicative(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ) · (1 + f_N(x))."""
    return physics(x) * (1.0 + nn(x, scale=1.0))
