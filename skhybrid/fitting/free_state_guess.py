"""Guess the free states of a differential equation from what its physics leaves unexplained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from skhybrid.data.rows import Rows
from skhybrid.fitting.earlier_states import at_first_states
from skhybrid.fitting.start import PhysicsStart
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid

# Outputs that miss less than this part of their standard deviation are explained: the rest is
# rounding.
EXPLAINED = 1e-9


def with_guessed_free_states(
    start: PhysicsStart, held_out: Rows | None = None
) -> tuple[PhysicsStart, Rows | None]:
    """Return the start and held-out windows with first guesses of the free states of all windows.

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
    held_out : Rows or None
        Windows for early stopping. The combination is that of the training windows.
    """
    if not _has_free_states(start.physical):
        return start, held_out
    unit = _mean_length(start.rows)
    missing, others = _missing_rates(start, start.rows, unit)
    coefficients = _slowest(missing, others, start.rows)
    slow = missing + others @ coefficients
    mean = slow.mean(axis=0)
    if not np.isfinite(slow).all():
        return start, held_out
    directions = np.linalg.svd(slow - mean, full_matrices=False)[2].T
    std = ((slow - mean) @ directions).std(axis=0)
    varies = std > EXPLAINED
    n_free = start.physical.layout.n_free_states

    def guess(slow: np.ndarray) -> np.ndarray:
        found = (((slow - mean) @ directions)[:, varies] / std[varies])[:, :n_free]
        return np.pad(found, ((0, 0), (0, n_free - found.shape[1])))

    windows, states = [start.rows], [_with_free(start.rows, guess(slow))]
    if held_out is not None:
        missing, others = _missing_rates(start, held_out, unit)
        free = np.nan_to_num(guess(missing + others @ coefficients), posinf=0.0, neginf=0.0)
        windows.append(held_out)
        states.append(_with_free(held_out, free))
    rows, *rest = at_first_states(windows, states)
    return replace(start, rows=rows), rest[0] if rest else None


def _has_free_states(physical: Hybrid) -> bool:
    """Whether there are free states beside a physics."""
    return (
        isinstance(physical, Dynamics)
        and physical.physics is not None
        and physical.layout.n_free_states > 0
    )


def _mean_length(rows: Rows) -> float:
    """Return the mean time that a window takes."""
    return float(rows.x.steps.sum(axis=1).mean())


def _missing_rates(start: PhysicsStart, rows: Rows, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the rates of the outputs that the physics lacks, and mean outputs and inputs.

    Rates are slopes of the residuals over a window, in standard deviations of the outputs per
    ``unit`` of time; an output that is not observed in a window has none.
    """
    physical = start.physical
    x, y, weight = rows.tensors(torch.float64, physical.scales.target_scale.device)
    values = {name: torch.as_tensor(value).to(y) for name, value in start.values.items()}
    with torch.no_grad():
        prediction = physical.without_network(x, values, None)[0]
    known = torch.ones_like(y) if weight is None else (weight > 0).to(y).expand_as(y)
    scale = physical.scales.target_scale
    residual = ((y - prediction) / scale * known).flatten(2)
    elapsed = torch.cat([torch.zeros_like(x.steps[:, :1]), x.steps.cumsum(1)], dim=1)
    elapsed = elapsed[:, -y.shape[1] :, None] / unit
    square = (elapsed.square() * known.flatten(2)).sum(1)
    rates = (elapsed * residual).sum(1) / torch.where(square > 0, square, 1.0)
    parts = [(prediction / scale).flatten(2).mean(1) + residual.mean(1)]
    if x.inputs is not None:
        parts.append(x.inputs[:, :-1].mean(1))
    return rates.cpu().numpy(), torch.cat(parts, dim=1).cpu().numpy()


def _slowest(missing: np.ndarray, others: np.ndarray, rows: Rows) -> np.ndarray:
    """Return by which coefficients of the others the missing rates change least with them."""
    coefficients = np.zeros((others.shape[1], missing.shape[1]))
    place = np.full(int(max(rows.x.index.max(), rows.x.next_index.max())) + 1, -1)
    place[rows.x.index] = np.arange(len(rows))
    following = np.where(rows.x.next_index >= 0, place[rows.x.next_index], -1)
    begin = np.flatnonzero(following >= 0)
    if len(begin) <= others.shape[1]:
        return coefficients
    size = others.std(axis=0)
    varies = size > 0
    others = others[:, varies] / size[varies]  # in any unit
    change = others[following[begin]] - others[begin]
    change_of_missing = missing[following[begin]] - missing[begin]
    found = np.linalg.lstsq(change, change_of_missing, rcond=None)[0]
    coefficients[varies] = -found / size[varies, None]
    return coefficients


def _with_free(rows: Rows, free: np.ndarray) -> np.ndarray:
    """Return first states with these free ones."""
    states = rows.x.first_state.copy()
    states[:, -free.shape[1] :] = free
    return states
