"""Parallel structure: the network adds what the physics leaves out."""

from __future__ import annotations

from torch import Tensor


def additive(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ) + σ_y f_N(x), where σ_y is the spread of the target."""
    return physics(x) + nn(x)
