"""Add Gaussian noise to simulated trajectories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def check_noise(noise: float | Sequence[float], feature_names: Sequence[str]) -> np.ndarray:
    """Return the standard deviations of the noise.

    Parameters
    ----------
    noise : float or sequence of float
        The user's argument: one standard deviation, or one for each state component.
    feature_names : sequence of str
        Names of the ``d`` state components.

    Returns
    -------
    ndarray of shape (1,) or (d,)
        The standard deviations.

    Raises
    ------
    ValueError
        If their number is wrong, or if one is negative or not finite.
    """
    try:
        deviations = np.atleast_1d(np.asarray(noise, dtype=np.float64))
    except (TypeError, ValueError):
        deviations = np.array([np.nan])
    wrong_number = np.ndim(noise) > 0 and deviations.shape != (len(feature_names),)
    if wrong_number or not np.all(np.isfinite(deviations) & (deviations >= 0)):
        raise ValueError(
            "noise must be one number that is not negative, or one for each of "
            f"{', '.join(feature_names)}. Got {noise!r}."
        )
    return deviations


def add_noise(
    states: np.ndarray, deviations: np.ndarray, random: np.random.RandomState
) -> np.ndarray:
    """Return a noisy copy of the states; draw nothing if all deviations are 0."""
    if not deviations.any():
        return states.copy()
    return states + deviations * random.standard_normal(states.shape)
