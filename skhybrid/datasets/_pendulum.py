"""Simulated trajectories of a pendulum; the physics misses the friction."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._argument_constraints import (
    NOT_NEGATIVE,
    POSITIVE,
    TRAJECTORY_CONSTRAINTS,
)
from skhybrid.datasets._simulate_trajectories import simulate_trajectories

FEATURE_NAMES = ("angle", "velocity")
OMEGA2 = (2 * math.pi / 6) ** 2  # s^-2: small swings have a period of 6 s
DAMPING = 0.2  # s^-1
_RADII = (1.3, 2.3)

_CITATION = """\
The constants come from Yin, Y., Le Guen, V., Dona, J., de Bézenac, E., Ayed, I., Thome, N.,
Gallinari, P.: Augmenting physical models with deep networks for complex dynamics forecasting.
ICLR 2021, arXiv 2010.04456.
"""

_DESCR = f"""\
Pendulum (simulated)
--------------------

========  =====  ==============================
angle     rad    0 hangs down
velocity  rad/s  the derivative of the angle
========  =====  ==============================

    angle'' = -omega2 sin(angle) - damping angle' + amplitude cos(frequency t)

The physics has the first term, with unknown omega2, and the drive with its true constants, if there
is a drive. It misses the friction, -damping angle'.

data    initial states at t = 0
target  states at dt, 2 dt, ..., without the initial state

Initial states have a random direction in the plane of angle and velocity, and a uniform radius
between {_RADII[0]} and {_RADII[1]} (rad and rad/s). The direction points to a uniformly random
point of a square, so diagonals are somewhat more likely.

