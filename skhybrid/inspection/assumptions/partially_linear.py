"""Physics parameters by cross-fitted double machine learning, without the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from skhybrid.inspection.effects import Effects, effects
from skhybrid.inspection.flat_parameters import hybrid_of, in_shape
from skhybrid.inspection.learners import FOLDS, best_prediction
from skhybrid.model.structures import STRUCTURES

# Of an effect that the network's inputs predict better, what is left is the learners' error.
MAX_R2 = 0.9
MIN_ROWS = 40
MIN_GROUPS = 8
# More values make the standard errors small, and the learners slow.
MAX_VALUES = 4_000
# The physics is linearised again until its effects change by less than this part of their size, or
# θ by less than this part of its standard errors ...
LINEAR = 1e-3
OF_ERROR = 0.1
# ... at most so often.
MAX_STEPS = 5


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
    estimator: Any, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
) -> PartiallyLinear | str:
    """Estimate θ by double machine learning, from a fitted model.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted. Only its θ is used, as the point at which the physics is linearised.
    X, y, sample_weight : array-like
        As for ``fit``.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group are held out together, and their noise may be shared.

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
    errors are robust to noise that varies between rows. Physics that is not linear in θ is
    linearised again at the result, until its effects or θ hardly change.

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
    if model._fitted.hybrid.varying:
        names = " and ".join(model._fitted.hybrid.varying)
        return f"Learners predict a correction alone, and {names} may vary."
    at = effects(estimator, X, y, sample_weight, max_values=MAX_VALUES)
    if at.inputs is None or not at.names:
        return "There are no physics parameters beside a network."
    known = at.weights > 0
    if np.unique(at.rows[known]).size < MIN_ROWS:
        return f"Fewer than {MIN_ROWS} rows: learners cannot predict them."
    clusters = at.rows
    if groups is not None:
        clusters = np.unique(np.asarray(groups), return_inverse=True)[1][at.rows]
        if np.unique(clusters[known]).size < MIN_GROUPS:
            return f"Fewer than {MIN_GROUPS} groups: standard errors need more."
    for _ in range(MAX_STEPS):
        found = _estimated(at, known, clusters)
        values = {**dict(zip(at.names, at.values.tolist(), strict=True)), **found.values}
        params = in_shape(values, model)
        moved = effects(
            estimator, X, y, sample_weight, max_values=MAX_VALUES, physics_params=params
        )
        if _settled(found, at, moved):
            return found
        at = moved
    return PartiallyLinear(
        reasons=dict.fromkeys(at.names, f"{MAX_STEPS} linearisations did not settle.")
    )


def _settled(found: PartiallyLinear, before: Effects, now: Effects) -> bool:
    """Whether another linearisation would change nothing, or would be beyond a bound."""
    size = np.linalg.norm(before.sensitivities)
    if np.linalg.norm(now.sensitivities - before.sensitivities) <= LINEAR * size:
        return True
    steps = []
    for j, name in enumerate(before.names):
        if name in found.values:
            target, error = found.values[name], found.errors[name]
            reached = abs(now.values[j] - target) <= 0.5 * abs(now.values[j] - before.values[j])
            if target != before.values[j] and not reached:
                return True  # A bound stops the move.
            steps.append(abs(target - before.values[j]) / error if error else np.inf)
    return all(step <= OF_ERROR for step in steps)


def _splits(clusters: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return folds that keep groups together."""
    if np.unique(clusters).size == len(clusters):
        return [*FOLDS.split(clusters)]
    folds = GroupKFold(FOLDS.get_n_splits(), shuffle=True, random_state=0)
    return [*folds.split(clusters, groups=clusters)]


def _estimated(at: Effects, known: np.ndarray, clusters: np.ndarray) -> PartiallyLinear:
    """Return the estimates from effects."""
    unexplained = at.residuals + at.network
    left = np.zeros((len(unexplained), len(at.names) + 1))
    before = np.zeros_like(left)
    columns = np.column_stack([at.sensitivities, unexplained])
    for target in np.unique(at.targets[known]):
        rows = np.flatnonzero(known & (at.targets == target))
        splits = _splits(clusters[rows])
        for j, column in enumerate(columns.T):
            before[rows, j] = column[rows] - column[rows].mean()
            left[rows, j] = column[rows] - best_prediction(at.inputs[rows], column[rows], splits)
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
    # Values of one row, or of one group, share their noise.
    by_row = np.zeros((clusters.max() + 1, len(usable)))
    np.add.at(by_row, clusters, scores)
    errors = np.sqrt(np.diag(bread @ (by_row.T @ by_row) @ bread))
    for place, j in enumerate(usable):
        result.values[at.names[j]] = float(at.values[j] + step[place] / size[place])
        result.errors[at.names[j]] = float(errors[place] / size[place])
    return result
