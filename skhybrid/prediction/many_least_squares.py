"""Many small least-squares problems side by side, one for every trajectory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# A problem takes no more steps.
MAX_STEPS = 100
# A first step is that of Gauss and Newton. After one that does not help, damping begins here and
# is multiplied by this factor; after one that helps it is divided, and ends below the first value.
DAMPING, FACTOR = 1e-3, 10.0
# With more damping a step is nothing but rounding.
MOST_DAMPING = 1e8
# Steps that reduce the sum of squares by less than this part are slow. Where a network's inputs are
# clamped, residuals have kinks, at which all steps are slow: several in a row end a problem.
SLOW, MOST_SLOW = 1e-3, 3

Residuals = Callable[[np.ndarray, np.ndarray], np.ndarray]


def minimise_side_by_side(
    residuals: Residuals, slopes: Residuals, start: np.ndarray, *, tolerance: float, rounding: float
) -> np.ndarray:
    """Return the parameters with the smallest sums of squares, from their own starts.

    Each problem has its own damping and its own end (D. Marquardt, SIAM Journal on Applied
    Mathematics 11, 1963), but all are evaluated together.

    Parameters
    ----------
    residuals : callable
        From parameters, of shape (m, n_parameters), and the numbers of their problems to residuals,
        of shape (m, n_residuals).
    slopes : callable
        The same for derivatives, of shape (m, n_residuals, n_parameters).
    start : array of shape (n, n_parameters)
    tolerance : float
        A problem ends when a step promises to change the sum of squares by less than this part. One
        whose residuals or slopes are not finite ends where it is.
    rounding : float
        Residuals are no more exact than this; what is smaller ends a problem, too.

    Returns
    -------
    array of shape (n, n_parameters)
    """
    at, damping, n_slow = start.copy(), np.zeros(len(start)), np.zeros(len(start), dtype=int)
    every = np.arange(len(start))
    error = residuals(at, every)
    cost, least = np.square(error).sum(axis=1), error.shape[1] * rounding**2
    n_parameters = start.shape[1]
    square = np.zeros((len(start), n_parameters, n_parameters))
    gradient = np.zeros(start.shape)
    active = moved = every[np.isfinite(cost)]
    for _ in range(MAX_STEPS):
        if len(moved):
            slope = slopes(at[moved], moved)
            square[moved] = slope.mT @ slope
            gradient[moved] = (slope.mT @ error[moved][..., None])[..., 0]
            finite = np.isfinite(square[moved]).all(axis=(1, 2))
            active = np.setdiff1d(active, moved[~finite])
        if not len(active):
            break
        step, promised = _steps(square[active], gradient[active], damping[active])
        wanted = promised > tolerance * cost[active] + least
        active, step, promised = active[wanted], step[wanted], promised[wanted]
        if not len(active):
            break
        tried = at[active] + step
        found = residuals(tried, active)
        found_cost = np.square(found).sum(axis=1)
        better = found_cost < cost[active]  # false for NaN
        moved, stayed = active[better], active[~better]
        reduced = cost[moved] - found_cost[better]
        slow = reduced < SLOW * cost[moved]
        n_slow[moved] = np.where(slow, n_slow[moved] + 1, 0)
        at[moved], error[moved], cost[moved] = tried[better], found[better], found_cost[better]
        gain = reduced / promised[better]
        damping[moved[gain > 0.75]] /= FACTOR
        damping[moved[gain < 0.25]] *= FACTOR
        damping[damping < DAMPING] = 0.0
        damping[stayed] = np.maximum(DAMPING, FACTOR * damping[stayed])
        active = active[(damping[active] <= MOST_DAMPING) & (n_slow[active] < MOST_SLOW)]
        moved = np.intersect1d(moved, active)
    return at


def _steps(
    square: np.ndarray, gradient: np.ndarray, damping: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return damped steps, and by how much they reduce linearised sums of squares."""
    damped = square.copy()
    diagonal = np.einsum("nii->ni", damped)
    diagonal += damping[:, None] * diagonal
    step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
    linear = 2.0 * gradient + (square @ step[..., None])[..., 0]
    return step, -(linear * step).sum(axis=1)