{_CITATION}"""


def pendulum(
    t: float | torch.Tensor, state: torch.Tensor, *, omega2: float | torch.Tensor = 1.0
) -> torch.Tensor:
    """Return the rate of change of a pendulum without friction.

    Parameters
    ----------
    t : float or Tensor
        Time in s. The law does not depend on it.
    state : Tensor of shape (..., 2)
        Angle in rad and velocity in rad/s.
    omega2 : float or Tensor of shape (), default=1.0
        Squared angular frequency of small swings, in s^-2. Training starts from the default: the
        right order of magnitude for a pendulum of a few metres.

    Returns
    -------
    Tensor of shape (..., 2)
        Time derivative of the state.

    Examples
    --------
    >>> import math
    >>> import torch
    >>> from skhybrid.datasets import pendulum
    >>> pendulum(0.0, torch.tensor([math.pi / 2, 3.0]), omega2=2.0)
    tensor([ 3., -2.])
    """
    angle, velocity = state.unbind(-1)
    return torch.stack([velocity, -omega2 * torch.sin(angle)], dim=-1)


def forced_pendulum(
    t: float | torch.Tensor,
    state: torch.Tensor,
    *,
    omega2: float | torch.Tensor = 1.0,
    amplitude: float | torch.Tensor = 1.0,
    frequency: float | torch.Tensor = 1.0,
) -> torch.Tensor:
    """Return the rate of change of a pendulum without friction, driven by a cosine.

    Parameters
    ----------
    t : float or Tensor of shape () or (...)
        Time in s.
    state : Tensor of shape (..., 2)
        Angle in rad and velocity in rad/s.
    omega2 : float or Tensor of shape (), default=1.0
        Squared angular frequency of small swings, in s^-2.
    amplitude : float or Tensor of shape (), default=1.0
        Amplitude of the drive, in rad s^-2.
    frequency : float or Tensor of shape (), default=1.0
        Angular frequency of the drive, in rad/s. The defaults have the order of magnitude of
        the pendulum's own frequency and restoring acceleration.

    Returns
    -------
    Tensor of shape (..., 2)
        Time derivative of the state.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import forced_pendulum
    >>> forced_pendulum(0.0, torch.zeros(2), amplitude=0.5)
    tensor([0.0000, 0.5000])
    """
    angle, velocity = state.unbind(-1)
    t = torch.as_tensor(t, dtype=state.dtype, device=state.device)
    drive = amplitude * torch.cos(frequency * t)
    return torch.stack([velocity, drive - omega2 * torch.sin(angle)], dim=-1)


def friction(t: float | torch.Tensor, state: torch.Tensor, *, damping: float) -> torch.Tensor:
    """Return the damping, which the physics of pendulum and Duffing oscillator misses."""
    velocity = state[..., 1]
    return torch.stack([torch.zeros_like(velocity), -damping * velocity], dim=-1)


def draw_initial_states(n_trajectories: int, random: np.random.RandomState) -> np.ndarray:
    """Draw initial states as described in DESCR; shape (n_trajectories, 2)."""
    directions = random.uniform(-1.0, 1.0, size=(n_trajectories, 2))
    radii = random.uniform(*_RADII, size=(n_trajectories, 1))
    return radii * directions / np.linalg.norm(directions, axis=1, keepdims=True)


@validate_params(
    {
        **TRAJECTORY_CONSTRAINTS,
        "omega2": POSITIVE,
        "damping": NOT_NEGATIVE,
        "forcing_amplitude": NOT_NEGATIVE,
        "forcing_frequency": NOT_NEGATIVE,
    },
    prefer_skip_nested_validation=True,
)
def make_pendulum(
    n_trajectories: int = 25,
    *,
    n_times: int = 40,
    dt: float = 0.5,
    omega2: float = OMEGA2,
    damping: float = DAMPING,
    forcing_amplitude: float = 0.0,
    forcing_frequency: float = 1.0,
    noise: float | Sequence[float] = 0.0,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Simulate a pendulum with friction, which the physics misses.

    Parameters
    ----------
    n_trajectories : int, default=25
        Number of trajectories. This and the other defaults follow Yin et al. [1]_.
    n_times : int, default=40
        Number of recorded states in each trajectory, without the initial state.
    dt : float, default=0.5
        Time between recorded states, in s.
    omega2 : float, default=(2 pi / 6)^2
        True value of ``omega2``, in s^-2.
    damping : float, default=0.2
        Friction, which the physics misses, in s^-1.
    forcing_amplitude : float, default=0.0
        Amplitude of a drive that the physics knows, in rad s^-2. No drive by default.
    forcing_frequency : float, default=1.0
        Angular frequency of the drive, in rad/s. The default is near resonance.
    noise : float or sequence of 2 floats, default=0.0
        Standard deviation of the Gaussian noise on all observed states, including the initial
        states, in rad and rad/s. No noise by default.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial states and the noise. An int gives the same data in every call.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_trajectories, 2)
            Initial states at time 0, with noise.
        target : ndarray of shape (n_trajectories, n_times, 2)
            States at ``times``, with noise, without the initial state.
        noise_free_data, noise_free : ndarrays
            Same without noise.
        times : ndarray of shape (n_times,)
            ``dt, 2 dt, ...``, in s.
        dt : float
            Time between two states, in s.
        feature_names, target_names : list of str
            ``["angle", "velocity"]``.
        physics : callable
            :func:`pendulum`; with a drive, :func:`forced_pendulum` with amplitude and frequency
            filled in.
        physics_params : dict
            True value: ``{"omega2": float}``, in s^-2.
        missing : callable
            ``missing(t, state)``, the part of the rate of change that the physics misses.
        frame : None
            Trajectories have no DataFrame.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If an argument has a wrong type or value. It is both a ValueError and a TypeError.

    References
    ----------
    .. [1] Y. Yin, V. Le Guen, J. Dona, E. de Bézenac, I. Ayed, N. Thome, P. Gallinari (2021).
       Augmenting physical models with deep networks for complex dynamics forecasting. ICLR.

    Examples
    --------
    >>> from skhybrid.datasets import make_pendulum
    >>> swings = make_pendulum(random_state=0)
    >>> swings.data.shape, swings.target.shape
    ((25, 2), (25, 40, 2))
    >>> swings.times[:3]
    array([0.5, 1. , 1.5])
    """
    random = check_random_state(random_state)
    physics = pendulum
    if forcing_amplitude:
        physics = functools.partial(
            forced_pendulum,
            amplitude=float(forcing_amplitude),
            frequency=float(forcing_frequency),
        )
    return simulate_trajectories(
        physics,
        {"omega2": float(omega2)},
        functools.partial(friction, damping=float(damping)),
        draw_initial_states(n_trajectories, random),
        n_times=n_times,
        dt=dt,
        noise=noise,
        random=random,
        feature_names=FEATURE_NAMES,
        return_X_y=return_X_y,
        DESCR=_DESCR,
    )
