"""The law of the fans in the wind tunnel, its published constants, and the columns."""

from __future__ import annotations

import torch

FEATURE_NAMES = ("load_in", "load_out", "hatch")
TARGET_NAMES = ("speed_in", "speed_out", "pressure")

# Published constants of the chambers; see the Notes of make_wind_tunnel.
PUBLISHED = {
    "inertia": 0.5 * 0.059**2 * 0.02,  # kg m^2
    "torque_per_current": 0.05,  # N m / A
    "current_min": 0.166,  # A
    "current_max": 0.27,  # A
    "omega_max": 314.159,  # rad/s, 3,000 turns per minute
    "load_min": 0.1,
    "pressure_max": 74.82,  # Pa
    "flow_max": 186.7 / 3600,  # m^3/s
    "airflow_ratio": 0.75,
    "hatch_effect": 0.15,
    "hatch_max": 45.0,  # degrees
}
LOAD_MIN = PUBLISHED["load_min"]
OMEGA_MAX = PUBLISHED["omega_max"]
_TORQUE = PUBLISHED["torque_per_current"] * (
    PUBLISHED["current_max"] - PUBLISHED["current_min"]
)  # N m, at full load
ACCELERATION = _TORQUE / PUBLISHED["inertia"]  # rad s^-2
CLOSED_PRESSURE = PUBLISHED["pressure_max"] * (1 - PUBLISHED["airflow_ratio"])  # Pa

COLUMNS_DESCR = """\
===================  =======  =============================================================
load_in, load_out    0 to 1   drive of the intake fan and of the exhaust fan
hatch                degrees  opening of the hatch, 0 (closed) to 45
speed_in, speed_out  rad/s    speeds of the fans (targets)
pressure             Pa       downwind of the intake fan, minus ambient (a target)
===================  =======  =============================================================
"""


def fan_speeds(
    t: torch.Tensor,
    state: torch.Tensor,
    inputs: torch.Tensor,
    *,
    acceleration: float | torch.Tensor = 100.0,
    omega_max: float | torch.Tensor = 300.0,
) -> torch.Tensor:
    """Return the accelerations of two fans: the torque of the load minus the drag of the air.

    Parameters
    ----------
    t : Tensor of shape ()
        Time in s. The law does not depend on it.
    state : Tensor of shape (..., 2)
        Speeds of the intake fan and of the exhaust fan, in rad/s.
    inputs : Tensor of shape (..., n_inputs)
        The first two inputs are the loads of the two fans, 0 to 1. The law ignores the others.
    acceleration : float or Tensor of shape (), default=100.0
        Acceleration of a fan at rest under full load, in rad s^-2: its torque divided by its
        inertia. Training starts from the default: full speed within seconds.
    omega_max : float or Tensor of shape (), default=300.0
        Steady speed under full load, in rad/s. Training starts from the default: about 3,000
        turns per minute.

    Returns
    -------
    Tensor of shape (..., 2)
        Accelerations, in rad s^-2.

    Notes
    -----
    The published law is I w' = tau(L) - K w^2. Speeds alone determine only two constants,
    ``acceleration`` = tau(1) / I and ``omega_max``^2 = tau(1) / K. Loads below 0.1 act like 0.1.
    The drag is ``w * abs(w)`` instead of w^2. An inexact step can give a speed below 0, and this
    drag brings it back.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import fan_speeds
    >>> speeds, loads = torch.tensor([0.0, 200.0]), torch.tensor([1.0, 1.0])
    >>> fan_speeds(torch.tensor(0.0), speeds, loads, acceleration=150.0, omega_max=200.0)
    tensor([150.,   0.])
    """
    torque = torch.clamp(inputs[..., :2], min=LOAD_MIN) ** 3
    relative = state / omega_max
    return acceleration * (torque - relative * relative.abs())


def fan_pressure(
    speed_in: torch.Tensor, speed_out: torch.Tensor, *, closed_pressure: float | torch.Tensor = 10.0
) -> torch.Tensor:
    """Return the pressure downwind of the intake fan minus ambient, with the hatch closed.

    Parameters
    ----------
    speed_in, speed_out : Tensor of shape (...)
        Speeds of the fans, in rad/s.
    closed_pressure : float or Tensor of shape (), default=10.0
        Pressure of one fan at 314.159 rad/s, in Pa. Training starts from the default.

    Returns
    -------
    Tensor of shape (...)
        Pressure, in Pa.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import fan_pressure
    >>> fan_pressure(torch.tensor([314.159]), torch.tensor([0.0]), closed_pressure=18.0)
    tensor([18.])
    """
    return closed_pressure * ((speed_in / OMEGA_MAX) ** 2 - (speed_out / OMEGA_MAX) ** 2)


def observe_closed_tunnel(state: torch.Tensor) -> torch.Tensor:
    """Return the targets, shape (..., 3), for two speeds, shape (..., 2), and a closed hatch."""
    pressure = fan_pressure(state[..., 0], state[..., 1], closed_pressure=CLOSED_PRESSURE)
    return torch.cat([state, pressure[..., None]], dim=-1)
