"""Prey and predators, with an interaction among the predators that the physics does not know."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import validate_params

from skhybrid.datasets._trajectories import (
    CONSTRAINTS,
    NOT_NEGATIVE,
    as_trajectories,
    integrate,
    output_times,
)

_FEATURE_NAMES = ("prey", "predators")
# Rounded from what Carpenter's case study finds for hares and lynxes; see the Notes.
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
interference = 0.005. The physics is the model of Lotka and Volterra and knows none of the four
constants. What it misses is the interaction of the predators with each other: the more there are,
the more they stand in each other's way, -interference predators^2.

data    initial states, at t = 0: log-uniform, 10 to 60 thousand prey, 5 to 40 thousand predators
target  states at dt, 2 dt, ...; the initial state is not among them

The missing part makes the cycles die away, which those of the physics never do. It overlaps with
the mortality: both take predators away where there are many. Least squares with the physics alone,
from one state to the next, finds a mortality that is 15 per cent too high, and the other three
constants within about one per cent.
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
    """Rate of change of prey and predators, after Lotka and Volterra.

    Parameters
    ----------
    t : float or Tensor
        Time in years, which makes no difference.
    state : Tensor of shape (..., 2)
        Prey and predators, in thousands.
    growth : float or Tensor of shape (), default=1.0
        Growth rate of the prey without predators, per year. The defaults are where learning
        starts: animals that double or halve within a year when left alone, and a balance of 20
        thousand of each.
    predation : float or Tensor of shape (), default=0.05
        Share of the prey eaten per year by each thousand predators.
    conversion : float or Tensor of shape (), default=0.05
        Growth rate of the predators, per year, for each thousand prey.
    mortality : float or Tensor of shape (), default=1.0
        Rate at which predators vanish without prey, per year.

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
    predators = state[..., 1]
    return torch.stack([torch.zeros_like(predators), -interference * predators**2], dim=-1)


@validate_params({**CONSTRAINTS, "interference": NOT_NEGATIVE}, prefer_skip_nested_validation=True)
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
        Number of recorded states in each, the initial state not counted. The default makes 20
        years, about two cycles.
    dt : float, default=0.5
        Time between recorded states, in years.
    interference : float, default=0.005
        Strength of the interaction that the physics does not know: the rate at which predators
        vanish because of each thousand other predators, per year. At the usual number of
        predators, about 19 thousand, the default adds an eighth to the mortality.
    noise : float or sequence of 2 floats, default=0.0
        Standard deviation of the Gaussian noise on all observed states, the initial ones
        included, in thousands. No noise by default. Much noise makes small numbers negative.
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
            ``dt, 2 dt, ...``, in years.
        dt : float
            Time between two states, in years.
        feature_names, target_names : list of str
            ``["prey", "predators"]``.
        physics : callable
            :func:`lotka_volterra`.
        physics_params : dict
            The truth about its four constants, as floats.
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

    See Also
    --------
    load_lynx_hare : Counts of lynxes and hares.

    Notes
    -----
    The four constants are of the size that B. Carpenter finds for the counts of lynxes and hares
    ("Predator-prey population dynamics: the Lotka-Volterra model in Stan", 2018). The missing
    interaction is ours.

    Examples
    --------
    >>> from skhybrid.datasets import make_lotka_volterra
    >>> cycles = make_lotka_volterra(random_state=0)
    >>> cycles.data.shape, cycles.target.shape
    ((25, 2), (25, 40, 2))
    """
    random = check_random_state(random_state)
    missing = functools.partial(_interference, interference=float(interference))
    low, high = np.log(_LIMITS).T
    initial_states = np.exp(random.uniform(low, high, size=(n_trajectories, 2)))
    trajectories = integrate(
        lambda t, state: lotka_volterra(t, state, **_TRUTH) + missing(t, state),
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
        physics=lotka_volterra,
        physics_params=dict(_TRUTH),
        missing=missing,
        DESCR=_DESCR,
    )
