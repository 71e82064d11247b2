"""How much of an effect several functions and groups can make up for together, on rows held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.kernel_approximation import Nystroem
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

from skhybrid.data.rows import evenly_spaced
from skhybrid.inspection.imitators import Imitator
from skhybrid.inspection.learners import FOLDS, MAX_POLYNOMIAL_INPUTS, PREDICTED

# More values say hardly more.
MAX_VALUES = 4000
# Gaussian kernels of a function: how many, and their widths as gammas over the number of inputs.
N_KERNELS = 150
GAMMAS = (0.1, 1.0)
# Ridge penalties, relative to the mean square of a column and the number of values.
ALPHAS = np.logspace(-8, -1, 8)
# Points at which a function changes so little, relative to the most, say nothing about it.
NOTHING = 1e-12


@dataclass(frozen=True)
class _Design:
    """Columns of all imitators.

    Attributes
    ----------
    columns : array of shape (n_points, n_channels, n_columns)
    penalties : array of shape (n_columns,)
        Penalty of a column; NaN is that of functions, which is chosen.
    """

    columns: np.ndarray
    penalties: np.ndarray

    def beside(self, others: np.ndarray) -> _Design:
        """Return the columns less what others explain of them, which is for free."""
        shape = self.columns.shape
        flat = self.columns.reshape(shape[0] * shape[1], shape[2])
        free = others.reshape(len(flat), others.shape[2])
        left = flat - projection(free, flat)
        return _Design(left.reshape(shape), self.penalties)

    def coefficients(self, values: np.ndarray, rows: np.ndarray, alphas: Sequence[float]) -> list:
        """Return ridge coefficients, of shape (n_columns,), for each alpha."""
        x = self.columns[rows].reshape(-1, self.columns.shape[-1])
        y = values[rows].reshape(-1)
        products, on_values, found = x.T @ x, x.T @ y, []
        for alpha in alphas:
            # The smallest alpha is only there against rounding, for free groups.
            penalty = np.where(np.isnan(self.penalties), alpha * len(x), self.penalties)
            penalty = np.maximum(penalty, ALPHAS[0] * len(x))
            found.append(solve(products + np.diag(penalty), on_values, assume_a="pos"))
        return found


def left_by_imitators(
    imitators: Sequence[Imitator], values: np.ndarray, others: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the sum of squares of each effect that imitators and other effects cannot make up for.

    Every point is predicted from the points of the other folds, by the learner that does best.

    Parameters
    ----------
    imitators : sequence of Imitator
    values : array of shape (n_points, n_channels, n_elements)
        Effects of the elements, less what their ``others`` explain of them.
    others : sequence of array of shape (n_points, n_channels, n_others)
        For each element, what makes up for it without an answer: effects of other elements.

    Returns
    -------
    array of shape (n_elements,)

    Notes
    -----
    To first order, functions g_f and values a_g of groups change channel c of point i by

        Σ_f slope_f[i, c] g_f(seen_f[i]) + Σ_g slope_g[i, c] (a_g[group of i] - mean of a_g),

    a varying-coefficient model (Hastie and Tibshirani, 1993); other elements move with them. It is
    linear in the functions, so all of them are fitted together, by ridge regression on a basis of
    each function times its slope, with ``others`` as columns without a penalty. A single function
    with a single channel gets the regression of effect over slope with the squared slopes as
    weights. The bases are polynomials of third degree and Gaussian kernels of two widths. After the
    polynomials, boosted trees predict what they leave, function by function. Groups have a column
    each, with the penalty of their prior, in all of them. Tangent features of the trained network
    would tell what this network can do near its weights; the question is what any function of its
    inputs could do.
    """
    n_points, n_channels, _ = values.shape
    chosen = evenly_spaced(n_points, max(MAX_VALUES // n_channels, 1))
    whole = np.sum(values**2, axis=(0, 1))
    if chosen is not None:
        values, others = values[chosen], [each[chosen] for each in others]
        imitators = [_of_points(each, chosen) for each in imitators]
    used = np.sum(values**2, axis=(0, 1))
    least, enough = used.copy(), (1.0 - PREDICTED) * used
    folds = [*FOLDS.split(values)]
    with threadpool_limits(1):
        for gamma in (None, *GAMMAS):
            if np.all(least <= enough):
                break
            design = _design(imitators, gamma)
            if not design.columns.shape[-1]:  # a single group, whose value is the common one
                return whole
            for j in np.flatnonzero(least > enough):
                own, beside = values[..., j], design.beside(others[j])
                left = _left_by_ridge(beside, own, folds)
                least[j] = min(least[j], left.min())
                if gamma is None and least[j] > enough[j]:
                    alpha = ALPHAS[int(np.argmin(left))]
                    found = _left_by_trees(imitators, beside, own, folds, alpha)
                    least[j] = min(least[j], found)
    return least * np.divide(whole, used, out=np.zeros_like(whole), where=used > 0.0)


def _of_points(imitator: Imitator, chosen: np.ndarray) -> Imitator:
    """Return an imitator at some of the points, at which a prior counts as much as at all."""
    seen, slopes, penalty = imitator.seen[chosen], imitator.slopes[chosen], imitator.penalty
    part = len(chosen) / len(imitator.seen)
    return Imitator(seen, slopes, None if penalty is None else part * penalty)


def _design(imitators: Sequence[Imitator], gamma: float | None) -> _Design:
    """Return the columns of all imitators; without a gamma, with polynomials."""
    columns, penalties = [], []
    for each in imitators:
        basis = _of_groups(each.seen) if each.penalty is not None else _basis(each.seen, gamma)
        found = each.slopes[:, :, None] * basis[:, None, :]
        size = np.sqrt(np.mean(found**2, axis=(0, 1)))
        found, size = found[..., size > 0.0], size[size > 0.0]
        columns.append(found / size)
        penalties.append(np.nan / size if each.penalty is None else each.penalty / size**2)
    return _Design(np.concatenate(columns, axis=-1), np.concatenate(penalties))


def _of_groups(codes: np.ndarray) -> np.ndarray:
    """Return a column for each group: values of groups sum to zero."""
    _, group = np.unique(codes[:, 0], return_inverse=True)
    indicator = np.eye(group.max() + 1)[group]
    return indicator - 1.0 / indicator.shape[1]


def _basis(seen: np.ndarray, gamma: float | None) -> np.ndarray:
    """Return a basis of functions of inputs: polynomials, or Gaussian kernels beside a plane."""
    n_points, n_inputs = seen.shape
    scaled = StandardScaler().fit_transform(seen)
    degree = 3 if gamma is None and n_inputs <= MAX_POLYNOMIAL_INPUTS else 1
    found = [PolynomialFeatures(degree).fit_transform(scaled)]
    if gamma is not None:
        n_kernels = min(N_KERNELS, n_points)
        kernels = Nystroem(gamma=gamma / n_inputs, n_components=n_kernels, random_state=0)
        found.append(kernels.fit_transform(scaled))
    return np.concatenate(found, axis=1)


def _left_by_ridge(design: _Design, values: np.ndarray, folds: list) -> np.ndarray:
    """Return the sum of squares of one effect left on rows held out, for each alpha."""
    left = np.zeros(len(ALPHAS))
    for train, test in folds:
        for i, found in enumerate(design.coefficients(values, train, ALPHAS)):
            left[i] += np.sum((values[test] - design.columns[test] @ found) ** 2)
    return left


def projection(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the projection of values, of shape (n, ...), on columns of any units."""
    size = np.sqrt(np.mean(columns**2, axis=0))
    columns = columns[:, size > 0] / size[size > 0]
    if not columns.shape[1]:
        return np.zeros_like(values)
    coefficients, *_ = np.linalg.lstsq(columns, values, rcond=1e-8)
    return columns @ coefficients


def _left_by_trees(
    imitators: Sequence[Imitator], design: _Design, values: np.ndarray, folds: list, alpha: float
) -> float:
    """Return the sum of squares of one effect that ridge and then trees leave."""
    left = 0.0
    for train, test in folds:
        (found,) = design.coefficients(values, train, [alpha])
        residuals = values - design.columns @ found
        for each in imitators:
            if each.penalty is None:
                residuals = residuals - _answer_of_trees(each, residuals, train)
        left += float(np.sum(residuals[test] ** 2))
    return left


def _answer_of_trees(imitator: Imitator, residuals: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return what a function that boosted trees find on some rows explains of residuals.

    Over channels, the best answer at a point is the mean of residual over slope, weighted with the
    squared slope.
    """
    slopes = imitator.slopes
    weights = np.sum(slopes**2, axis=1)
    used = train[weights[train] > NOTHING * weights.max()]
    if not len(used):
        return np.zeros_like(residuals)
    answers = np.sum(slopes * residuals, axis=1)[used] / weights[used]
    trees = HistGradientBoostingRegressor(max_iter=60, random_state=0)
    trees.fit(imitator.seen[used], answers, sample_weight=weights[used] / weights[used].mean())
    return slopes * trees.predict(imitator.seen)[:, None]
