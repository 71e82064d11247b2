"""States that are the network's alone: they follow the states of the physics."""

from __future__ import annotations

import numpy as np

from skhybrid.model.ode import ODE
from skhybrid.model.out_of_memory import require_memory


def free_state_names(ode: ODE) -> tuple[str, ...]:
    """Return the names of free states among the network's inputs."""
    return tuple(f"free_{number}" for number in range(ode.n_free_states))


def check_free_states(ode: ODE, state_shape: tuple[int, ...], n_times: int) -> None:
    """Raise an error if there can be no free states, or not so many.

    Parameters
    ----------
    ode : ODE
    state_shape : tuple of int
        Shape of a state of the physics.
    n_times : int
        Number of times of all trajectories together.

    Raises
    ------
    ValueError
        If states are fields.
    OutOfMemoryError
    """
    n_free = ode.n_free_states
    if n_free and len(state_shape) > 1:
        raise ValueError(
            f"n_free_states={n_free} is for states that are vectors; here one state is a field of "
            f"shape {state_shape}. Set n_free_states=0."
        )
    require_memory(8.0 * n_free * n_times, f"The record of {n_free} free states")


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
