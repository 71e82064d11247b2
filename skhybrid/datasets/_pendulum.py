"""Trajectories of a pendulum whose friction the physics does not know."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._trajectories import (
    CONSTRAINTS,
    NOT_NEGATIVE,
    POSITIVE,
    as_trajectories,
    integrate,
    output_times,
)

FEATURE_NAMES = ("angle", "velocity")
OMEGA2 = (2 * math.pi / 6) ** 2  # s^-2: small swings take 6 s
DAMPING = 0.2  # s^-1
_RADII = (1.3, 2.3)

_CITATION = """\
The numbers are those of Yin, Y., Le Guen, V., Dona, J., de Bézenac, E., Ayed, I., Thome, N.,
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

The physics knows the first term and not omega2, and it knows the drive, if there is one. It does
not know the friction, -damping angle'.

data    initial states, at t = 0
target  states at dt, 2 dt, ...; the initial state is not among them

Initial states have a random direction in the plane of angle and velocity, and a radius that is
uniform between {_RADII[0]} and {_RADII[1]} (rad and rad/s). A direction is that of a point in a
square, so that the diagonals are somewhat more likely.

{_CITATION}"""


def pendulum(
    t: float | torch.Tensor, state: torch.Tensor, *, omega2: float | torch.Tensor = 1.0
) -> torch.Tensor:
    """Rate of change of a pendulum without friction.

    Parameters
    ----------
    t : float or Tensor
        Time in s, which makes no difference.
    state : Tensor of shape (..., 2)
        Angle in rad and velocity in rad/s.
    omega2 : float or Tensor of shape (), default=1.0
        Squared angular frequency of small swings, in s^-2. The default is where learning starts:
        the right order of magnitude for a pendulum of a few metres.

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
    """Rate of change of a pendulum without friction that is driven by a cosine.

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
        Angular frequency of the drive, in rad/s. The defaults are of the order of the pendulum's
        own frequency and restoring acceleration.

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
    """Return what the physics of pendulum and Duffing oscillator leaves out."""
    velocity = state[..., 1]
    return torch.stack([torch.zeros_like(velocity), -damping * velocity], dim=-1)


def draw_initial_states(n_trajectories: int, random: np.random.RandomState) -> np.ndarray:
    """Draw initial states of the protocol, of shape (n_trajectories, 2)."""
    directions = random.uniform(-1.0, 1.0, size=(n_trajectories, 2))
    radii = random.uniform(*_RADII, size=(n_trajectories, 1))
    return radii * directions / np.linalg.norm(directions, axis=1, keepdims=True)


@validate_params(
    {
        **CONSTRAINTS,
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
    """Simulate a pendulum with friction, which its physics does not know.

    Parameters
    ----------
    n_trajectories : int, default=25
        Number of trajectories. This and the other defaults are those of Yin et al. [1]_.
    n_times : int, default=40
        Number of recorded states in each, the initial state not counted.
    dt : float, default=0.5
        Time between recorded states, in s.
    omega2 : float, default=(2 pi / 6)^2
        The truth about ``omega2``, in s^-2.
    damping : float, default=0.2
        Friction that the physics does not know, in s^-1.
    forcing_amplitude : float, default=0.0
        Amplitude of a drive that the physics knows, in rad s^-2. None by default.
    forcing_frequency : float, default=1.0
        Angular frequency of that drive, in rad/s: near resonance.
    noise : float or sequence of 2 floats, default=0.0
        Standard deviation of the Gaussian noise on all observed states, the initial ones
        included, in rad and rad/s. No noise by default.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial states and of the noise. Give an int to get the same data again.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the keys

        data : ndarray of shape (n_trajectories, 2)
            Initial states, at time 0, with noise.
        target : ndarray of shape (n_trajectories, n_times, 2)
            States at ``times``, with noise. The initial state is not among them.
        noise_free_data, noise_free : ndarrays
            The same without noise.
        times : ndarray of shape (n_times,)
            ``dt, 2 dt, ...``, in s.
        dt : float
            Time between two states, in s.
        feature_names, target_names : list of str
            ``["angle", "velocity"]``.
        physics : callable
            :func:`pendulum`; if there is a drive, :func:`forced_pendulum` with the drive filled
            in.
        physics_params : dict
            The truth: ``{"omega2": float}``, in s^-2.
        missing : callable
            ``missing(t, state)``, what the physics leaves out of the rate of change.
        frame : None
            Trajectories are no table.
        DESCR : str
            Description of the data set.

    (data, target) : tuple, if ``return_X_y`` is true

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ValueError and a TypeError, if an argument is none of what is listed above.

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
    missing = functools.partial(friction, damping=float(damping))
    initial_states = draw_initial_states(n_trajectories, random)
    trajectories = integrate(
        lambda t, state: physics(t, state, omega2=omega2) + missing(t, state),
        initial_states,
        output_times(n_times, dt),
    )
    return as_trajectories(
        initial_states,
        trajectories,
        dt=dt,
        noise=noise,
        random=random,
        feature_names=FEATURE_NAMES,
        return_X_y=return_X_y,
        physics=physics,
        physics_params={"omega2": float(omega2)},
        missing=missing,
        DESCR=_DESCR,
    )
