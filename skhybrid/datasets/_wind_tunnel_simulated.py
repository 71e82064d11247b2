"""The simulated wind tunnel: two fans and a hatch, with known truth."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skhybrid.datasets._argument_constraints import (
    AT_LEAST_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    RANDOM_STATE,
    YES_OR_NO,
)
from skhybrid.datasets._build_bunch import build_bunch
from skhybrid.datasets._causal_chambers import CITATION
from skhybrid.datasets._wind_tunnel_loads import DRAW_LOADS
from skhybrid.datasets._wind_tunnel_physics import (
    ACCELERATION,
    CLOSED_PRESSURE,
    COLUMNS_DESCR,
    FEATURE_NAMES,
    LOAD_MIN,
    OMEGA_MAX,
    PUBLISHED,
    TARGET_NAMES,
    fan_pressure,
    fan_speeds,
    observe_closed_tunnel,
)

_DESCR = f"""\
Wind tunnel (simulated)
-----------------------

A tube with a fan at each end and a hatch in its wall. Each record is a time series:

{COLUMNS_DESCR}
With the load L of a fan and its speed w,

    w' = acceleration (max(L, 0.1)^3 - (w / omega_max)^2)
    pressure = S (1 - r) ((w_in / omega_max)^2 - (w_out / omega_max)^2) + Gaussian noise
    r = min(1, 0.75 + 0.15 hatch / 45)

with acceleration = {ACCELERATION:.2f} rad s^-2, omega_max = 314.159 rad/s and S = 74.82 Pa. The
loads and the hatch hold their values until the next sample.

The physics has the first line (fan_speeds), and the second line for a closed hatch (fan_pressure).
It misses the effect of the hatch: the wider the hatch is open, the lower the pressure. Speeds have
no noise.

