"""Two fans and a hatch: the wind tunnel of the Causal Chambers, simulated from its models."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

FEATURE_NAMES = ("load_in", "load_out", "hatch")
TARGET_NAMES = ("speed_in", "speed_out", "pressure")

# The constants that are published with the chambers (see the Notes of make_wind_tunnel).
_PUBLISHED = {
    "inertia": 0.5 * 0.059**2 * 0.02,  # kg m^2
    "torque_per_current": 0.05,  # N m / A
    "current_min": 0.166,  # A
    "current_max": 0.27,  # A
    "omega_max": 314.159,  # rad/s, 3,000 turns a minute
    "load_min": 0.1,
    "pressure_max": 74.82,  # Pa
    "flow_max": 186.7 / 3600,  # m^3/s
    "airflow_ratio": 0.75,
    "hatch_effect": 0.15,
    "hatch_max": 45.0,  # degrees
}
_LOAD_MIN = _PUBLISHED["load_min"]
_OMEGA_MAX = _PUBLISHED["omega_max"]
_TORQUE = _PUBLISHED["torque_per_current"] * (
    _PUBLISHED["current_max"] - _PUBLISHED["current_min"]
)  # N m, at full load
_ACCELERATION = _TORQUE / _PUBLISHED["inertia"]  # rad s^-2
_CLOSED_PRESSURE = _PUBLISHED["pressure_max"] * (1 - _PUBLISHED["airflow_ratio"])  # Pa

_IDLE = 0.01  # the load to which the measured experiments set an idle fan
_LOADS = ("impulses", "steps", "walk")

CITATION = (
    "Gamella, J. L., Peters, J., Bühlmann, P.: Causal chambers as a real-world physical testbed "
    "for AI methodology. Nature Machine Intelligence (2025). doi:10.1038/s42256-024-00964-x"
)

COLUMNS_DESCR = """\
===================  =======  =============================================================
load_in, load_out    0 to 1   how hard the fan at the intake and at the exhaust are driven
hatch                degrees  opening of the hatch, 0 (closed) to 45
speed_in, speed_out  rad/s    speeds of the fans (targets)
pressure             Pa       downwind of the intake fan, less the ambient one (a target)
===================  =======  =============================================================
"""

_DESCR = f"""\
Wind tunnel (simulated)
-----------------------

A tube with a fan at either end and a hatch in its wall. Every record is a time series:

{COLUMNS_DESCR}
With L for the load of a fan and w for its speed,

    w' = acceleration (max(L, 0.1)^3 - (w / omega_max)^2)
    pressure = S (1 - r) ((w_in / omega_max)^2 - (w_out / omega_max)^2) + Gaussian noise
    r = min(1, 0.75 + 0.15 hatch / 45)

with acceleration = {_ACCELERATION:.2f} rad s^-2, omega_max = 314.159 rad/s and S = 74.82 Pa. The
loads and the hatch hold their values until the next sample.

The physics knows the first line (fan_speeds) and the second one for a closed hatch (fan_pressure).
It knows nothing of the hatch, which takes the more from the pressure the wider it is open. Speeds
are simulated without noise.

Made after: {CITATION}
"""


def fan_speeds(
    t: torch.Tensor,
    state: torch.Tensor,
    inputs: torch.Tensor,
    *,
    acceleration: float | torch.Tensor = 100.0,
    omega_max: float | torch.Tensor = 300.0,
) -> torch.Tensor:
    """Accelerations of two fans: the torque that the load gives, less the drag of the air.

    Parameters
    ----------
    t : Tensor of shape ()
        Time in s. The law does not depend on it.
    state : Tensor of shape (..., 2)
        Speeds of the fan at the intake and of the one at the exhaust, in rad/s.
    inputs : Tensor of shape (..., n_inputs)
        The loads of the two fans, 0 to 1, come first; what follows has no part in the law.
    acceleration : float or Tensor of shape (), default=100.0
        What full load does to a fan at rest, in rad s^-2: its torque over its inertia. The default
        is where learning starts: full speed within seconds.
    omega_max : float or Tensor of shape (), default=300.0
        Speed at which a fan settles under full load, in rad/s. The default is where learning
        starts: about 3,000 turns a minute.

    Returns
    -------
    Tensor of shape (..., 2)
        Accelerations, in rad s^-2.

    Notes
    -----
    The published law is I w' = tau(L) - K w^2. From speeds alone only two of its constants can be
    told, tau(1) / I and tau(1) / K; those are ``acceleration`` and ``omega_max`` squared. Loads
    below 0.1 act like 0.1. For the drag stands ``w * abs(w)``, so that a speed below 0, which an
    inexact step can reach, comes back.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import fan_speeds
    >>> speeds, loads = torch.tensor([0.0, 200.0]), torch.tensor([1.0, 1.0])
    >>> fan_speeds(torch.tensor(0.0), speeds, loads, acceleration=150.0, omega_max=200.0)
    tensor([150.,   0.])
    """
    torque = torch.clamp(inputs[..., :2], min=_LOAD_MIN) ** 3
    relative = state / omega_max
    return acceleration * (torque - relative * relative.abs())


def fan_pressure(
    speed_in: torch.Tensor, speed_out: torch.Tensor, *, closed_pressure: float | torch.Tensor = 10.0
) -> torch.Tensor:
    """Pressure downwind of the intake fan, less the ambient one, with the hatch closed.

    Parameters
    ----------
    speed_in, speed_out : Tensor of shape (...)
        Speeds of the fans, in rad/s.
    closed_pressure : float or Tensor of shape (), default=10.0
        Pressure that one fan makes at 314.159 rad/s, in Pa. The default is where learning starts.

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
    return closed_pressure * ((speed_in / _OMEGA_MAX) ** 2 - (speed_out / _OMEGA_MAX) ** 2)


