"""First states of windows when a fit continues from an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import Rows
from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.start import PhysicsStart
from skhybrid.model.layout import FIRST_STATES

# At the learned states of other data, the loss is larger by far more than this factor.
WORSE = 2.0


def with_earlier_states(
    start: PhysicsStart, held_out: Rows | None, previous: Fitted
) -> tuple[PhysicsStart, Rows | None]:
    """Return the start and held-out windows at first states that suit an earlier fit.

    A network that was trained with learned first states, free ones above all, fits at these states
    only. If the earlier model predicts the windows at its own learned states about as well as at
    those of the data, or better, they begin there. Otherwise, as with other data, the free states
    of each window begin where it predicts best: at zero, at the mean of the earlier ones or a
    standard deviation from it.

    Parameters
    ----------
    start : PhysicsStart
    held_out : Rows or None
        Windows for early stopping.
    previous : Fitted
        The earlier fit.
    """
    earlier = previous.window_states
    if earlier is None or previous.hybrid.network is None or start.rows.x.index is None:
        return start, held_out
    if earlier.shape[1:] != start.rows.x.first_state.shape[1:]:
        return start, held_out
    windows = [start.rows] if held_out is None else [start.rows, held_out]
    chosen = [_best_states(rows, previous) for rows in windows]
    rows, *others = at_first_states(windows, chosen)
    return replace(start, rows=rows), others[0] if others else None


def at_first_states(windows: list[Rows], states: list[np.ndarray]) -> list[Rows]:
    """Return windows of the same trajectories whose first states are these.

    Parameters
    ----------
    windows : list of Rows
        Windows with learned first states, such as those of training and those held out.
    states : list of arrays of shape (n, *state_shape)
        First states of each of them.
    """
    last = max(int(each.max()) for rows in windows for each in (rows.x.index, rows.x.next_index))
    every = np.full((last + 1, *states[0].shape[1:]), np.nan)
    for rows, values in zip(windows, states, strict=True):
        every[rows.x.index] = values
    moved = []
    for rows, values in zip(windows, states, strict=True):
        following = every[np.maximum(rows.x.next_index, 0)]
        following = np.where(np.isnan(following), rows.x.next_state, following)
        moved.append(replace(rows, x=rows.x._replace(first_state=values, next_state=following)))
    return moved


def _best_states(rows: Rows, previous: Fitted) -> np.ndarray:
    """Return first states of the windows at which the earlier model predicts well."""
    x = rows.x
    learned = np.full(x.first_state.shape, np.nan)
    for earlier in (previous.window_states, previous.held_out_states):
        if earlier is not None:
            found = x.index < len(earlier)
            states = earlier[x.index[found]]
            learned[found] = np.where(np.isnan(states), learned[found], states)
    own = ~np.isnan(learned.reshape(len(learned), -1)).any(axis=1)
    # What columns of X give stays.
    learned = np.where(
        (x.unit == 0) | ~own.reshape(-1, *[1] * (x.unit.ndim - 1)), x.first_state, learned
    )
    candidates = [x.first_state, *_free_candidates(rows, previous)]
    losses = np.array([_losses(rows, states, previous) for states in candidates])
    losses = np.nan_to_num(losses, nan=np.inf)
    best = np.argmin(losses, axis=0)
    states = np.stack(candidates)[best, np.arange(len(rows))]
    if own.any() and _losses(rows, learned, previous)[own].sum() <= WORSE * losses[0][own].sum():
        states[own] = learned[own]
    return states


def _free_candidates(rows: Rows, previous: Fitted) -> Iterator[np.ndarray]:
    """Yield first states with other free states: their mean, and a standard deviation from it."""
    n_free = previous.hybrid.layout.n_free_states
    if n_free == 0:
        return
    free = previous.window_states[:, -n_free:]
    mean, std = np.nanmean(free, axis=0), np.diag(np.nanstd(free, axis=0))
    for move in (0.0 * mean, *std, *-std):
        states = rows.x.first_state.copy()
        states[:, -n_free:] = mean + move
        yield states


def _losses(rows: Rows, states: np.ndarray, previous: Fitted) -> np.ndarray:
    """Return the mean squared error of the earlier model in each window."""
    hybrid, scale = previous.hybrid, previous.hybrid.scales.target_scale
    at = replace(rows, x=rows.x._replace(first_state=states))
    x, y, weight = at.tensors(scale.dtype, scale.device)
    coordinates = {k: v for k, v in previous.coordinates.items() if k != FIRST_STATES}
    with torch.no_grad():
        error: Tensor = (hybrid(x, coordinates) - y) / scale
    if weight is not None:  # missing values have a weight of zero
        error = torch.where(weight > 0, error, 0.0)
    return error.double().square().flatten(1).mean(dim=1).cpu().numpy()
