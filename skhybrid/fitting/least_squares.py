"""Nonlinear least squares for the physics alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
import scipy.sparse
from torch import Tensor

from skhybrid.fitting.prior_weight import prior_weight
from skhybrid.fitting.progress import least_squares_text
from skhybrid.fitting.residuals import Residuals
from skhybrid.fitting.robust_search import Cost, robust_search
from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.parameters import NO_EFFECT
from skhybrid.runtime.progress import open_display
from skhybrid.training.losses import SQUARED_ERROR, Loss

# This tolerance reaches the certified values of the NIST problems to six digits or more.
TIGHT_TOLERANCE = 1e-15
LOOSE_TOLERANCE = 1e-12
MAX_EVALUATIONS = 2000
# Relative step if a solver has no derivatives: well above the noise of its tolerances.
DIFFERENCE_STEP = 1e-3
# Searches with new units, and the factor by which units change before there is a new search.
MAX_ROUNDS = 4
STALE = 100.0
# The linearised residuals are used if they lower the loss to this part, and if the error of what
# they promise is at most this part of it.
LINEAR_GAIN = 0.1
LINEAR_ERROR = 0.1
# A parameter is tried on its bound if it is closer to it than this part of its unit.
CLOSE_TO_BOUND = 1e-2
# It stays there if the loss is larger by no more than this part, which is rounding.
ROUNDING = 1e-14


@dataclass(frozen=True)
class LeastSquaresFit:
    """Outcome of a least-squares fit of the physics.

    Attributes
    ----------
    values : dict of str to array
        Parameters in the user's units, fixed ones included.
    loss : float
        Mean weighted loss in units of the target's variance, without priors.
    loss_curve : list of float
        The same at every evaluation.
    converged : bool
    message : str
    states : Tensor or None
        Learned first states as coordinates of the model, if it has any.
    sensitivities : dict of str to array of shape (n, *parameter_shape)
        ∂ŷ/∂θ by free parameter, for the n numbers of the target: in units of their standard
        deviation, with the square roots of their weights, and divided by the square root of n.
    jacobian : array or sparse array of shape (n_residuals, n_elements), or None
        Derivatives of all residuals, those of gaps included, by the elements of the free
        parameters and the first states.
    residuals : array of shape (n_residuals,) or None
        For a robust loss, those whose covariance is that of the loss (see
        :meth:`~skhybrid.training.losses.Loss.pseudo_errors`).
    n_prior_rows : int
        Number of residuals at the end that belong to priors.
    prior_weight : float
        Weight of the squares of (θ - μ)/τ, which is the variance of these residuals.
    row_variance : float or None
        Variance of a residual of the data in a fit without priors, if there are any.
    """

    values: dict[str, np.ndarray]
    loss: float
    loss_curve: list[float]
    converged: bool
    message: str
    states: Tensor | None = None
    sensitivities: dict[str, np.ndarray] = field(default_factory=dict)
    jacobian: np.ndarray | scipy.sparse.csr_array | None = None
    residuals: np.ndarray | None = None
    n_prior_rows: int = 0
    prior_weight: float = 0.0
    row_variance: float | None = None


def fit_least_squares(
    hybrid: Hybrid,
    data: Batch,
    *,
    tolerance: float = TIGHT_TOLERANCE,
    max_evaluations: int = MAX_EVALUATIONS,
    loss: Loss = SQUARED_ERROR,
    n_observed: float | None = None,
) -> LeastSquaresFit:
    """Fit the physics parameters without the network, from the start of the parameter space.

    Learned first states are fitted with them; the gaps between windows are residuals like the data.
    Uses the trust-region reflective method of
    :func:`scipy.optimize.least_squares` (Branch, Coleman and Li, 1999), a Levenberg-Marquardt
    method that respects bounds, in float64, with forward-mode Jacobians. Residuals are in standard
    deviations of the target and parameters in units of their own effect, so that units of either
    do not change what is found. A robust loss follows from there, see
    :mod:`~skhybrid.fitting.robust_search`.

    Priors are residuals √((σ²/s²)/N) (θ - μ)/τ. The variance σ² of the noise is that of a fit
    without priors: its loss times n / (n - p), for n values and p fitted numbers.

    Parameters
    ----------
    hybrid : Hybrid
    data : Batch
        Rows in float64, with weights of the shape of the target or None.
    tolerance : float
        Relative change of the cost, the step and the gradient at which to stop.
    max_evaluations : int
        Largest number of evaluations of the physics.
    loss : Loss, default=Loss()
        What an error costs.
    n_observed : float, default=None
        Number N of observed values; None is the number of values of ``data`` with weight.

    Returns
    -------
    LeastSquaresFit

    Raises
    ------
    ValueError, RuntimeError
        An error of the physics, or of scipy if residuals are not finite at the start.
    """
    residuals = Residuals(hybrid, data, loss)
    if not len(residuals.start):
        loss = residuals.loss(residuals(residuals.start))
        return LeastSquaresFit(dict(hybrid.space.start), loss, [loss], True, "nothing to fit")
    found = _minimise(residuals, tolerance, max_evaluations)
    row_variance = None
    if residuals.priors:
        weight, row_variance = prior_weight(residuals, found.vector, n_observed)
        residuals.set_prior_weight(weight)
        more = max_evaluations + len(residuals.loss_curve)
        found = _minimise(residuals, tolerance, more)
    vector = _on_bounds_if_as_good(residuals, found.vector)
    last, jacobian = residuals(vector, note=False), found.jacobian
    if residuals.priors and not loss.is_squared:  # as if errors cost their squares
        residuals.set_prior_weight(row_variance)
        known = residuals.known_jacobian(vector)
        jacobian = jacobian if known is None else known
    return LeastSquaresFit(
        values={**hybrid.space.start, **residuals.unflatten(vector)},
        states=residuals.first_states(vector),
        loss=residuals.loss(last),
        loss_curve=residuals.loss_curve,
        converged=found.converged,
        message=found.message,
        sensitivities=residuals.sensitivities(jacobian),
        jacobian=jacobian,
        residuals=residuals.of_covariance(last),
        n_prior_rows=residuals.n_prior_rows,
        prior_weight=residuals.prior_weight,
        row_variance=row_variance,
    )


@dataclass(frozen=True)
class _Minimum:
    """A flat vector of parameters, the Jacobian there, and how the search for it ended."""

    vector: np.ndarray
    jacobian: np.ndarray | scipy.sparse.csr_array
    converged: bool
    message: str


def _minimise(residuals: Residuals, tolerance: float, max_evaluations: int) -> _Minimum:
    """Minimise the loss, by squares first."""
    found = _minimise_squares(residuals, tolerance, max_evaluations)
    if residuals.cost.is_squared:
        return found

    def search(vector: np.ndarray, cost: Cost, close: float) -> tuple[np.ndarray, bool, str]:
        units = _units(residuals, vector)
        more = max_evaluations + len(residuals.loss_curve)
        solution = _search(residuals, vector, units, close, more, cost)
        moved = residuals.inside(vector + units * (solution.x - 1.0))
        return moved, solution.status > 0, solution.message

    vector, converged, message = robust_search(residuals, found.vector, search, tolerance)
    jacobian = residuals.known_jacobian(vector)
    return _Minimum(vector, found.jacobian if jacobian is None else jacobian, converged, message)


def _minimise_squares(residuals: Residuals, tolerance: float, max_evaluations: int) -> _Minimum:
    """Minimise the residuals over parameters in units of their own effect.

    scipy's tolerances are relative to the length of the vector of parameters, and some are
    absolute. The vector is therefore one at the centre, and a step of one in it is the unit of each
    parameter (see :func:`_units`). If the units have changed much on the way, the search continues
    from where it ended, with new ones.
    """
    centre = residuals.start
    residuals(centre)
    for round_ in range(MAX_ROUNDS):
        centre = _after_linear_step(residuals, centre)
        units = _units(residuals, centre, far=round_ == 0)
        solution = _search(residuals, centre, units, tolerance, max_evaluations)
        centre = residuals.inside(centre + units * (solution.x - 1.0))
        converged = solution.status > 0
        if not converged or len(residuals.loss_curve) >= max_evaluations:
            break
        changed = _units(residuals, centre) / units
        if 1.0 / STALE < changed.min() <= changed.max() < STALE:
            break
    jacobian = residuals.known_jacobian(centre)
    if jacobian is None:
        jacobian = solution.jac / units
    return _Minimum(centre, jacobian, converged, solution.message)


def _after_linear_step(residuals: Residuals, centre: np.ndarray) -> np.ndarray:
    """Return the minimum of the linearised residuals, if it is much better and as good as expected.

    A trust region grows step by step. If an offset is far away, its first steps change the loss by
    less than the tolerance, and the search would end.
    """
    jacobian = residuals.known_jacobian(centre)
    if jacobian is None or scipy.sparse.issparse(jacobian):
        return centre
    before = residuals(centre, note=False)
    units = _units(residuals, centre)
    if not (np.isfinite(jacobian).all() and np.isfinite(before).all()):
        return centre
    step = np.linalg.lstsq(jacobian * units, -before)[0]
    moved = residuals.inside(np.clip(centre + units * step, *residuals.bounds))
    with np.errstate(over="ignore", invalid="ignore"):
        first = np.sum(before**2)
        expected = np.sum((before + jacobian @ (moved - centre)) ** 2)
        if not expected < LINEAR_GAIN * first:
            return centre
        try:
            found = np.sum(residuals(moved) ** 2)
        except (ValueError, RuntimeError):  # the physics need not be defined so far away
            return centre
        return moved if found - expected <= LINEAR_ERROR * (first - expected) else centre


def _search(
    residuals: Residuals,
    centre: np.ndarray,
    units: np.ndarray,
    tolerance: float,
    max_evaluations: int,
    cost: Cost | None = None,
) -> scipy.optimize.OptimizeResult:
    """Run scipy's method on the vector 1 + (parameters - centre) / units.

    ``cost`` gives the cost of squared residuals, as the ``loss`` of scipy; None is themselves.
    """
    low, high = ((side - centre) / units + 1.0 for side in residuals.bounds)

    def parameters(vector: np.ndarray) -> np.ndarray:
        return residuals.inside(centre + units * (vector - 1.0))

    def jacobian(vector: np.ndarray) -> np.ndarray | scipy.sparse.csr_array:
        columns = residuals.jacobian(parameters(vector))
        return columns @ scipy.sparse.diags_array(units) if residuals.is_sparse else columns * units

    def evaluate(vector: np.ndarray) -> np.ndarray:
        found = residuals(parameters(vector))
        work.reach(
            len(residuals.loss_curve),
            lambda: least_squares_text(residuals, parameters(vector), max_evaluations),
        )
        return found

    with open_display().work("least squares") as work:
        return scipy.optimize.least_squares(
            evaluate,
            np.ones(len(centre)),
            jac=jacobian if residuals.hybrid.differentiable else "2-point",
            diff_step=DIFFERENCE_STEP,
            bounds=(low, high),
            x_scale="jac",
            loss="linear" if cost is None else cost,
            ftol=tolerance,
            xtol=tolerance,
            gtol=tolerance,
            max_nfev=max(1, max_evaluations - len(residuals.loss_curve)),
            tr_solver="lsmr" if residuals.is_sparse else None,
        )


def _units(residuals: Residuals, vector: np.ndarray, *, far: bool = False) -> np.ndarray:
    """Return the unit of each element of a flat vector.

    It is the smallest of what changes the residuals by their own size (or, if they are smaller, by
    the target's standard deviation), the magnitude of the element, and the width of its bounds.
    ``far`` from the minimum derivatives say little: there, the magnitude counts if it is not zero.
    First states are in units of their standard deviation already.
    """
    low, high = residuals.bounds
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = max(1.0, float(np.linalg.norm(residuals(vector, note=False))))
        effects = residuals.effects(vector)
        by_effect = np.where(effects > 0.0, size / effects, np.inf)
        nothing = (vector == 0.0) | (np.abs(vector) < NO_EFFECT * by_effect)
    magnitude = np.where(nothing & np.isfinite(by_effect), np.inf, np.abs(vector))
    magnitude = np.where(vector == 0.0, np.inf, magnitude)
    if far:
        by_effect = np.where(np.isfinite(magnitude), np.inf, by_effect)
    units = np.minimum.reduce([by_effect, magnitude, high - low])
    units = np.where(np.isfinite(units), units, 1.0)
    units[residuals.n_values :] = 1.0
    return units


def _on_bounds_if_as_good(residuals: Residuals, vector: np.ndarray) -> np.ndarray:
    """Return the vector with elements on their bounds where that is at least as good.

    The method stays strictly inside the bounds, also where the best value is on them.
    """
    best = residuals.loss(residuals(vector, note=False))
    units = _units(residuals, vector)
    for bound in residuals.bounds:
        for i in np.flatnonzero(np.abs(vector - bound) < CLOSE_TO_BOUND * units):
            moved = vector.copy()
            moved[i] = bound[i]
            try:
                loss = residuals.loss(residuals(moved, note=False))
            except (ValueError, RuntimeError):  # the physics need not be defined on its bounds
                continue
            if loss <= best * (1.0 + ROUNDING):
                best, vector = loss, moved
    return vector
