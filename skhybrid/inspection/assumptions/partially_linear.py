"""Physics parameters by cross-fitted double machine learning, without the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skhybrid.inspection.effects import Effects, effects
from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.inspection.learners import best_prediction
from skhybrid.model.structures import STRUCTURES

# Of an effect that the network's inputs predict better, what is left is the learners' error.
MAX_R2 = 0.9
MIN_ROWS = 40


@dataclass(frozen=True)
class PartiallyLinear:
    """Physics parameters of a partially linear model.

    Attributes
    ----------
    values, errors : dict of str to float
        Estimates and their standard errors, by element; only those that can be had.
    reasons : dict of str to str
        Why an element has none.
    """

    values: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def partially_linear(
    estimator: Any, X: Any, y: Any, sample_weight: Any = None
) -> PartiallyLinear | str:
    """Estimate θ by double machine learning, in one step from a fitted model.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted. Only its θ is used, as the point at which the physics is linearised.
    X, y, sample_weight : array-like
        As for ``fit``.

    Returns
    -------
    PartiallyLinear, or str
        The reason why this model is not partially linear.

    Notes
    -----
    The model is y = f_S(x; θ) + g(v) + noise with an unknown function g of the network's inputs v.
    To first order u = y − f_S(x; θ̂) = S (θ − θ̂) + g(v) + noise, S = ∂f_S/∂θ. Learners of
    scikit-learn predict u and every column of S from v, each row from the other folds. What is left
    of u is regressed on what is left of S [1]_. Weights count in this last step. The standard
    errors are robust to noise that varies between rows.

    References
    ----------
    .. [1] V. Chernozhukov, D. Chetverikov, M. Demirer, E. Duflo, C. Hansen, W. Newey, J. Robins,
       "Double/debiased machine learning for treatment and structural parameters", The Econometrics
       Journal 21, 2018, equation 1.5.
    """
    model = hybrid_of(estimator)
    if model._fitted.trajectory_info is not None:
        return "Trajectories: a differential equation is not linear in what the network adds."
    if model._fitted.hybrid.structure is not STRUCTURES["additive"]:
        return "The structure is not additive."
    at = effects(estimator, X, y, sample_weight)
    if at.inputs is None or not at.names:
        return "There are no physics parameters beside a network."
    known = at.weights > 0
    if np.unique(at.rows[known]).size < MIN_ROWS:
        return f"Fewer than {MIN_ROWS} rows: learners cannot predict them."
    return _estimated(at, known)


def _estimated(at: Effects, known: np.ndarray) -> PartiallyLinear:
    """Return the estimates from effects."""
    unexplained = at.residuals + at.network
    left = np.zeros((len(unexplained), len(at.names) + 1))
    before = np.zeros_like(left)
    columns = np.column_stack([at.sensitivities, unexplained])
    for target in np.unique(at.targets[known]):
        rows = np.flatnonzero(known & (at.targets == target))
        for j, column in enumerate(columns.T):
            before[rows, j] = column[rows] - column[rows].mean()
            left[rows, j] = column[rows] - best_prediction(at.inputs[rows], column[rows])
    weights = at.weights
    result = PartiallyLinear()
    usable = []
    for j, name in enumerate(at.names):
        whole = float(weights @ before[:, j] ** 2)
        r2 = 1.0 - float(weights @ left[:, j] ** 2) / whole if whole else 1.0
        if r2 > MAX_R2:
            result.reasons[name] = (
                f"The network's inputs predict the effect of {name} (R² = {r2:.3f}): it cannot be "
                "told from an unknown function of them."
            )
        else:
            usable.append(j)
    if not usable:
        return result
    S, u = left[:, usable], left[:, -1]
    # Columns of equal size: parameters may have any units.
    size = np.sqrt(weights @ S**2)
    S, root = S / size, np.sqrt(weights)
    step, _, rank, _ = np.linalg.lstsq(root[:, None] * S, root * u, rcond=1e-6)
    if rank < len(usable):
        for j in usable:
            result.reasons[at.names[j]] = "Its effect is that of other parameters."
        return result
    bread = np.linalg.inv(S.T @ (weights[:, None] * S))
    scores = (weights * (u - S @ step))[:, None] * S
    # Values of one row share their noise.
    by_row = np.zeros((at.rows.max() + 1, len(usable)))
    np.add.at(by_row, at.rows, scores)
    errors = np.sqrt(np.diag(bread @ (by_row.T @ by_row) @ bread))
    for place, j in enumerate(usable):
        result.values[at.names[j]] = float(at.values[j] + step[place] / size[place])
        result.errors[at.names[j]] = float(errors[place] / size[place])
    return result
