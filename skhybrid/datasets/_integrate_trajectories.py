"""Integrate trajectories numerically, with high accuracy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from scipy.integrate import solve_ivp

# For one step. Trajectories are then accurate to 1e-10, which the tests of the data sets check.
_TOLERANCE = 1e-12
_MAX_NUMBERS_PER_CHUNK = 2**13  # larger chunks do not fit into a CPU cache

Rate = Callable[[float, torch.Tensor], torch.Tensor]


def integrate(
    rate: Rate, initial_states: np.ndarray, times: np.ndarray, *, initial_time: float = 0.0
) -> np.ndarray:
    """Integrate trajectories far more accurately than training does.

    Parameters
    ----------
    rate : callable
        Right-hand side. ``rate(t, states)`` returns the time derivative of float64 states with a
        leading batch axis.
    initial_states : ndarray of shape (n_trajectories, ...)
        States at ``initial_time``.
    times : ndarray of shape (n_times,)
        Output times, increasing and after ``initial_time``.
    initial_time : float, default=0.0
        Time of the initial states.

    Returns
    -------
    ndarray of shape (n_trajectories, n_times, ...)
        States at ``times``.

    Raises
    ------
    ValueError
        If the solver fails or a state is not finite.
    """
    size = max(1, _MAX_NUMBERS_PER_CHUNK // initial_states[0].size)
    chunks = np.split(initial_states, range(size, len(initial_states), size))
    all_times = [initial_time, *times]
    return np.concatenate([_integrate_chunk(rate, chunk, all_times) for chunk in chunks])


def _integrate_chunk(rate: Rate, initial_states: np.ndarray, times: list[float]) -> np.ndarray:
    """Return the states at all times but the first, the time of the initial states."""

    def flat_rate(t: float, flat: np.ndarray) -> np.ndarray:
        return rate(t, torch.from_numpy(flat.reshape(initial_states.shape))).numpy().ravel()

    states = [initial_states]
    # One call for each interval: the solver's interpolation between its steps is less accurate.
    for interval in pairwise(times):
        solution = solve_ivp(
            flat_rate,
            interval,
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
