"""Structures for tables: how the prediction joins physics and network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def additive(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ) + σ_y f_N(x), where σ_y is the spread of the target."""
    return physics(x) + nn(x)


def multiplicative(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ) · (1 + f_N(x))."""
    return physics(x) * (1.0 + nn(x, scale=1.0))


def serial(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ) + σ_y f_N(x, f_S(x; θ)).

    The physics' output passes through beside the network, so that a network that does nothing
    leaves the physics as it is and "flat" keeps its meaning for θ. For a network that answers
    alone, pass ``structure=lambda x, physics, nn: nn(x, physics(x))``.
    """
    known = physics(x)
    return known + nn(x, known)


STRUCTURES: dict[str, Callable] = {
    "additive": additive,
    "multiplicative": multiplicative,
    "serial": serial,
}


def get_structure(structure: str | Callable) -> Callable:
    """Return the function ``(x, physics, nn) -> y`` that a name stands for."""
    return STRUCTURES[structure] if isinstance(structure, str) else structure
