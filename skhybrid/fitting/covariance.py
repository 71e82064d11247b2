"""The covariance of the physics parameters from the Jacobian of a least-squares fit."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from skhybrid.fitting.error_groups import ErrorGroups
from skhybrid.fitting.least_squares import DIFFERENCE_STEP, LeastSquaresFit
from skhybrid.fitting.parameter_warnings import element_names
from skhybrid.fitting.standard_errors import StandardErrors, UnfixedDirection
from skhybrid.fitting.unfixed_directions import find_unfixed, unfixed_elements
from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid

# A direction of θ is not fixed by the data if its effect is below this part of the effects of its
# elements: rounding error of the derivatives.
RANK = 1e-9
# Added to the products of the columns of first states, some of which may have no effect.
RIDGE = 1e-12
# With more targets, their errors are taken to be independent of each other.
MAX_TARGETS = 300


def standard_errors(
    hybrid: Hybrid, fit: LeastSquaresFit, data: Batch, groups: ErrorGroups
) -> StandardErrors:
    """Return the standard errors of the free physics parameters of a least-squares fit.

    With independent errors, the covariance is s² (JᵀJ)⁻¹, where J holds the derivatives of the
    weighted residuals and s² is their sum of squares over the number of values with weight less the
    number of fitted elements (Seber and Wild, 2003, Section 2.1). Weights are relative precisions:
    their scale cancels. With several targets, s² becomes the covariance matrix Σ of the errors of
    one row, so that targets may have different and correlated noise:
    (JᵀJ)⁻¹ (Σᵢ Jᵢᵀ Σ Jᵢ) (JᵀJ)⁻¹. With groups it is the sandwich
    (JᵀJ)⁻¹ · G/(G - 1) Σ_g u_g u_gᵀ · (JᵀJ)⁻¹ with the sums of scores u_g = J_gᵀ r_g (Liang and
    Zeger, 1986), and G - 1 degrees of freedom. Learned first states are profiled out: J is what is
    left of the columns of θ after projection on theirs.

    With priors it is the covariance of the posterior, s² (JᵀJ)⁻¹, where J also holds the residuals
    of the priors, whose variance is their weight, and s² is the variance of the noise that gave
    this weight. A robust loss comes with pseudo-residuals (see
    :meth:`~skhybrid.training.losses.Loss.pseudo_errors`).

    Parameters
    ----------
    hybrid : Hybrid
        Model at its start.
    fit : LeastSquaresFit
    data : Batch
        Training rows.
    groups : ErrorGroups
    """
    shapes = {name: tuple(shape) for name, shape in hybrid.space.shapes.items()}
    names = element_names(shapes)
    limits = [hybrid.physics.params[name].limits() for name in shapes]
    low, high = (_flat([each[side] for each in limits]) for side in (0, 1))
    estimate = _flat([fit.values[name] for name in shapes])
    held = (estimate == low) | (estimate == high)
    covariance = np.full((len(names), len(names)), np.nan)
    free = np.flatnonzero(~held)
    n_used = data.y.numel() if data.weight is None else int((data.weight > 0.0).sum())
    unfixed, reason, n_fitted = (), None, 0
    if len(free):
        columns = _Columns.of(fit.jacobian, free, len(names), _rank(hybrid))
        n_fitted = columns.rank + columns.n_states
        reason = _reason_for_none(columns, fit, groups, n_used)
        if np.isfinite(columns.matrix).all():
            near = [names[i] for i in free]
            unfixed = find_unfixed(columns.null, columns.lengths, near, estimate[free])
        if reason is None:
            covariance[np.ix_(free, free)] = _covariance(columns, fit, data, groups, n_used)
    return StandardErrors(
        shapes=shapes,
        names=tuple(names),
        estimate=estimate,
        limits=(low, high),
        covariance=covariance,
        dof=max(groups.number - 1 if groups.number else n_used - n_fitted, 0),
        groups=groups.kind,
        n_groups=groups.number or n_used,
        on_bounds=tuple(name for name, hit in zip(names, held, strict=True) if hit),
        unfixed=unfixed,
        reason=reason,
        priors=tuple(name for name in shapes if hybrid.physics.params[name].prior is not None),
    )


def directions_without_effect(
    hybrid: Hybrid, jacobian: np.ndarray | scipy.sparse.csr_array, values: np.ndarray
) -> tuple[UnfixedDirection, ...]:
    """Return the directions of θ that do not change the residuals.

    Parameters
    ----------
    hybrid : Hybrid
    jacobian : array or sparse array of shape (n_residuals, n_elements)
        Derivatives by the elements of the free parameters, and by learned first states after them.
    values : array of shape (n_elements of θ,)
    """
    columns = _Columns.of(jacobian, np.arange(len(values)), len(values), _rank(hybrid))
    if not np.isfinite(columns.matrix).all():
        return ()
    return find_unfixed(columns.null, columns.lengths, element_names(hybrid.space.shapes), values)


def _rank(hybrid: Hybrid) -> float:
    """Return the part of the effects below which a direction has none."""
    return RANK if hybrid.differentiable else DIFFERENCE_STEP


def _covariance(
    columns: _Columns, fit: LeastSquaresFit, data: Batch, groups: ErrorGroups, n_used: int
) -> np.ndarray:
    """Return the covariance of the elements between their bounds; NaN for those not fixed."""
    n_rows = len(columns.matrix) - fit.n_prior_rows
    matrix, residuals = columns.matrix[:n_rows], fit.residuals[:n_rows]
    if groups.number:
        middle = _grouped(matrix, residuals, data.y.numel(), groups, centred=fit.n_prior_rows > 0)
    else:
        unfitted = 1.0 - (columns.rank + columns.n_states) / n_used
        middle = _independent(matrix, residuals, data, unfitted, fit.row_variance)
    of_priors = columns.matrix[n_rows:]
    middle = middle + fit.prior_weight * of_priors.T @ of_priors
    known = ~unfixed_elements(columns.null)
    lengths = np.where(known, columns.lengths, 1.0)
    covariance = columns.inverse @ middle @ columns.inverse / np.outer(lengths, lengths)
    covariance[~known] = covariance[:, ~known] = np.nan
    return covariance


@dataclass(frozen=True)
class _Columns:
    """Columns of the Jacobian that belong to θ, in units of their lengths.

    Attributes
    ----------
    matrix : array of shape (n_residuals, n_elements)
        Without what first states can make up for.
    lengths : array of shape (n_elements,)
        Lengths of the columns as they were.
    inverse : array of shape (n_elements, n_elements)
        Pseudo-inverse of the matrix of their products.
    null : array of shape (n_elements, n_directions)
        Orthonormal directions that have no effect.
    n_states : int
        Number of first states that have an effect.
    """

    matrix: np.ndarray
    lengths: np.ndarray
    inverse: np.ndarray
    null: np.ndarray
    n_states: int

    @property
    def rank(self) -> int:
        """Number of directions that have an effect."""
        return self.null.shape[0] - self.null.shape[1]

    @staticmethod
    def of(
        jacobian: np.ndarray | scipy.sparse.csr_array, free: np.ndarray, n_values: int, rank: float
    ) -> _Columns:
        """Return the columns of the free elements, after projection on those of the first states.

        ``n_values`` elements of θ come before the first states.
        """
        columns, states = jacobian[:, free], jacobian[:, n_values:]
        columns = columns.toarray() if scipy.sparse.issparse(columns) else columns
        lengths = np.linalg.norm(columns, axis=0)
        matrix = columns / np.where(lengths > 0.0, lengths, 1.0)
        matrix, n_states = _without_states(matrix, states)
        if not np.isfinite(matrix).all():
            none = np.zeros((len(lengths), 0))
            return _Columns(matrix, lengths, none @ none.T, none, n_states)
        _, sizes, directions = np.linalg.svd(np.linalg.qr(matrix, mode="r"), full_matrices=True)
        sizes = np.concatenate([sizes, np.zeros(len(directions) - len(sizes))])
        fixed = sizes > rank
        scaled = directions[fixed] / sizes[fixed, None]
        return _Columns(matrix, lengths, scaled.T @ scaled, directions[~fixed].T, n_states)


def _without_states(
    matrix: np.ndarray, states: np.ndarray | scipy.sparse.csr_array
) -> tuple[np.ndarray, int]:
    """Return the matrix less its projection on the columns of first states, and their number."""
    if not states.shape[1]:
        return matrix, 0
    sparse = scipy.sparse.issparse(states)
    squared = states.power(2) if sparse else np.square(states)
    lengths = np.sqrt(np.asarray(squared.sum(axis=0)).ravel())
    if not np.isfinite(lengths).all():
        return np.full_like(matrix, np.nan), 0
    acting = np.flatnonzero(lengths > 0.0)
    if not len(acting):
        return matrix, 0
    if sparse:
        unit = (states[:, acting] @ scipy.sparse.diags_array(1.0 / lengths[acting])).tocsc()
        ridge = RIDGE * scipy.sparse.eye_array(len(acting))
        solve = scipy.sparse.linalg.splu((unit.T @ unit + ridge).tocsc()).solve
    else:
        unit = states[:, acting] / lengths[acting]
        factor = scipy.linalg.cho_factor(unit.T @ unit + RIDGE * np.eye(len(acting)))
        solve = functools.partial(scipy.linalg.cho_solve, factor)
    for _ in range(2):  # the second time for the digits that the products lost
        matrix = matrix - unit @ solve(unit.T @ matrix)
    return matrix, len(acting)


def _independent(
    matrix: np.ndarray,
    residuals: np.ndarray,
    data: Batch,
    unfitted: float,
    variance: float | None = None,
) -> np.ndarray:
    """Return Σᵢ Jᵢᵀ Σ Jᵢ over rows i, with the covariance matrix Σ of the errors of their targets.

    ``unfitted`` is the part of the values that is not used up by fitted elements. ``variance`` is
    that of a residual of a single target, if it is known already.
    """
    shape, n = tuple(data.y.shape), data.y.numel()
    matrix, residuals = matrix[:n], residuals[:n]
    axis = min(2, len(shape) - 1)  # of targets, or of the components of an output
    if len(shape) == 1 or shape[axis] == 1:
        n_used = n if data.weight is None else int((data.weight > 0.0).sum())
        if variance is None:
            variance = residuals @ residuals / (n_used * unfitted)
        return matrix.T @ matrix * variance
    by_row = np.moveaxis(residuals.reshape(shape), axis, -1).reshape(-1, shape[axis])
    columns = np.moveaxis(matrix.reshape(*shape, -1), axis, -2).reshape(*by_row.shape, -1)
    used = np.ones(shape) if data.weight is None else (data.weight > 0.0).double().cpu().numpy()
    used = np.moveaxis(used, axis, -1).reshape(by_row.shape)
    if shape[axis] > MAX_TARGETS:
        variances = np.square(by_row).sum(axis=0) / (used.sum(axis=0).clip(1.0) * unfitted)
        weighted = columns * variances[:, None]
    else:
        weighted = ((by_row.T @ by_row) / ((used.T @ used).clip(1.0) * unfitted)) @ columns
    n_elements = matrix.shape[1]
    return columns.reshape(-1, n_elements).T @ weighted.reshape(-1, n_elements)


def _grouped(
    matrix: np.ndarray,
    residuals: np.ndarray,
    n_data: int,
    groups: ErrorGroups,
    *,
    centred: bool = False,
) -> np.ndarray:
    """Return G/(G - 1) Σ_g u_g u_gᵀ with the sums u_g of the scores of each group.

    The first ``n_data`` residuals are those of the data, the others those of gaps, both window by
    window. With ``centred``, the mean of the sums is subtracted: priors balance it.
    """
    n_windows, n_elements = len(groups.of_window), matrix.shape[1]
    scores = matrix * residuals[:, None]
    sums = np.zeros((groups.number, n_elements))
    for part in (scores[:n_data], scores[n_data:]):
        if len(part):
            by_window = part.reshape(n_windows, -1, n_elements).sum(axis=1)
            np.add.at(sums, groups.of_window, by_window)
    sums = sums - sums.mean(axis=0) if centred else sums
    return sums.T @ sums * (groups.number / (groups.number - 1.0))


def _reason_for_none(
    columns: _Columns, fit: LeastSquaresFit, groups: ErrorGroups, n_used: int
) -> str | None:
    """Return why there can be no standard errors, or None."""
    if not (np.isfinite(columns.matrix).all() and np.isfinite(fit.residuals).all()):
        return "There are no standard errors: the derivatives at the fit are not finite."
    rank, n_fitted = columns.rank, columns.rank + columns.n_states
    if groups.number and groups.number <= rank:
        things = "trajectories" if groups.kind == "trajectories" else "blocks of windows"
        return (
            f"There are no standard errors: {rank} free elements need more than {rank} independent "
            f"{things}, and there are {groups.number}. Give more or longer trajectories, or set "
            "ODE(window=None), which fits whole rollouts."
        )
    if not groups.number and n_used <= n_fitted:
        return (
            f"There are no standard errors: {n_used} values leave nothing to estimate the noise "
            f"from after a fit of {n_fitted} numbers. Give more data, or set fixed=True for a "
            "parameter that is known."
        )
    return None


def _flat(values: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(value) for value in values] or [[]]).astype(np.float64)
