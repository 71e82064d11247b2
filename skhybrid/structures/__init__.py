"""Ways of joining the physics and the network, one file each."""

from __future__ import annotations

from collections.abc import Callable

from skhybrid.structures.additive import additive
from skhybrid.structures.dynamics import Dynamics
from skhybrid.structures.hybrid import Hybrid, Scales
from skhybrid.structures.latent_ode import LatentDynamics, LatentNetwork, LatentODE
from skhybrid.structures.layout import STATES, Layout, RateScales
from skhybrid.structures.multiplicative import multiplicative
from skhybrid.structures.ode import ODE
from skhybrid.structures.serial import serial
from skhybrid.structures.windows import Windows

__all__ = [
    "ODE",
    "STATES",
    "STRUCTURES",
    "Dynamics",
    "Hybrid",
    "LatentDynamics",
    "LatentNetwork",
    "LatentODE",
    "Layout",
    "RateScales",
    "Scales",
    "Windows",
    "get_structure",
]

STRUCTURES: dict[str, Callable] = {
    "additive": additive,
    "multiplicative": multiplicative,
    "serial": serial,
}


def get_structure(structure: str | Callable) -> Callable:
    """Return the function ``(x, physics, nn) -> y`` that a name stands for."""
    return STRUCTURES[structure] if isinstance(structure, str) else structure
