"""Least squares with a robust loss: searches with the spread of the residuals, until it settles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from skhybrid.fitting.residuals import Residuals
from skhybrid.training.losses import NORMAL_MEAN

# Maps squared residuals to costs and their two derivatives, as the ``loss`` of scipy.
Cost = Callable[[np.ndarray], np.ndarray]
Search = Callable[[np.ndarray, Cost, float], tuple[np.ndarray, bool, str]]

# Searches, their tolerance, and the change of the spread below which the last one follows.
MAX_SEARCHES = 10
LOOSE = 1e-5
SETTLED = 1e-3
# Absolute errors are smooth below this part of the spread; the first searches have larger parts.
SMOOTH, FIRST_SMOOTH, SMOOTH_FALL = 0.05, 1.0, 0.2


def robust_search(
    residuals: Residuals, found: np.ndarray, search: Search, tolerance: float
) -> tuple[np.ndarray, bool, str]:
    """Minimise a robust loss, from where squared errors are least or from the start.

    The spread of the residuals is computed before every search (Huber and Ronchetti, 2009, Section
    7.8). It starts where the loss is lower. scipy has no absolute error: its place takes
    √(π/2) s (√(e² + c²) - c) with c = 0.05 s, the pseudo-Huber loss, which has derivatives.
    Residuals of gaps and priors count by their squares.

    Parameters
    ----------
    residuals : Residuals
    found : array
        Parameters at which the squared errors are least.
    search : callable
        Minimises a cost from a vector to a tolerance; returns the vector, whether it converged,
        and a message.
    tolerance : float
        Tolerance of the last search, whose spreads are those of the one before.
    """
    start, vector = residuals.start, found
    if _loss_at(residuals, start) < _loss_at(residuals, found):
        vector = start
    spread, smooth = _spread(residuals, vector), FIRST_SMOOTH
    for _ in range(MAX_SEARCHES):
        cost = _cost(residuals, spread, smooth)
        vector, _, _ = search(vector, cost, max(LOOSE, tolerance))
        new = _spread(residuals, vector)
        change = float((new / spread - 1.0).abs().max())
        if change < SETTLED and (residuals.cost.kind == "huber" or smooth == SMOOTH):
            break
        spread, smooth = new, max(SMOOTH, smooth * SMOOTH_FALL)
    return search(vector, _cost(residuals, spread, smooth), tolerance)


def _loss_at(residuals: Residuals, vector: np.ndarray) -> float:
    """Return the loss, infinite where it is not finite."""
    loss = residuals.loss(residuals(vector, note=False))
    return loss if np.isfinite(loss) else np.inf


def _spread(residuals: Residuals, vector: np.ndarray) -> torch.Tensor:
    """Return the spread of the errors, in the shape of y."""
    errors, weight = residuals.errors(residuals(vector, note=False))
    return residuals.cost.spread(errors, weight, residuals.unit_shape).expand_as(errors)


def _cost(residuals: Residuals, spread: torch.Tensor, smooth: float) -> Cost:
    """Return the cost of squared residuals at fixed spreads."""
    loss, weight = residuals.cost, residuals.data.weight
    unit = spread if weight is None else spread * weight.cpu().sqrt()
    unit = unit.numpy().ravel() / np.sqrt(spread.numel())
    used, n = unit > 0.0, len(unit)
    part = loss.delta if loss.kind == "huber" else smooth
    limit = part * np.where(used, unit, 1.0)

    def cost(squares: np.ndarray) -> np.ndarray:
        found = np.stack([squares, np.ones_like(squares), np.zeros_like(squares)])
        own = squares[:n]
        if loss.kind == "huber":
            root = np.sqrt(np.maximum(own, limit**2))
            found[0, :n] = np.where(own <= limit**2, own, limit * (2.0 * root - limit))
            found[1, :n] = np.where(own <= limit**2, 1.0, limit / root)
            found[2, :n] = np.where(own <= limit**2, 0.0, -0.5 * limit / root**3)
        else:
            factor, root = 0.5 / (part * NORMAL_MEAN), np.sqrt(1.0 + own / limit**2)
            found[0, :n] = factor * 2.0 * limit**2 * (root - 1.0)
            found[1, :n] = factor / root
            found[2, :n] = -0.5 * factor / (limit**2 * root**3)
        return found

    return cost
