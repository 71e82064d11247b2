"""States that are the network's alone: they follow the states of the physics."""

from __future__ import annotations

import numpy as np

from skhybrid.model.ode import ODE


def free_state_names(ode: ODE) -> tuple[str, ...]:
    """Return the names of free states among the network's inputs."""
    return tuple(f"free_{number}" for number in range(ode.n_free_states))


def with_free_states(values: np.ndarray, free: float | np.ndarray, n_free: int) -> np.ndarray:
    """Return values of states with those of free states after them.

    Parameters
    ----------
    values : array of shape (..., n_known_states)
        For fields, of any shape.
    free : scalar or array of shape (..., n_free)
        Values of the free states.
    n_free : int
        Number of free states. Zero returns ``values``.

    Returns
    -------
    array of shape (..., n_known_states + n_free)
    """
    if n_free == 0:
        return values
    filled = np.broadcast_to(np.asarray(free, dtype=values.dtype), (*values.shape[:-1], n_free))
    return np.concatenate([values, filled], axis=-1)
