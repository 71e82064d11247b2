"""Compare losses and physics parameters of candidates over cross-validation folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skhybrid.model_selection.scoring import RESTART_SPREAD, THETA
from skhybrid.runtime.user_warnings import warn


def spread(values: np.ndarray, restarts: np.ndarray) -> np.ndarray:
    """Return how much physics parameters vary over folds and restarts.

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
    """Return the mean logarithm of the spread, infinite for candidates without a finite spread.

    Parameters whose spread is zero for some candidate, at a bound in all folds, are left out.

    Parameters
    ----------
    spreads : array of shape (n_candidates, n_parameters)
    """
    finite = np.isfinite(spreads).all(axis=1)
    varies = (spreads[finite] > 0).all(axis=0)
    logs = np.where(finite, 0.0, np.inf)
    if finite.any() and varies.any():
        logs[finite] = np.log(spreads[finite][:, varies]).mean(axis=1)
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
    """Return how much worse candidates are than the best, and its paired standard error.

    Parameters
    ----------
    losses : array of shape (n_candidates, n_folds)
    """
    best, n_folds = lowest(losses), losses.shape[1]
    with np.errstate(invalid="ignore"):
        differences = losses - losses[best]
        deviation = differences.std(axis=1, ddof=1) if n_folds > 1 else np.zeros(len(losses))
        return differences.mean(axis=1), deviation / np.sqrt(n_folds)


def lowest(losses: np.ndarray) -> int:
    """Return the index of the candidate with the lowest mean loss."""
    means = losses.mean(axis=1)
    if not np.isfinite(means).any():
        raise ValueError("No candidate has a finite score on every fold: nothing to choose from.")
    return int(np.nanargmin(np.where(np.isfinite(means), means, np.nan)))


def simplest(chosen: np.ndarray, sizes: Sequence[float], losses: np.ndarray) -> int:
    """Return the index of the smallest chosen candidate; of equally small ones, the best."""
    return int(next(i for i in np.lexsort((losses, sizes)) if chosen[i]))


def theta_columns(results: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return values and restart spreads by parameter, of shape (n_candidates, n_folds)."""
    prefix = f"mean_test_{THETA}"
    names = [key.removeprefix(prefix) for key in results if key.startswith(prefix)]
    return {
        name: (
            fold_columns(results, f"test_{THETA}{name}"),
            fold_columns(results, f"test_{RESTART_SPREAD}{name}"),
        )
        for name in names
    }


def stacked(
    columns: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return :func:`theta_columns` as arrays of shape (n_candidates, n_folds, n_parameters)."""
    values, restarts = zip(*columns.values(), strict=True)
    return np.stack(values, -1), np.stack(restarts, -1)


def fold_columns(results: Mapping[str, Any], column: str) -> np.ndarray:
    """Return a column of ``cv_results_`` on every fold, of shape (n_candidates, n_folds)."""
    folds = []
    while f"split{len(folds)}_{column}" in results:
        folds.append(results[f"split{len(folds)}_{column}"])
    if not folds:
        known = [
            name.removeprefix("mean_test_") for name in results if name.startswith("mean_test_")
        ]
        raise ValueError(
            f"cv_results_ has no {column!r} for single folds; its scores are {', '.join(known)}."
        )
    return np.stack(folds, axis=1).astype(float)


def held_out_losses(results: Mapping[str, Any], score: str = "score") -> np.ndarray:
    """Return minus a score on every fold on which any candidate has one.

    A fold without a score, such as one whose held-out targets are all missing, tells no candidate
    from another.

    Parameters
    ----------
    results : mapping
        ``cv_results_`` of a search.
    score : str, default="score"

    Returns
    -------
    array of shape (n_candidates, n_scored_folds)
    """
    losses = -fold_columns(results, f"test_{score}")
    return losses[:, folds_with_results(losses, "score")]


def folds_with_results(values: np.ndarray, what: str) -> np.ndarray:
    """Return which folds count: those with a number for any candidate; warn of the others.

    Parameters
    ----------
    values : array of shape (n_candidates, n_folds, ...)
    what : str
        Name of the values, for the warning.

    Returns
    -------
    array of bool, shape (n_folds,)
        True for all folds if none has a number.
    """
    there = folds_with_any(values)
    if there.all():
        return there
    warn(
        f"No candidate has a {what} on fold {', '.join(map(str, np.flatnonzero(~there)))}: every "
        "fit failed there, or all held-out targets are missing. The candidates are compared on the "
        f"other {there.sum()} folds. Choose folds that each hold known targets, such as "
        "KFold(5, shuffle=True)."
    )
    return there


def folds_with_any(values: np.ndarray) -> np.ndarray:
    """Return which folds have a number for any candidate; all of them if none has.

    Parameters
    ----------
    values : array of shape (n_candidates, n_folds, ...)
    """
    there = ~np.isnan(np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)).all(axis=1)
    return there if there.any() else np.ones_like(there)


def parameter_values(results: Mapping[str, Any], name: str) -> np.ndarray:
    """Return the values of a parameter; None becomes minus infinity, less than any number."""
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
