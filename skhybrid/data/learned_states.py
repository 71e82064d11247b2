"""Learned first states of windows: what they say, and training that continues from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skhybrid.data.rows import Rows


def initial_states(rows: Rows, learned: np.ndarray, first_indices: np.ndarray) -> np.ndarray:
    """Return the learned initial states of trajectories, NaN for those without rows.

    Parameters
    ----------
    rows : Rows
        Windows with learned first states.
    learned : array of shape (n_first_states, *state_shape)
        Coordinates of the first states.
    first_indices : array of int, shape (n,)
        Indices of the windows that begin trajectories.
    """
    x = rows.x
    # The last trajectories may have no rows, and then no learned states either.
    n_states = max(len(learned), int(first_indices.max()) + 1)
    states = np.full((n_states, *x.first_state.shape[1:]), np.nan)
    states[x.index] = x.first_state + x.unit * learned[x.index]
    return states[first_indices]


def windows_at_learned_states(rows: Rows, learned: np.ndarray, std: np.ndarray | None) -> Rows:
    """Return windows whose first states are the learned ones, for further training.

    Parameters
    ----------
    rows : Rows
        Windows with learned first states.
    learned : array of shape (n_first_states, *state_shape)
        Coordinates of the first states.
    std : array of shape (n_states,) or None
        New standard deviation of the states; None keeps the current one.
    """
    x = rows.x
    first_state = x.first_state + x.unit * learned[x.index]
    next_state = x.next_state + x.next_unit * learned[np.maximum(x.next_index, 0)]
    unit, next_unit = x.unit, x.next_unit
    if std is not None:
        unit, next_unit = ((each != 0) * std for each in (unit, next_unit))
    moved = x._replace(
        first_state=first_state, next_state=next_state, unit=unit, next_unit=next_unit
    )
    return replace(rows, x=moved)
