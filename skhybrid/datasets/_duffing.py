"""Simulated trajectories of a Duffing oscillator; the physics misses the damping."""

from __future__ import annotations

import functools
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
from skhybrid.datasets._pendulum import friction
from skhybrid.datasets._simulate_trajectories import simulate_trajectories

_FEATURE_NAMES = ("position", "velocity")
_LIMIT = 1.5

_DESCR = f"""\
Duffing oscillator (simulated)
------------------------------

========  =============================================================
position  of a mass on a spring that stiffens as it is stretched
velocity  the derivative of the position
========  =============================================================

    position'' = -linear position - cubic position^3 - damping velocity

with linear = cubic = 1 and damping = 0.3, without units. The physics has the two terms of the
spring, with unknown stiffnesses. It misses the damping.

data    initial states at t = 0, uniform on [-{_LIMIT}, {_LIMIT}]^2
target  states at dt, 2 dt, ..., without the initial state

The missing part overlaps with the physics: on a decaying orbit, the velocity is correlated with the
position. Least squares with the physics alone underestimates the linear stiffness by 4 per cent and
the cubic stiffness by 2 per cent (windows of two steps). A network that sees the whole state can
shift both much further. A network that sees only the velocity cannot.
"""


def duffing(
    t: float | torch.Tensor,
    state: torch.Tensor,
    *,
    linear: float | torch.Tensor = 0.5,
    cubic: float | torch.Tensor = 0.5,
) -> torch.Tensor:
    """Return the rate of change of a Duffing oscillator without damping.

    Parameters
    ----------
    t : float or Tensor
        Time. The law does not depend on it.
    state : Tensor of shape (..., 2)
        Position and velocity.
    linear : float or Tensor of shape (), default=0.5
        Force per displacement, for small displacements. Training starts from the defaults: two
        terms of the same order.
    cubic : float or Tensor of shape (), default=0.5
        Force per cubed displacement.

    Returns
    -------
    Tensor of shape (..., 2)
        Time derivative of the state.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import duffing
    >>> duffing(0.0, torch.tensor([2.0, 3.0]), linear=1.0, cubic=0.5)
    tensor([ 3., -6.])
    """
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -linear * position - cubic * position**3], dim=-1)


@validate_params(
    {**TRAJECTORY_CONSTRAINTS, "linear": POSITIVE, "cubic": POSITIVE, "damping": NOT_NEGATIVE},
    prefer_skip_nested_validation=True,
)
def make_duffing(
    n_trajectories: int = 25,
    *,
    n_times: int = 40,
    dt: float = 0.2,
    linear: float = 1.0,
    cubic: float = 1.0,
    damping: float = 0.3,
    noise: float | Sequence[float] = 0.0,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Simulate a Duffing oscillator with damping, which the physics misses.

    Parameters
    ----------
    n_trajectories : int, default=25
        Number of trajectories.
    n_times : int, default=40
        Number of recorded states in each trajectory, without the initial state. With the
        default, a trajectory makes one to two swings and loses most of its energy.
    dt : float, default=0.2
        Time between recorded states. One fourth-order Runge-Kutta step of this size is
        accurate enough to find both stiffnesses within 0.1 per cent.
    linear : float, default=1.0
        True value of ``linear``.
    cubic : float, default=1.0
        True value of ``cubic``.
    damping : float, default=0.3
        Damping, which the physics misses.
    noise : float or sequence of 2 floats, default=0.0
        Standard deviation of the Gaussian noise on all observed states, including the initial
        states. No noise by default.
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
            ``dt, 2 dt, ...``.
        dt : float
            Time between two states.
        feature_names, target_names : list of str
            ``["position", "velocity"]``.
        physics : callable
            :func:`duffing`.
        physics_params : dict
            True values: ``{"linear": float, "cubic": float}``.
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

    Examples
    --------
    >>> from skhybrid.datasets import make_duffing
    >>> oscillations = make_duffing(random_state=0)
    >>> oscillations.data.shape, oscillations.target.shape
    ((25, 2), (25, 40, 2))
    """
    random = check_random_state(random_state)
    return simulate_trajectories(
        duffing,
        {"linear": float(linear), "cubic": float(cubic)},
        functools.partial(friction, damping=float(damping)),
        random.uniform(-_LIMIT, _LIMIT, size=(n_trajectories, 2)),
        n_times=n_times,
        dt=dt,
        noise=noise,
        random=random,
        feature_names=_FEATURE_NAMES,
        return_X_y=return_X_y,
        DESCR=_DESCR,
    )
