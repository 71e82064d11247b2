"""Simulated and measured data sets, with their physics.

Every ``make_``, ``load_`` and ``fetch_`` function returns a :class:`sklearn.utils.Bunch`. It also
holds the scientific model (``physics``) and the true values of its parameters, if they are known.
"""

from __future__ import annotations

from skhybrid.datasets._cascaded_tanks import cascaded_tanks, fetch_cascaded_tanks
from skhybrid.datasets._chemostat_measured import fetch_chemostat
from skhybrid.datasets._chemostat_physics import rotifer_algae
from skhybrid.datasets._damped_wave import make_damped_wave, wave
from skhybrid.datasets._duffing import duffing, make_duffing
from skhybrid.datasets._light_tunnel_measured import fetch_light_tunnel
from skhybrid.datasets._light_tunnel_physics import malus
from skhybrid.datasets._light_tunnel_simulated import make_light_tunnel
from skhybrid.datasets._lotka_volterra import lotka_volterra, make_lotka_volterra
from skhybrid.datasets._lynx_hare import load_lynx_hare
from skhybrid.datasets._pendulum import forced_pendulum, make_pendulum, pendulum
from skhybrid.datasets._pendulum_acceleration import (
    make_pendulum_acceleration,
    pendulum_acceleration,
)
from skhybrid.datasets._pendulum_images import make_pendulum_images
from skhybrid.datasets._reaction_diffusion import diffusion, make_reaction_diffusion
from skhybrid.datasets._wind_tunnel_measured import fetch_wind_tunnel
from skhybrid.datasets._wind_tunnel_physics import fan_pressure, fan_speeds
from skhybrid.datasets._wind_tunnel_simulated import make_wind_tunnel

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
