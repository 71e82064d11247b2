"""θ by double machine learning: what the network sees is partialled out by other learners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold

from skhybrid.inspection.effects import Effects, effects
from skhybrid.inspection.flat_parameters import hybrid_of, in_shape
from skhybrid.inspection.learners import best_prediction
from skhybrid.inspection.overlap import explained
from skhybrid.model.ode import ODE

DOUBLE_MACHINE_LEARNING = "double machine learning"
N_FOLDS = 4
# More values make the standard errors small, and the learners slow.
MAX_VALUES = 4_000
# An effect of which the network's inputs predict more, on rows held out, says nothing about θ.
MAX_PREDICTABLE = 0.9
# An effect of which they predict more than this is a function of them, but for the learner's error.
FUNCTION_OF_INPUTS = 0.99
# Part of what is left of an effect that must be its own, and not that of another parameter.
OWN = 1e-4
# The physics is linearised again until its effects, or θ, move by less than these parts ...
LINEAR = 1e-3
OF_STANDARD_ERROR = 0.1
# ... at most so often.
MAX_STEPS = 4


@dataclass(frozen=True)
class Partialled:
    """What double machine learning says.

    Attributes
    ----------
    values, standard_errors : dict of str to float
        By element, such as "gain[0]".
    reason : str
        Why there is no value, for the other elements.
    """

    values: dict[str, float] = field(default_factory=dict)
    standard_errors: dict[str, float] = field(default_factory=dict)
    reason: str = ""


def double_machine_learning(
    estimator: Any, X: Any, y: Any, *, sample_weight: Any = None, groups: Any = None, seed: int = 0
) -> Partialled:
    """Return θ of a partially linear model, by cross-fitted residuals on residuals.

    Let Z be what the network reads. With S = ∂f_S/∂θ at θ̂, the model y = f_S(x; θ) + δ(Z) + noise
    is, to first order, u = S θ + δ(Z) + noise for u = y − f_S(x; θ̂) + S θ̂. So the residuals
    u − E[u | Z] are linear in the residuals S − E[S | Z], with the coefficients θ. Both conditional
    means come from rows held out, by the best of several learners. Physics that is not linear in θ
    is linearised again at the result.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted to these rows.
    X, y, sample_weight : array-like
        As for ``fit``.
    groups : array-like of shape (n_samples,), default=None
        Rows of one group are held out together, and standard errors are clustered by group.
    seed : int, default=0
        Draws the folds.

    Returns
    -------
    Partialled

    References
    ----------
    V. Chernozhukov et al., "Double/debiased machine learning for treatment and structural
    parameters", The Econometrics Journal 21, 2018, eq. 4.4. P. M. Robinson, "Root-n-consistent
    semiparametric regression", Econometrica 56, 1988.
    """
    model = hybrid_of(estimator)
    if isinstance(model.structure, ODE):
        return Partialled(reason="it is for tables only")
    if model.structure != "additive":
        return Partialled(reason="it is for additive structures only")
    of_groups, known, found = None if groups is None else np.asarray(groups), None, None
    for _ in range(MAX_STEPS):
        params = None if found is None else _params(found, known, model)
        at = effects(estimator, X, y, sample_weight, max_values=MAX_VALUES, physics_params=params)
        if found is not None and _settled(found, known, at):
            break
        clusters = _clusters(at, of_groups)
        if len(np.unique(clusters[at.weights > 0])) < 2 * N_FOLDS:
            what = "rows" if groups is None else "groups"
            return Partialled(reason=f"it needs {2 * N_FOLDS} {what} with a target or more")
        known, found = at, partialled(at, clusters, seed)
        if not found.values:
            break
    return found


def partialled(at: Effects, clusters: np.ndarray, seed: int = 0) -> Partialled:
    """Return θ from effects at some θ, to first order.

    Parameters
    ----------
    at : Effects
        Of an additive model of a table.
    clusters : array of int, shape (n_values,)
        Values of one cluster are held out together; their errors may depend on each other.
    seed : int, default=0
    """
    used = np.flatnonzero(at.weights > 0)
    slopes, targets = at.sensitivities[used], at.targets[used]
    root = np.sqrt(at.weights[used] / at.weights[used].mean())
    inputs, clusters = at.inputs[used], clusters[used]
    columns = np.stack([_left(inputs, each, targets, clusters, seed) for each in slopes.T], axis=1)
    predictable = _predictable(slopes, columns, targets, root)
    varies = predictable <= FUNCTION_OF_INPUTS
    reasons = {
        name: f"the network's inputs predict {part:.0%} of the effect of {name}"
        for name, part in zip(at.names, predictable, strict=True)
        if part > MAX_PREDICTABLE
    }
    if len(reasons) == len(at.names):
        return Partialled(reason="; ".join(reasons.values()))
    # An effect that is a function of the inputs belongs to what the network can give.
    linear = (at.network + at.residuals)[used] + slopes[:, varies] @ at.values[varies]
    left = _left(inputs, linear, targets, clusters, seed)
    weighted = root[:, None] * columns[:, varies]
    theta, errors = _regression(weighted, root * left, clusters)
    values, standard_errors = {}, {}
    names = [name for name, each in zip(at.names, varies, strict=True) if each]
    for j, name in enumerate(names):
        own = weighted[:, j] - explained(np.delete(weighted, j, axis=1), weighted[:, j])
        if name in reasons:
            continue
        if np.sum(own**2) <= OWN * np.sum(weighted[:, j] ** 2):
            reasons[name] = f"other parameters make up for {name}"
        else:
            values[name], standard_errors[name] = float(theta[j]), float(errors[j])
    return Partialled(values, standard_errors, "; ".join(reasons.values()))


def _left(
    inputs: np.ndarray, values: np.ndarray, targets: np.ndarray, clusters: np.ndarray, seed: int
) -> np.ndarray:
    """Return values less their prediction from the inputs on rows held out, target by target."""
    left = np.empty(len(values))
    for target in np.unique(targets):
        rows = np.flatnonzero(targets == target)
        splits = _splits(clusters[rows], seed)
        left[rows] = values[rows] - best_prediction(inputs[rows], values[rows], splits)
    return left


def _splits(clusters: np.ndarray, seed: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Return folds that keep clusters together."""
    if len(np.unique(clusters)) == len(clusters):
        return [*KFold(N_FOLDS, shuffle=True, random_state=seed).split(clusters)]
    folds = GroupKFold(N_FOLDS, shuffle=True, random_state=seed)
    return [*folds.split(clusters, groups=clusters)]