def observe_closed_tunnel(state: torch.Tensor) -> torch.Tensor:
    """What is measured of two speeds, shape (..., 2), if the hatch is closed; shape (..., 3)."""
    pressure = fan_pressure(state[..., 0], state[..., 1], closed_pressure=_CLOSED_PRESSURE)
    return torch.cat([state, pressure[..., None]], dim=-1)


@validate_params(
    {
        "n_records": [Interval(Integral, 1, None, closed="left")],
        "n_times": [Interval(Integral, 2, None, closed="left")],
        "loads": [StrOptions(set(_LOADS))],
        "dt": [Interval(Real, 0, None, closed="neither")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "return_X_y": ["boolean"],
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
    """Simulate a wind tunnel: fans driven over time, and a hatch that the physics does not know.

    Parameters
    ----------
    n_records : int, default=20
        Number of time series.
    n_times : int, default=50
        Number of samples in each.
    loads : {"impulses", "steps", "walk"}, default="impulses"
        How the fans are driven. ``"impulses"``: as in the measured data set
        ``wt_intake_impulse_v1``, the intake fan is idle for a tenth of the time, under full load
        for two fifths, and idle again, while the exhaust fan is idle, at half or at full load, and
        the hatch stays where it is. ``"steps"``: both loads and the hatch jump to random values
        and stay there for random times. ``"walk"``: all three follow random walks.
    dt : float, default=0.15
        Time between two samples, in s. The default is about that of the measured data.
    noise : float, default=0.2
        Standard deviation of the Gaussian noise on the pressure, in Pa. The default is that of the
        published simulator.
    random_state : int, RandomState instance or None, default=None
        Seed of the loads, of the hatch and of the noise. Give an int to get the same data again.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_records, n_times, 3)
            Loads of the intake fan and of the exhaust fan, 0.01 to 1, and the position of the
            hatch, 0 to 45 degrees. A sample's values act until the next sample.
        target : ndarray of shape (n_records, n_times, 3)
            Speeds of the intake fan and of the exhaust fan in rad/s, and the pressure downwind,
            less the ambient one, in Pa.
        noise_free : ndarray of shape (n_records, n_times, 3)
            The same without noise.
        initial_states : ndarray of shape (n_records, 2)
            Speeds at the first sample, in rad/s: those that its loads keep up.
        times : ndarray of shape (n_times,)
            Times of the samples, in s.
        dt : float
            The argument ``dt``.
        feature_names, target_names : list of str
            ``["load_in", "load_out", "hatch"]`` and ``["speed_in", "speed_out", "pressure"]``.
        physics : callable
            :func:`fan_speeds`, the right-hand side for the two speeds.
        physics_params : dict
            The truth: ``{"acceleration": 149.4, "omega_max": 314.159}``, in rad s^-2 and rad/s.
        observe : callable
            The three targets from the two speeds, for a closed hatch.
        pressure_physics : callable
            :func:`fan_pressure`, for those who take the speeds as given.
        pressure_params : dict
            The truth: ``{"closed_pressure": 18.705}``, in Pa. What the hatch takes is in
            proportion to the same term, so that a network that sees the speeds and the hatch can
            shift any share of it between the two: only the sum is fixed by the data, unless the
            network's part is zero with the hatch closed.
        constants : dict
            All published constants, in SI units; hatch in degrees.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

    See Also
    --------
    fetch_wind_tunnel : The measured data sets.

    Notes
    -----
    The published model of a fan is ``I w' = tau(L) - K w^2`` with
    ``tau(L) = T max(L, 0.1)^3 (C_max - C_min)``, I = 0.059^2 0.02 / 2 kg m^2, T = 0.05 N m/A,
    C_min = 0.166 A, C_max = 0.27 A and K = tau(1) / omega_max^2. While the load is constant it has
    a solution in closed form, which is what is used here, so that no error of a solver is in the
    data.

    The published static pressure S of a fan is that where the impedance of the tunnel, S = Z Q^2,
    meets the characteristic of the fan, at the airflow Q that solves
    ``Z Q^2 + (w / omega_max) (S_max / Q_max) Q - (w / omega_max)^2 S_max = 0``, where
    ``Z = S_max / Q_max^2 (1 - r) / r^2``. The solution is Q = r Q_max w / omega_max, hence
    S = S_max (1 - r) (w / omega_max)^2: the largest airflow, Q_max, has no influence on the
    pressure.

    In the measured impulses the fan has half a second to slow down to idle before a record starts;
    here a record starts at rest, in the sense that the speeds are steady.

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
    drive = {"impulses": _impulses, "steps": _steps, "walk": _walk}[loads]
    data = drive(random, n_records, n_times)
    speeds = _simulate_speeds(data[..., :2], dt)
    noise_free = np.concatenate([speeds, _pressure(speeds, data[..., 2:])], axis=-1)
    target = noise_free.copy()
    target[..., 2] += noise * random.standard_normal((n_records, n_times))
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        noise_free=noise_free,
        initial_states=speeds[:, 0].copy(),
        times=dt * np.arange(n_times),
        dt=dt,
        feature_names=list(FEATURE_NAMES),
        target_names=list(TARGET_NAMES),
        physics=fan_speeds,
        physics_params={"acceleration": _ACCELERATION, "omega_max": _OMEGA_MAX},
        observe=observe_closed_tunnel,
        pressure_physics=fan_pressure,
        pressure_params={"closed_pressure": _CLOSED_PRESSURE},
        constants=dict(_PUBLISHED),
        DESCR=_DESCR,
    )


# How the tunnel is driven: each returns an array of shape (n_records, n_times, 3)


def _impulses(random: np.random.RandomState, n_records: int, n_times: int) -> np.ndarray:
    """Draw records as those of wt_intake_impulse_v1, which have 5, 20 and 25 samples."""
    data = np.empty((n_records, n_times, 3))
    data[..., 0] = _IDLE
    data[:, max(1, n_times // 10) : max(2, n_times // 2), 0] = 1.0
    data[..., 1] = random.choice([_IDLE, 0.5, 1.0], size=(n_records, 1))
    data[..., 2] = _draw_hatch(random, (n_records, 1))
    return data


def _steps(random: np.random.RandomState, n_records: int, n_times: int) -> np.ndarray:
    """Draw records in which every input jumps, on average after a tenth of the record."""
    levels = np.stack(
        [
            _draw_load(random, (n_records, n_times)),
            _draw_load(random, (n_records, n_times)),
            _draw_hatch(random, (n_records, n_times)),
        ],
        axis=-1,
    )
    jumps = random.uniform(size=levels.shape) < min(1.0, 10 / n_times)
    jumps[:, 0] = True
    held_since = np.where(jumps, np.arange(n_times)[:, None], 0)
    return np.take_along_axis(levels, np.maximum.accumulate(held_since, axis=1), axis=1)


def _walk(random: np.random.RandomState, n_records: int, n_times: int) -> np.ndarray:
    """Draw random walks with the step sizes of wt_walks_v1, reflected at the ends of the ranges."""
    low = np.array([_IDLE, _IDLE, 0.0])
    span = np.array([1.0, 1.0, _PUBLISHED["hatch_max"]]) - low
    largest_step = random.uniform([0.01, 0.01, 0.1], span / 50, size=(n_records, 1, 3))
    steps = largest_step * random.uniform(-1.0, 1.0, size=(n_records, n_times, 3))
    steps[:, 0] = span * random.uniform(size=(n_records, 3))
    folded = np.cumsum(steps, axis=1) % (2 * span)
    return low + np.minimum(folded, 2 * span - folded)


def _draw_load(random: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    return random.randint(1, 101, size=shape) / 100


def _draw_hatch(random: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    return random.randint(0, 451, size=shape) / 10


# The tunnel


def _simulate_speeds(loads: np.ndarray, dt: float) -> np.ndarray:
    """Speeds at the samples, exact for loads that hold between them; same shape as ``loads``."""
    steady = _OMEGA_MAX * np.maximum(loads, _LOAD_MIN) ** 1.5
    # How far the solution, a hyperbolic tangent in the time, gets within one step.
    progress = np.tanh(_ACCELERATION / _OMEGA_MAX**2 * steady * dt)
    speeds = np.empty_like(steady)
    speeds[:, 0] = steady[:, 0]
    for step in range(steady.shape[1] - 1):
        goal, done, now = steady[:, step], progress[:, step], speeds[:, step]
        speeds[:, step + 1] = goal * (now + goal * done) / (goal + now * done)
    return speeds


def _airflow_ratio(hatch: np.ndarray) -> np.ndarray:
    """Share of the largest airflow that passes, from the position of the hatch in degrees."""
    opened = _PUBLISHED["hatch_effect"] * hatch / _PUBLISHED["hatch_max"]
    return np.minimum(1.0, _PUBLISHED["airflow_ratio"] + opened)


def _pressure(speeds: np.ndarray, hatch: np.ndarray) -> np.ndarray:
    """Pressure downwind less the ambient one; shapes (..., 2) and (..., 1) give (..., 1)."""
    static = _PUBLISHED["pressure_max"] * (1 - _airflow_ratio(hatch)) * (speeds / _OMEGA_MAX) ** 2
    return static[..., :1] - static[..., 1:]
