"""Data sets that come with their physics: simulated ones and measured ones.

Every function returns a :class:`sklearn.utils.Bunch` that also carries the scientific model
(``physics``) and, where it is known, the truth about its parameters.
"""

from __future__ import annotations

from skhybrid.datasets._cascaded_tanks import cascaded_tanks, fetch_cascaded_tanks
from skhybrid.datasets._chemostat import fetch_chemostat, rotifer_algae
from skhybrid.datasets._damped_wave import make_damped_wave, wave
from skhybrid.datasets._duffing import duffing, make_duffing
from skhybrid.datasets._light_tunnel import fetch_light_tunnel, make_light_tunnel, malus
from skhybrid.datasets._lotka_volterra import lotka_volterra, make_lotka_volterra
from skhybrid.datasets._lynx_hare import load_lynx_hare
from skhybrid.datasets._pendulum import forced_pendulum, make_pendulum, pendulum
from skhybrid.datasets._pendulum_acceleration import (
    make_pendulum_acceleration,
    pendulum_acceleration,
)
from skhybrid.datasets._pendulum_images import make_pendulum_images
from skhybrid.datasets._reaction_diffusion import diffusion, make_reaction_diffusion
from skhybrid.datasets._wind_tunnel import fan_pressure, fan_speeds, make_wind_tunnel
from skhybrid.datasets._wind_tunnel_measured import fetch_wind_tunnel

__all__ = [
    "cascaded_tanks",
    "diffusion",
    "duffing",
    "fan_pressure",
    "fan_speeds",
    "fetch_cascaded_tanks",
    "fetch_chemostat",
    "fetch_light_tunnel",
    "fetch_wind_tunnel",
    "forced_pendulum",
    "load_lynx_hare",
    "lotka_volterra",
    "make_damped_wave",
    "make_duffing",
    "make_light_tunnel",
    "make_lotka_volterra",
    "make_pendulum",
    "make_pendulum_acceleration",
    "make_pendulum_images",
    "make_reaction_diffusion",
    "make_wind_tunnel",
    "malus",
    "pendulum",
    "pendulum_acceleration",
    "rotifer_algae",
    "wave",
]
