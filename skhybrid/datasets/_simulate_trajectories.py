"""Simulate a data set of trajectories: solve, add noise and build the Bunch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skhybrid.datasets._add_noise import add_noise, check_noise
from skhybrid.datasets._build_bunch import build_bunch
from skhybrid.datasets._integrate_trajectories import Rate, integrate


def simulate_trajectories(
    physics: Rate,
    physics_params: dict[str, float],
    missing: Rate,
    initial_states: np.ndarray,
    *,
    n_times: int,
    dt: float,
    noise: float | Sequence[float],
    random: np.random.RandomState,
    feature_names: Sequence[str],
    return_X_y: bool,
    solve: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    **keys: Any,
) -> Bunch | tuple:
    """Simulate trajectories of physics plus missing part, in the layout of all such data sets.

    Parameters
    ----------
    physics : callable
        Right-hand side that the user knows, ``physics(t, state, **physics_params)``.
    physics_params : dict
        True values of its parameters.
    missing : callable
        ``missing(t, state)``, the part of the right-hand side that the physics misses.
    initial_states : ndarray of shape (n_trajectories, d) or (n_trajectories, d, height, width)
        States at time 0, without noise.
    n_times : int
        Number of states in each trajectory, without the initial state.
    dt : float
        Time between two states.
    noise : float or sequence of d floats
        Standard deviation of the noise: one for all state components, or one for each.
    random : RandomState
        Random numbers for the noise.
    feature_names : sequence of str
        Names of the ``d`` state components.
    return_X_y : bool
        Whether to return only ``(data, target)``.
    solve : callable or None, default=None
        Exact solution: ``solve(initial_states, times)`` returns an ndarray of shape
        (n_trajectories, n_times, ...). ``None`` means numerical integration.
    **keys : object
        Further keys of the Bunch.

    Returns
    -------
    Bunch or tuple
        The data set.

    Raises
    ------
    ValueError
        If ``noise`` is neither one number nor one for each state component, or one is negative.
    """
    deviations = check_noise(noise, feature_names)
    deviations = deviations.reshape(-1, *[1] * (initial_states.ndim - 2))
    times = dt * np.arange(1, n_times + 1)

    def rate(t, state):
        return physics(t, state, **physics_params) + missing(t, state)

    trajectories = (
        integrate(rate, initial_states, times) if solve is None else solve(initial_states, times)
    )
    return build_bunch(
        add_noise(initial_states, deviations, random),
        add_noise(trajectories, deviations, random),
        return_X_y=return_X_y,
        noise_free_data=initial_states,
        noise_free=trajectories,
        times=times,
        dt=dt,
        frame=None,
        feature_names=list(feature_names),
        target_names=list(feature_names),
        physics=physics,
        physics_params=physics_params,
        missing=missing,
        **keys,
    )
