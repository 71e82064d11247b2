"""Simulated trajectories of prey and predators; the physics misses an interaction."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._argument_constraints import NOT_NEGATIVE, TRAJECTORY_CONSTRAINTS
from skhybrid.datasets._simulate_trajectories import simulate_trajectories

_FEATURE_NAMES = ("prey", "predators")
# Rounded estimates for hares and lynxes from Carpenter's case study; see the Notes.
_TRUTH = {"growth": 0.55, "predation": 0.028, "conversion": 0.024, "mortality": 0.8}
_LIMITS = ((10.0, 60.0), (5.0, 40.0))  # thousands

_DESCR = """\
Predators and prey (simulated)
------------------------------

=========  =========  =======================
prey       thousands  for example hares
predators  thousands  for example lynxes
=========  =========  =======================

    prey'      = growth prey - predation prey predators
    predators' = conversion prey predators - mortality predators - interference predators^2

per year, with growth = 0.55, predation = 0.028, conversion = 0.024, mortality = 0.8 and
interference = 0.005. The physics is the Lotka-Volterra model. Its four constants are unknown. It
misses the interaction among the predators, -interference predators^2: the more predators there are,
the more they hinder each other.

data    initial states at t = 0, log-uniform: 10 to 60 thousand prey, 5 to 40 thousand predators
target  states at dt, 2 dt, ..., without the initial state

The missing part damps the cycles. The cycles of the physics alone are never damped. The missing
part overlaps with the mortality: both remove predators where there are many. Least squares with the
physics alone, from one state to the next, overestimates the mortality by 15 per cent and finds the
other three constants within about one per cent.
"""


def lotka_volterra(
    t: float | torch.Tensor,
    state: torch.Tensor,
    *,
    growth: float | torch.Tensor = 1.0,
    predation: float | torch.Tensor = 0.05,
    conversion: float | torch.Tensor = 0.05,
    mortality: float | torch.Tensor = 1.0,
) -> torch.Tensor:
    """Return the rate of change of prey and predators, after Lotka and Volterra.

    Parameters
    ----------
    t : float or Tensor
        Time in years. The law does not depend on it.
    state : Tensor of shape (..., 2)
        Prey and predators, in thousands.
    growth : float or Tensor of shape (), default=1.0
        Growth rate of the prey without predators, per year. Training starts from the defaults:
        each species alone doubles or halves within a year, and the equilibrium is 20 thousand of
        each.
    predation : float or Tensor of shape (), default=0.05
        Fraction of the prey that each thousand predators eat per year.
    conversion : float or Tensor of shape (), default=0.05
        Growth rate of the predators for each thousand prey, per year.
    mortality : float or Tensor of shape (), default=1.0
        Rate at which predators die without prey, per year.

    Returns
    -------
    Tensor of shape (..., 2)
        Time derivative of the state.

    Examples
    --------
    >>> import torch
    >>> from skhybrid.datasets import lotka_volterra
    >>> lotka_volterra(0.0, torch.tensor([40.0, 10.0]))
    tensor([20., 10.])
    """
    prey, predators = state.unbind(-1)
    meetings = prey * predators
    return torch.stack(
        [growth * prey - predation * meetings, conversion * meetings - mortality * predators],
        dim=-1,
    )


def _interference(
    t: float | torch.Tensor, state: torch.Tensor, *, interference: float
) -> torch.Tensor:
    """Return the interaction among the predators, which the physics misses."""
    predators = state[..., 1]
    return torch.stack([torch.zeros_like(predators), -interference * predators**2], dim=-1)


@validate_params(
    {**TRAJECTORY_CONSTRAINTS, "interference": NOT_NEGATIVE}, prefer_skip_nested_validation=True
)
def make_lotka_volterra(
    n_trajectories: int = 25,
    *,
    n_times: int = 40,
    dt: float = 0.5,
    interference: float = 0.005,
    noise: float | Sequence[float] = 0.0,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple:
    """Simulate prey and predators; the physics misses an interaction among the predators.

    Parameters
    ----------
    n_trajectories : int, default=25
        Number of trajectories.
    n_times : int, default=40
        Number of recorded states in each trajectory, without the initial state. The default
        gives 20 years, about two cycles.
    dt : float, default=0.5
        Time between recorded states, in years.
    interference : float, default=0.005
        Strength of the interaction that the physics misses: the rate at which predators die
        because of each thousand other predators, per year. At the usual number of predators, about
        19 thousand, the default adds an eighth to the mortality.
    noise : float or sequence of 2 floats, default=0.0
        Standard deviation of the Gaussian noise on all observed states, including the initial
        states, in thousands. No noise by default. Strong noise makes small numbers negative.
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
            ``dt, 2 dt, ...``, in years.
        dt : float
            Time between two states, in years.
        feature_names, target_names : list of str
            ``["prey", "predators"]``.
        physics : callable
            :func:`lotka_volterra`.
        physics_params : dict
            True values of its four constants, as floats.
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

    See Also
    --------
    load_lynx_hare : Counts of lynxes and hares.

    Notes
    -----
    The four constants have the size that B. Carpenter finds for the counts of lynxes and hares
    ("Predator-prey population dynamics: the Lotka-Volterra model in Stan", 2018). skhybrid adds
    the missing interaction.

    Examples
    --------
    >>> from skhybrid.datasets import make_lotka_volterra
    >>> cycles = make_lotka_volterra(random_state=0)
    >>> cycles.data.shape, cycles.target.shape
    ((25, 2), (25, 40, 2))
    """
    random = check_random_state(random_state)
    low, high = np.log(_LIMITS).T
    return simulate_trajectories(
        lotka_volterra,
        dict(_TRUTH),
        functools.partial(_interference, interference=float(interference)),
        np.exp(random.uniform(low, high, size=(n_trajectories, 2))),
        n_times=n_times,
        dt=dt,
        noise=noise,
        random=random,
        feature_names=_FEATURE_NAMES,
        return_X_y=return_X_y,
        DESCR=_DESCR,
    )
