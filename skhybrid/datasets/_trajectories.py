"""What all simulated dynamics share: accurate integration, noise, and one layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval

# Of one step. The trajectories are then good to 1e-10, which the tests of the data sets check.
_TOLERANCE = 1e-12
_NUMBERS_AT_A_TIME = 2**13  # more do not fit into the cache of a processor

POSITIVE = [Interval(Real, 0, None, closed="neither")]
NOT_NEGATIVE = [Interval(Real, 0, None, closed="left")]
CONSTRAINTS = {
    "n_trajectories": [Interval(Integral, 1, None, closed="left")],
    "n_times": [Interval(Integral, 1, None, closed="left")],
    "dt": POSITIVE,
    "noise": [Interval(Real, 0, None, closed="left"), "array-like"],
    "random_state": ["random_state"],
    "return_X_y": ["boolean"],
}

Rate = Callable[[float, torch.Tensor], torch.Tensor]


def integrate(
    rate: Rate, initial_states: np.ndarray, times: np.ndarray, *, start: float = 0.0
) -> np.ndarray:
    """Integrate trajectories far more accurately than anybody trains.

    Parameters
    ----------
    rate : callable
        ``rate(t, states)`` returns the derivative of float64 states with a leading batch axis.
    initial_states : ndarray of shape (n_trajectories, ...)
        States at ``start``.
    times : ndarray of shape (n_times,)
        Where the states are wanted, increasing and after ``start``.
    start : float, default=0.0
        Time of the initial states.

    Returns
    -------
    ndarray of shape (n_trajectories, n_times, ...)
        The states.

    Raises
    ------
    ValueError
        If the solver gives up or a state is not finite.
    """
    size = max(1, _NUMBERS_AT_A_TIME // initial_states[0].size)
    chunks = np.split(initial_states, range(size, len(initial_states), size))
    return np.concatenate([_integrate_chunk(rate, chunk, times, start) for chunk in chunks])


def _integrate_chunk(
    rate: Rate, initial_states: np.ndarray, times: np.ndarray, start: float
) -> np.ndarray:
    def flat_rate(t: float, flat: np.ndarray) -> np.ndarray:
        return rate(t, torch.from_numpy(flat.reshape(initial_states.shape))).numpy().ravel()

    states = [initial_states]
    # One call for each interval: between its steps the solver interpolates with a larger error.
    for begin, end in pairwise([start, *times]):
        solution = solve_ivp(
            flat_rate,
            (begin, end),
            states[-1].ravel(),
            method="DOP853",
            rtol=_TOLERANCE,
            atol=_TOLERANCE,
        )
        if not (solution.success and np.isfinite(solution.y[:, -1]).all()):
            raise ValueError(
                f"The trajectories cannot be integrated beyond t = {solution.t[-1]:g} "
                f"({solution.message}). Choose constants for which the states stay finite."
            )
        states.append(solution.y[:, -1].reshape(initial_states.shape))
    return np.stack(states[1:], axis=1)


def output_times(n_times: int, dt: float) -> np.ndarray:
    """Return the times ``dt, 2 dt, ...``, at which trajectories are recorded."""
    return dt * np.arange(1, n_times + 1)


def as_trajectories(
    initial_states: np.ndarray,
    trajectories: np.ndarray,
    *,
    dt: float,
    noise: float | Sequence[float],
    random: np.random.RandomState,
    feature_names: Sequence[str],
    return_X_y: bool,
    **extra: Any,
) -> Bunch | tuple:
    """Add the noise and lay out trajectories the way every data set of dynamics does.

    Parameters
    ----------
    initial_states : ndarray of shape (n_trajectories, d) or (n_trajectories, d, height, width)
        States at time 0, without noise.
    trajectories : ndarray of shape (n_trajectories, n_times, d, ...)
        States at ``dt, 2 dt, ...``, without noise.
    dt : float
        Time between two states.
    noise : float or sequence of d floats
        Standard deviation of the noise: of all quantities, or of each.
    random : RandomState
        Where the noise comes from.
    feature_names : sequence of str
        Names of the ``d`` quantities.
    return_X_y : bool
        Whether to return only ``(data, target)``.
    **extra : object
        Further keys of the Bunch.

    Returns
    -------
    Bunch or tuple
        The data set.

    Raises
    ------
    ValueError
        If ``noise`` is neither one number nor one for each quantity, or if one is negative.
    """
    spread = check_noise(noise, feature_names)
    spread = spread.reshape(-1, *[1] * (initial_states.ndim - 2))
    data = _with_noise(initial_states, spread, random)
    target = _with_noise(trajectories, spread, random)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        noise_free_data=initial_states,
        noise_free=trajectories,
        times=output_times(trajectories.shape[1], dt),
        dt=dt,
        frame=None,
        feature_names=list(feature_names),
        target_names=list(feature_names),
        **extra,
    )


def check_noise(noise: float | Sequence[float], feature_names: Sequence[str]) -> np.ndarray:
    """Return the standard deviations of the noise, one or one for each quantity.

    Parameters
    ----------
    noise : float or sequence of float
        What the user gave.
    feature_names : sequence of str
        Names of the quantities.

    Returns
    -------
    ndarray of shape (1,) or (d,)
        The standard deviations.

    Raises
    ------
    ValueError
        If there are not as many as quantities, or if one is negative or not finite.
    """
    try:
        spread = np.atleast_1d(np.asarray(noise, dtype=np.float64))
    except (TypeError, ValueError):
        spread = np.array([np.nan])
    wrong_number = np.ndim(noise) > 0 and spread.shape != (len(feature_names),)
    if wrong_number or not np.all(np.isfinite(spread) & (spread >= 0)):
        raise ValueError(
            "noise must be one number that is not negative, or one for each of "
            f"{', '.join(feature_names)}. Got {noise!r}."
        )
    return spread


def _with_noise(
    states: np.ndarray, spread: np.ndarray, random: np.random.RandomState
) -> np.ndarray:
    if not spread.any():
        return states.copy()
    return states + spread * random.standard_normal(states.shape)
