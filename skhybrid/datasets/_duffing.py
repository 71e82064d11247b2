"""Trajectories of a Duffing oscillator whose damping the physics does not know."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._pendulum import friction
from skhybrid.datasets._trajectories import (
    CONSTRAINTS,
    NOT_NEGATIVE,
    POSITIVE,
    as_trajectories,
    integrate,
    output_times,
)

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

with linear = cubic = 1 and damping = 0.3, without units. The physics knows the two terms of the
spring and neither stiffness. It does not know the damping.

data    initial states, at t = 0: uniform on [-{_LIMIT}, {_LIMIT}]^2
target  states at dt, 2 dt, ...; the initial state is not among them

The missing part overlaps with the physics: on an orbit that decays, the velocity is correlated
with the position. Least squares with the physics alone is 4 per cent low in the linear stiffness
and 2 per cent low in the cubic one (windows of two steps), and a network that sees the whole
state can move both much further. A network that sees the velocity alone cannot.
"""


def duffing(
    t: float | torch.Tensor,
    state: torch.Tensor,
    *,
    linear: float | torch.Tensor = 0.5,
    cubic: float | torch.Tensor = 0.5,
) -> torch.Tensor:
    """Rate of change of a Duffing oscillator without damping.

    Parameters
    ----------
    t : float or Tensor
        Time, which makes no difference.
    state : Tensor of shape (..., 2)
        Position and velocity.
    linear : float or Tensor of shape (), default=0.5
        Force per displacement, for small ones. The defaults are where learning starts: the spring
        has two terms of the same order.
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
    {**CONSTRAINTS, "linear": POSITIVE, "cubic": POSITIVE, "damping": NOT_NEGATIVE},
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
    """Simulate a Duffing oscillator with damping, which its physics does not know.

    Parameters
    ----------
    n_trajectories : int, default=25
        Number of trajectories.
    n_times : int, default=40
        Number of recorded states in each, the initial state not counted. By default a trajectory
        makes one to two swings and loses most of its energy.
    dt : float, default=0.2
        Time between recorded states. One step of fourth-order Runge-Kutta across it is exact
        enough to find both stiffnesses within 0.1 per cent.
    linear : float, default=1.0
        The truth about ``linear``.
    cubic : float, default=1.0
        The truth about ``cubic``.
    damping : float, default=0.3
        Damping that the physics does not know.
    noise : float or sequence of 2 floats, default=0.0
        Standard deviation of the Gaussian noise on all observed states, the initial ones
        included. No noise by default.
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
            ``dt, 2 dt, ...``.
        dt : float
            Time between two states.
        feature_names, target_names : list of str
            ``["position", "velocity"]``.
        physics : callable
            :func:`duffing`.
        physics_params : dict
            The truth: ``{"linear": float, "cubic": float}``.
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

    Examples
    --------
    >>> from skhybrid.datasets import make_duffing
    >>> oscillations = make_duffing(random_state=0)
    >>> oscillations.data.shape, oscillations.target.shape
    ((25, 2), (25, 40, 2))
    """
    random = check_random_state(random_state)
    truth = {"linear": float(linear), "cubic": float(cubic)}
    missing = functools.partial(friction, damping=float(damping))
    initial_states = random.uniform(-_LIMIT, _LIMIT, size=(n_trajectories, 2))
    trajectories = integrate(
        lambda t, state: duffing(t, state, **truth) + missing(t, state),
        initial_states,
        output_times(n_times, dt),
    )
    return as_trajectories(
        initial_states,
        trajectories,
        dt=dt,
        noise=noise,
        random=random,
        feature_names=_FEATURE_NAMES,
        return_X_y=return_X_y,
        physics=duffing,
        physics_params=truth,
        missing=missing,
        DESCR=_DESCR,
    )
