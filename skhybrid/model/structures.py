"""Structures for tables: how a prediction joins physics and network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def additive(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ) + σ_y f_N(x), where σ_y is the standard deviation of the target."""
    return physics(x) + nn(x)


def multiplicative(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ) · (1 + f_N(x))."""
    return physics(x) * (1.0 + nn(x, scale=1.0))


def serial(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ) + σ_y f_N(x, f_S(x; θ)).

    The network corrects the physics' output. A network that answers zero therefore leaves the
    physics unchanged, and "flat" keeps its meaning for θ. If the network alone should give the
    prediction, pass ``structure=lambda x, physics, nn: nn(x, physics(x))``.
    """
    known = physics(x)
    return known + nn(x, known)


def none(x: Tensor, physics, nn) -> Tensor:
    """Return f_S(x; θ(x)): the network only gives parameters as functions of features."""
    return physics(x)


STRUCTURES: dict[str, Callable] = {
    "additive": additive,
    "multiplicative": multiplicative,
    "serial": serial,
    "none": none,
}


def get_structure(structure: str | Callable, *, varies: bool = False) -> Callable:
    """Return the function ``(x, physics, nn) -> y`` for a name; return a function unchanged.

    Parameters
    ----------
    structure : str or callable
    varies : bool, default=False
        Whether a parameter of the physics depends on features: then "auto" is "none", otherwise
        "additive".
    """
    if structure == "auto":
        structure = "none" if varies else "additive"
    return STRUCTURES[structure] if isinstance(structure, str) else structure
