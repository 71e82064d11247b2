"""Rules that choose among the candidates of a search: visible, stated, and the same everywhere.

A rule is a callable from ``cv_results_`` to the index of the best candidate, for ``refit=`` of
:class:`~skhybrid.HybridSearchCV` and of scikit-learn's searches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

__all__ = ["one_standard_error", "score_and_physics_params", "stable"]

# Columns of cv_results_ in which score_and_physics_params puts what it finds.
VALUE = "theta "
RESTARTS = "spread "


class one_standard_error:
    r"""Choose the simplest candidate whose loss is within one standard error of the best.

    With :math:`L_{ik}` the loss (minus the score) of candidate i on fold k, and b the candidate
    with the lowest mean loss, candidate i is as good as the best if

    .. math::

        \bar d_i \le s_i / \sqrt{K}, \quad d_{ik} = L_{ik} - L_{bk},

    with :math:`s_i` the standard deviation of the K differences. The differences are paired by
    fold: what all candidates find hard on a fold says nothing about them, and the unpaired rule of
    Breiman et al. [1]_ lets it drown what does; see [2]_.

    Parameters
    ----------
    name : str
        Parameter whose value is to be as large as possible, such as "rho". In a pipeline the last
        part of its name is enough.
    smallest : bool, default=False
        Whether the smallest value is the simplest.
    score : str, default="score"
        Which score, where there are several.

    Returns
    -------
    callable
        From ``cv_results_`` to the index of the candidate. Of several with the same value it is
        the one with the best score.

    References
    ----------
    .. [1] L. Breiman, J. H. Friedman, R. A. Olshen, C. J. Stone, "Classification and regression
       trees", Wadsworth, 1984, section 3.4.3.
    .. [2] L. A. Yates, Z. Aandahl, S. A. Richards, B. W. Brook, "Cross validation for model
       selection: a review with examples from ecology", Ecological Monographs 93, 2023.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skhybrid.model_selection import one_standard_error
    >>> X, y = make_regression(noise=10.0, random_state=0)
    >>> grid = {"alpha": [0.01, 0.1, 1.0, 10.0]}
    >>> search = GridSearchCV(Ridge(), grid, refit=one_standard_error("alpha")).fit(X, y)
    >>> best = search.cv_results_["mean_test_score"].argmax()
    >>> search.best_params_["alpha"] >= grid["alpha"][best]
    True
    """

    def __init__(self, name: str, *, smallest: bool = False, score: str = "score") -> None:
        self.name = name
        self.smallest = smallest
        self.score = score

    def __repr__(self) -> str:
        return f"one_standard_error({self.name!r}, smallest={self.smallest}, score={self.score!r})"

    def __call__(self, results: Mapping[str, Any]) -> int:
        """Return the index of the candidate."""
        losses = -fold_columns(results, f"test_{self.score}")
        as_good = within_one_standard_error(losses)
        sign = 1.0 if self.smallest else -1.0
        sizes = sign * parameter_values(results, self.name)
        return simplest(as_good, sizes, losses.mean(axis=1))


class stable:
    r"""Choose the smallest value at which θ is as reproducible as it gets.

    Small radii leave θ to chance: it depends on where the fit began and on the rows. Large ones
    leave the network so little that θ has to make up for it, differently on every part of the
    rows. With :math:`\theta_k` a parameter as fitted without fold k, and :math:`b_k^2` its variance
    over the restarts of that fit whose training losses cannot be told apart, its spread is

    .. math::

        u^2 = \frac{1}{K - 1} \sum_k (\theta_k - \bar\theta)^2 + \frac{1}{K} \sum_k b_k^2 .

    Chosen is the smallest value whose :math:`\log u`, averaged over all parameters, exceeds the
    lowest one by no more than the standard error of their difference. That is the jackknife's [3]_:
    both are computed again without each fold in turn, so that they are paired, as the losses are in
    :class:`one_standard_error`. To look at the variation of estimates over folds, and not at the
    loss alone, is the idea of [1]_; to compare runs from different starts with the variation that
    they should have anyhow, that of [2]_.

    Parameters
    ----------
    name : str
        Parameter whose value is to be as small as possible, such as "rho". In a pipeline the last
        part of its name is enough.

    Returns
    -------
    callable
        From ``cv_results_`` of a search with ``scoring=score_and_physics_params`` to the index of
        the candidate.

    Notes
    -----
    Give the estimator ``n_restarts=3`` or so: with one, dependence on the start shows only as far
    as it differs between folds. A parameter that is at a bound in all folds, and therefore has no
    spread, is not looked at.

    References
    ----------
    .. [1] C. Lim, B. Yu, "Estimation stability with cross-validation (ESCV)", Journal of
       Computational and Graphical Statistics 25, 2016.
    .. [2] A. Gelman, D. B. Rubin, "Inference from iterative simulation using multiple sequences",
       Statistical Science 7, 1992.
    .. [3] B. Efron, C. Stein, "The jackknife estimate of variance", Annals of Statistics 9, 1981.

    Examples
    --------
    >>> from skhybrid import HybridRegressor, HybridSearchCV
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.model_selection import score_and_physics_params, stable
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=20, n_restarts=2, random_state=0)
    >>> search = HybridSearchCV(
    ...     model,
    ...     {"rho": [0.01, 0.1]},
    ...     scoring=score_and_physics_params,
    ...     refit=stable("rho"),
    ... )
    >>> search.fit(data.data, data.target).best_params_["rho"] in (0.01, 0.1)
    True
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"stable({self.name!r})"

    def __call__(self, results: Mapping[str, Any]) -> int:
        """Return the index of the candidate."""
        columns = theta_columns(results)
        if not columns:
            raise ValueError(
                f"stable({self.name!r}) looks at the physics parameters of every fold, which "
                "cv_results_ does not have. Search with scoring=score_and_physics_params (from "
                "skhybrid.model_selection)."
            )
        values, restarts = stacked(columns)
        as_stable = about_as_stable(values, restarts)
        logs = log_spread(spread(values, restarts))
        return simplest(as_stable, parameter_values(results, self.name), logs)


