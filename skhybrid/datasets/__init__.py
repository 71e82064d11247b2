"""Data sets that come with their physics: simulated ones and measured ones.

Every function returns a :class:`sklearn.utils.Bunch` that also carries the scientific model
(``physics``) and, where it is known, the truth about its parameters.
"""

from __future__ import annotations

from skhybrid.datasets._cascaded_tanks import cascaded_tanks, fetch_cascaded_tanks
from skhybrid.datasets._chemostat import fetch_chemostat, rotifer_algae
from skhybrid.datasets._light_tunnel import fetch_light_tunnel, make_light_tunnel, malus
from skhybrid.datasets._pendulum import forced_pendulum, make_pendulum, pendulum
from skhybrid.datasets._pendulum_acceleration import (
    make_pendulum_acceleration,
    pendulum_acceleration,
)

__all__ = [
    "cascaded_tanks",
    "fetch_cascaded_tanks",
    "fetch_chemostat",
    "fetch_light_tunnel",
    "forced_pendulum",
    "make_light_tunnel",
    "make_pendulum",
    "make_pendulum_acceleration",
    "malus",
    "pendulum",
    "pendulum_acceleration",
    "rotifer_algae",
]