Source of the models: {CITATION}
"""


@validate_params(
    {
        "n_records": AT_LEAST_ONE,
        "n_times": [Interval(Integral, 2, None, closed="left")],
        "loads": [StrOptions(set(DRAW_LOADS))],
        "dt": POSITIVE,
        "noise": NOT_NEGATIVE,
        "random_state": RANDOM_STATE,
        "return_X_y": YES_OR_NO,
    },
    prefer_skip_nested_validation=True,
)
def make_wind_tunnel(
    n_records: int = 20,
    n_times: int = 50,
    *,
    loads: str = "impulses",
    dt: float = 0.15,
    noise: float = 0.2,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Simulate a wind tunnel with two driven fans and a hatch; the physics misses the hatch.

    Parameters
    ----------
    n_records : int, default=20
        Number of time series.
    n_times : int, default=50
        Number of samples in each time series.
    loads : {"impulses", "steps", "walk"}, default="impulses"
        How loads and hatch change over time. ``"impulses"`` follows the measured data set
        ``wt_intake_impulse_v1``: the intake fan is idle for a tenth of the time, under full load
        for two fifths, and idle again. The exhaust fan is idle, at half load or at full load, and
        the hatch does not move. ``"steps"``: both loads and the hatch jump to random values and
        stay there for random times. ``"walk"``: all three follow random walks.
    dt : float, default=0.15
        Time between two samples, in s. The default is about the value of the measured data.
    noise : float, default=0.2
        Standard deviation of the Gaussian noise on the pressure, in Pa. The default is the value of
        the published simulator.
    random_state : int, RandomState instance or None, default=None
        Seed of the loads, the hatch and the noise. An int gives the same data in every call.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_records, n_times, 3)
            Loads of the intake fan and of the exhaust fan, 0.01 to 1, and the position of the
            hatch, 0 to 45 degrees. They hold until the next sample.
        target : ndarray of shape (n_records, n_times, 3)
            Speeds of the intake fan and of the exhaust fan in rad/s, and the pressure downwind
            minus ambient, in Pa.
        noise_free : ndarray of shape (n_records, n_times, 3)
            Same without noise.
        initial_states : ndarray of shape (n_records, 2)
            Speeds at the first sample, in rad/s: the steady speeds of its loads.
        times : ndarray of shape (n_times,)
            Times of the samples, in s.
        dt : float
            Argument ``dt``.
        feature_names, target_names : list of str
            ``["load_in", "load_out", "hatch"]`` and ``["speed_in", "speed_out", "pressure"]``.
        physics : callable
            :func:`fan_speeds`, the right-hand side of the two speeds.
        physics_params : dict
            True values: ``{"acceleration": 149.4, "omega_max": 314.159}``, in rad s^-2 and rad/s.
        observe : callable
            Function from the two speeds to the three targets, for a closed hatch.
        pressure_physics : callable
            :func:`fan_pressure`, for models with the speeds as features.
        pressure_params : dict
            True value: ``{"closed_pressure": 18.705}``, in Pa. The effect of the hatch is
            proportional to the same term. So a network that sees the speeds and the hatch can
            shift any part of it between physics and network: the data determine only the sum,
            unless the network is zero with the hatch closed.
        constants : dict
            All published constants, in SI units; the hatch in degrees.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

    See Also
    --------
    fetch_wind_tunnel : The measured data sets.

    Notes
    -----
    The published model of a fan is ``I w' = tau(L) - K w^2`` with
    ``tau(L) = T max(L, 0.1)^3 (C_max - C_min)``, I = 0.059^2 0.02 / 2 kg m^2, T = 0.05 N m/A,
    C_min = 0.166 A, C_max = 0.27 A and K = tau(1) / omega_max^2. For a constant load it has a
    closed-form solution. The simulation uses it, so the data contain no solver error.

    The published static pressure S of a fan is at the airflow Q where the impedance of the tunnel,
    S = Z Q^2, meets the characteristic of the fan. This airflow solves
    ``Z Q^2 + (w / omega_max) (S_max / Q_max) Q - (w / omega_max)^2 S_max = 0``, where
    ``Z = S_max / Q_max^2 (1 - r) / r^2``. The solution is Q = r Q_max w / omega_max. Hence
    S = S_max (1 - r) (w / omega_max)^2: the largest airflow, Q_max, has no effect on the pressure.

    In the measured impulses, the fan has half a second to slow down to idle before a record begins.
    In the simulation, a record begins with steady speeds.

    References
    ----------
    J. L. Gamella, J. Peters, P. Bühlmann: "Causal chambers as a real-world physical testbed for AI
    methodology", Nature Machine Intelligence (2025), doi:10.1038/s42256-024-00964-x: models A2 and
    C3.

    Examples
    --------
    >>> from skhybrid.datasets import make_wind_tunnel
    >>> tunnel = make_wind_tunnel(n_records=4, random_state=0)
    >>> tunnel.data.shape, tunnel.target.shape, tunnel.target_names
    ((4, 50, 3), (4, 50, 3), ['speed_in', 'speed_out', 'pressure'])
    """
    random = check_random_state(random_state)
    data = DRAW_LOADS[loads](random, n_records, n_times)
    speeds = simulate_speeds(data[..., :2], dt)
    noise_free = np.concatenate([speeds, simulate_pressure(speeds, data[..., 2:])], axis=-1)
    target = noise_free.copy()
    target[..., 2] += noise * random.standard_normal((n_records, n_times))
    return build_bunch(
        data,
        target,
        return_X_y=return_X_y,
        noise_free=noise_free,
        initial_states=speeds[:, 0].copy(),
        times=dt * np.arange(n_times),
        dt=dt,
        feature_names=list(FEATURE_NAMES),
        target_names=list(TARGET_NAMES),
        physics=fan_speeds,
        physics_params={"acceleration": ACCELERATION, "omega_max": OMEGA_MAX},
        observe=observe_closed_tunnel,
        pressure_physics=fan_pressure,
        pressure_params={"closed_pressure": CLOSED_PRESSURE},
        constants=dict(PUBLISHED),
        DESCR=_DESCR,
    )


def simulate_speeds(loads: np.ndarray, dt: float) -> np.ndarray:
    """Return the exact speeds at the samples; loads are constant between them; same shape."""
    steady = OMEGA_MAX * np.maximum(loads, LOAD_MIN) ** 1.5
    # The solution is a hyperbolic tangent of time; this is its progress within one step.
    progress = np.tanh(ACCELERATION / OMEGA_MAX**2 * steady * dt)
    speeds = np.empty_like(steady)
    speeds[:, 0] = steady[:, 0]
    for step in range(steady.shape[1] - 1):
        goal, done, now = steady[:, step], progress[:, step], speeds[:, step]
        speeds[:, step + 1] = goal * (now + goal * done) / (goal + now * done)
    return speeds


def _airflow_ratio(hatch: np.ndarray) -> np.ndarray:
    """Return the fraction of the largest airflow that passes, for a hatch in degrees."""
    opened = PUBLISHED["hatch_effect"] * hatch / PUBLISHED["hatch_max"]
    return np.minimum(1.0, PUBLISHED["airflow_ratio"] + opened)


def simulate_pressure(speeds: np.ndarray, hatch: np.ndarray) -> np.ndarray:
    """Return the pressure downwind minus ambient; shapes (..., 2) and (..., 1) give (..., 1)."""
    static = PUBLISHED["pressure_max"] * (1 - _airflow_ratio(hatch)) * (speeds / OMEGA_MAX) ** 2
    return static[..., :1] - static[..., 1:]
