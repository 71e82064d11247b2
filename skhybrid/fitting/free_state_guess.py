"""Guess the free states of a differential equation from what its physics leaves unexplained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from skhybrid.data.rows import Rows
from skhybrid.fitting.start import PhysicsStart
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid

# Outputs that miss less than this part of their standard deviation are explained: the rest is
# rounding.
EXPLAINED = 1e-9


def with_guessed_free_states(start: PhysicsStart) -> PhysicsStart:
    """Return the start with first guesses of the free states of all windows.

    The rate that the physics lacks in a window tells of a hidden state, but also of the observed
    ones: a wall heats a room by their difference in temperature. A hidden state changes slowly, so
    the guess is the combination of the missing rate with outputs and inputs that changes least
    from one window to the next (as in slow feature analysis: L. Wiskott, T. J. Sejnowski, Neural
    Computation 14, 2002; here the coefficient of the missing rate is fixed). There is one for each
    output; free states are their principal components, in units of their standard deviation. If
    there are more free states than outputs, the others begin at zero.

    Parameters
    ----------
    start : PhysicsStart
        Windows that begin at states of the physics.
    """
    if not _has_free_states(start.physical):
        return start
    missing, others = _missing_rates(start)
    slow = _slowest(missing, others, start.rows)
    slow = slow - slow.mean(axis=0)
    if not np.isfinite(slow).all():
        return start
    guess = slow @ np.linalg.svd(slow, full_matrices=False)[2].T
    std = guess.std(axis=0)
    varies = std > EXPLAINED
    n_free = start.physical.layout.n_free_states
    guess = (guess[:, varies] / std[varies])[:, :n_free]
    missing_states = n_free - guess.shape[1]
    return replace(start, rows=_at(start.rows, np.pad(guess, ((0, 0), (0, missing_states)))))


def _has_free_states(physical: Hybrid) -> bool:
    """Whether there are free states beside a physics."""
    return (
        isinstance(physical, Dynamics)
        and physical.physics is not None
        and physical.layout.n_free_states > 0
    )


def _missing_rates(start: PhysicsStart) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates of the outputs that the physics lacks, and mean outputs and inputs.

    Rates are slopes of the residuals over a window, in standard deviations of the outputs per mean
    length of a window; an output that is not observed in a window has none.
    """
    physical = start.physical
    x, y, weight = start.rows.tensors(torch.float64, physical.scales.target_scale.device)
    values = {name: torch.as_tensor(value).to(y) for name, value in start.values.items()}
    with torch.no_grad():
        prediction = physical.without_network(x, values, None)[0]
    known = torch.ones_like(y) if weight is None else (weight > 0).to(y).expand_as(y)
    scale = physical.scales.target_scale
    residual = ((y - prediction) / scale * known).flatten(2)
    elapsed = torch.cat([torch.zeros_like(x.steps[:, :1]), x.steps.cumsum(1)], dim=1)
    elapsed = elapsed[:, -y.shape[1] :, None] / elapsed[:, -1].mean()
    square = (elapsed.square() * known.flatten(2)).sum(1)
    rates = (elapsed * residual).sum(1) / torch.where(square > 0, square, 1.0)
    parts = [(prediction / scale).flatten(2).mean(1) + residual.mean(1)]
    if x.inputs is not None:
        parts.append(x.inputs[:, :-1].mean(1))
    return rates.cpu().numpy(), torch.cat(parts, dim=1).cpu().numpy()


def _slowest(missing: np.ndarray, others: np.ndarray, rows: Rows) -> np.ndarray:
    """Return the missing rates plus the combinations of the others that change least together."""
    place = np.full(int(max(rows.x.index.max(), rows.x.next_index.max())) + 1, -1)
    place[rows.x.index] = np.arange(len(rows))
    following = np.where(rows.x.next_index >= 0, place[rows.x.next_index], -1)
    begin = np.flatnonzero(following >= 0)
    if len(begin) <= others.shape[1]:
        return missing
    size = others.std(axis=0)
    others = others[:, size > 0] / size[size > 0]  # in any unit
    change = others[following[begin]] - others[begin]
    change_of_missing = missing[following[begin]] - missing[begin]
    coefficients = np.linalg.lstsq(change, change_of_missing, rcond=None)[0]
    return missing - others @ coefficients


def _at(rows: Rows, free: np.ndarray) -> Rows:
    """Return windows whose first free states are these."""
    x, n_free = rows.x, free.shape[1]
    every = np.zeros((int(max(x.index.max(), x.next_index.max())) + 1, n_free))
    every[x.index] = free
    first, following = x.first_state.copy(), x.next_state.copy()
    first[:, -n_free:] = free
    following[:, -n_free:] = every[np.maximum(x.next_index, 0)]
    return replace(rows, x=x._replace(first_state=first, next_state=following))