def score_and_physics_params(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> dict:
    """Return the score and the physics parameters of a fit: ``scoring=`` of a search.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted.
    X, y : array-like
        Rows to score.
    sample_weight : array-like, default=None
        Their weights.

    Returns
    -------
    dict of str to float
        "score"; "theta <name>", a physics parameter; "spread <name>", its standard deviation over
        the restarts whose training losses cannot be told apart. Elements of an array are numbered:
        "theta gain[0]".
    """
    weight = {} if sample_weight is None else {"sample_weight": sample_weight}
    found = {"score": float(estimator.score(X, y, **weight))}
    model = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    values = free_elements(model.physics_params_, model)
    spreads = restart_spread(model)
    for name, value in values.items():
        found[f"{VALUE}{name}"] = value
        found[f"{RESTARTS}{name}"] = spreads[name]
    return found


def free_elements(physics_params: Mapping[str, Any], model: Any) -> dict[str, float]:
    """Return the elements of the physics parameters that are not fixed, by name and number."""
    elements = {}
    for name in model._fitted.free_names:
        value = np.asarray(physics_params[name])
        for index in np.ndindex(value.shape):
            number = f"[{', '.join(map(str, index))}]" if index else ""
            elements[f"{name}{number}"] = float(value[index])
    return elements


def restart_spread(model: Any) -> dict[str, float]:
    """Return the standard deviation of θ over restarts that fit the data equally well.

    The mean of n squared errors has a relative standard error of √(2/n). Restarts whose training
    loss exceeds the lowest by more than that have ended in a worse place, and do not count.
    """
    usable = [each for each in model.restarts_ if np.isfinite(each["loss"])]
    lowest = min(each["loss"] for each in usable)
    tolerance = np.sqrt(2.0 / model._fitted.n_rows)
    equal = [
        free_elements(each["physics_params"], model)
        for each in usable
        if each["loss"] <= lowest * (1.0 + tolerance)
    ]
    if len(equal) < 2:
        return dict.fromkeys(equal[0], 0.0)
    return {name: float(np.std([each[name] for each in equal], ddof=1)) for name in equal[0]}


def spread(values: np.ndarray, restarts: np.ndarray) -> np.ndarray:
    """Return how much parameters vary over folds and restarts.

    Parameters
    ----------
    values : array of shape (n_candidates, n_folds) or (n_candidates, n_folds, n_parameters)
    restarts : array of the same shape
        Standard deviations over restarts.

    Returns
    -------
    array of shape (n_candidates,) or (n_candidates, n_parameters)
    """
    return np.sqrt(values.var(axis=1, ddof=1) + np.mean(restarts**2, axis=1))


def log_spread(spreads: np.ndarray) -> np.ndarray:
    """Return the mean logarithm of the spread, infinite for candidates without one.

    Parameters that have no spread for some candidate, at a bound in all folds, are not looked at.

    Parameters
    ----------
    spreads : array of shape (n_candidates, n_parameters)
    """
    finite = np.isfinite(spreads).all(axis=1)
    told = (spreads[finite] > 0).all(axis=0)
    logs = np.where(finite, 0.0, np.inf)
    if finite.any() and told.any():
        logs[finite] = np.log(spreads[finite][:, told]).mean(axis=1)
    return logs


def about_as_stable(values: np.ndarray, restarts: np.ndarray) -> np.ndarray:
    """Return which candidates have a spread within one standard error of the smallest.

    Parameters
    ----------
    values, restarts : array of shape (n_candidates, n_folds, n_parameters)
        As for :func:`spread`.
    """
    logs = log_spread(spread(values, restarts))
    best, n_folds = int(logs.argmin()), values.shape[1]
    finite = np.isfinite(logs)
    if not finite[best] or n_folds < 3:
        return logs <= logs[best]
    without = [np.arange(n_folds) != fold for fold in range(n_folds)]
    again = np.stack(
        [log_spread(spread(values[:, kept], restarts[:, kept])) for kept in without], axis=1
    )
    with np.errstate(invalid="ignore"):
        error = np.sqrt(n_folds - 1) * (again - again[best]).std(axis=1)
    return finite & (logs - logs[best] <= np.nan_to_num(error))


def within_one_standard_error(losses: np.ndarray) -> np.ndarray:
    """Return which candidates are as good as the best, by differences paired by fold.

    Parameters
    ----------
    losses : array of shape (n_candidates, n_folds)
        Candidates with a loss that is not finite are not as good.
    """
    difference, error = excess(losses)
    return np.isfinite(losses.mean(axis=1)) & (difference <= error)


def excess(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how much worse candidates are than the best, and the paired standard error of that.

    Parameters
    ----------
    losses : array of shape (n_candidates, n_folds)
    """
    best, n_folds = lowest(losses), losses.shape[1]
    with np.errstate(invalid="ignore"):
        differences = losses - losses[best]
        spreads = differences.std(axis=1, ddof=1) if n_folds > 1 else np.zeros(len(losses))
        return differences.mean(axis=1), spreads / np.sqrt(n_folds)


def lowest(losses: np.ndarray) -> int:
    """Return the index of the candidate with the lowest mean loss."""
    means = losses.mean(axis=1)
    if not np.isfinite(means).any():
        raise ValueError("No candidate has a finite score on every fold: nothing to choose from.")
    return int(np.nanargmin(np.where(np.isfinite(means), means, np.nan)))


def simplest(chosen: np.ndarray, sizes: Sequence[float], losses: np.ndarray) -> int:
    """Return the index of the smallest of the chosen candidates, of equally small ones the best."""
    return int(next(i for i in np.lexsort((losses, sizes)) if chosen[i]))


def theta_columns(results: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return every parameter and its spread over restarts, of shape (n_candidates, n_folds)."""
    prefix = f"mean_test_{VALUE}"
    names = [key.removeprefix(prefix) for key in results if key.startswith(prefix)]
    return {
        name: tuple(fold_columns(results, f"test_{kind}{name}") for kind in (VALUE, RESTARTS))
        for name in names
    }


def stacked(
    columns: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return :func:`theta_columns` as arrays of shape (n_candidates, n_folds, n_parameters)."""
    values, restarts = zip(*columns.values(), strict=True)
    return np.stack(values, -1), np.stack(restarts, -1)


def fold_columns(results: Mapping[str, Any], column: str) -> np.ndarray:
    """Return a column of ``cv_results_`` for every fold, of shape (n_candidates, n_folds)."""
    folds = []
    while f"split{len(folds)}_{column}" in results:
        folds.append(results[f"split{len(folds)}_{column}"])
    if not folds:
        known = [
            name.removeprefix("mean_test_") for name in results if name.startswith("mean_test_")
        ]
        raise ValueError(
            f"cv_results_ has no {column!r} of the folds; its scores are {', '.join(known)}."
        )
    return np.stack(folds, axis=1).astype(float)


def parameter_values(results: Mapping[str, Any], name: str) -> np.ndarray:
    """Return the values of a parameter; None is minus infinity, less than any number."""
    found: Sequence[str] = [f"param_{name}"] if f"param_{name}" in results else []
    if not found:
        found = [column for column in results if column.startswith("param_")]
        found = [column for column in found if column.endswith(f"__{name}")]
    if len(found) != 1:
        known = ", ".join(column.removeprefix("param_") for column in results if "param_" in column)
        raise ValueError(f"The search has no parameter {name!r}; it has {known}.")
    values = [-np.inf if value is None else value for value in results[found[0]].tolist()]
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Parameter {name!r} has values that are not numbers: {values}."
        ) from error