def _predictable(
    slopes: np.ndarray, left: np.ndarray, targets: np.ndarray, root: np.ndarray
) -> np.ndarray:
    """Return the part of each effect's variance that the inputs predict on rows held out."""
    around = slopes.copy()
    for target in np.unique(targets):
        rows = targets == target
        around[rows] -= np.average(slopes[rows], axis=0, weights=root[rows] ** 2)
    whole, rest = (np.sum((root[:, None] * each) ** 2, axis=0) for each in (around, left))
    # A constant effect is one that the network can give.
    constant = whole <= 1e-12 * np.sum((root[:, None] * slopes) ** 2, axis=0)
    return np.where(constant, 1.0, 1.0 - rest / np.where(constant, 1.0, whole))


def _regression(
    columns: np.ndarray, values: np.ndarray, clusters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and their standard errors, by the sandwich clustered by row or group."""
    size = np.linalg.norm(columns, axis=0)
    columns = columns / size
    inverse = np.linalg.pinv(columns.T @ columns, rcond=1e-10, hermitian=True)
    found = inverse @ (columns.T @ values)
    scores = columns * (values - columns @ found)[:, None]
    _, number = np.unique(clusters, return_inverse=True)
    n_clusters = int(number.max()) + 1
    sums = np.zeros((n_clusters, columns.shape[1]))
    np.add.at(sums, number, scores)
    few = n_clusters / max(n_clusters - columns.shape[1], 1)
    covariance = few * inverse @ (sums.T @ sums) @ inverse
    return found / size, np.sqrt(np.diag(covariance)) / size


def _clusters(at: Effects, groups: np.ndarray | None) -> np.ndarray:
    """Return the number of the row, or of the group, of each value."""
    return at.rows if groups is None else np.unique(groups, return_inverse=True)[1][at.rows]


def _params(found: Partialled, at: Effects, model: Any) -> dict[str, Any]:
    """Return the parameters at the values found; the others as they are."""
    return in_shape({**dict(zip(at.names, at.values.tolist(), strict=True)), **found.values}, model)


def _settled(found: Partialled, before: Effects, now: Effects) -> bool:
    """Whether another linearisation would change nothing, or would be beyond a bound."""
    for j, name in enumerate(before.names):
        if name not in found.values:
            continue
        error = max(found.standard_errors[name], 1e-5 * abs(found.values[name]))
        if abs(now.values[j] - found.values[name]) > OF_STANDARD_ERROR * error:
            return True  # A bound stopped the move.
    moved = np.abs(now.values - before.values)
    errors = np.array([found.standard_errors.get(name, np.inf) for name in before.names])
    change = np.linalg.norm(now.sensitivities - before.sensitivities)
    linear = change <= LINEAR * np.linalg.norm(before.sensitivities)
    return bool(linear or np.all(moved <= OF_STANDARD_ERROR * errors))
