"""Candidates compared on folds: what each of them predicts, and what θ comes to be."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import _safe_split

from skhybrid._trials import Trial, make_trials, train_trials
from skhybrid._verdict import NOTHING
from skhybrid.exceptions import CollapseWarning, NonFiniteLossWarning, SerialMembersWarning
from skhybrid.model_selection import (
    VALUE,
    excess,
    fold_columns,
    score_and_physics_params,
    spread,
    theta_columns,
)


class Folds:
    """The rows, cut into folds, and candidates that are judged on them.

    Parameters
    ----------
    estimator : HybridRegressor
        Cloned.
    X, y, sample_weight
        All rows.
    splits : sequence of (train, test)
    seed : int
        Of all fits, which so have the same networks and minibatches where they can.
    n_jobs, max_members : int, default=None
        See :func:`skhybrid._side_by_side.train_collected`.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any,
        splits: Sequence[tuple[np.ndarray, np.ndarray]],
        *,
        seed: int,
        n_jobs: int | None = None,
        max_members: int | None = None,
    ) -> None:
        self.X, self.y = X, y
        self.fit_params = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.splits = splits
        self.workers = {"n_jobs": n_jobs, "max_members": max_members}
        self.estimator = clone(estimator).set_params(random_state=seed, verbose=0, warm_start=False)
        vars(self.estimator).pop("_skl_callbacks", None)
        self.said_serial = False

    def results(self, candidates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Fit candidates to all folds and return what ``cv_results_`` would have of them."""
        trials = make_trials(self.estimator, candidates, self.splits)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train_trials(
                trials, self.X, self.y, self.fit_params, error_score=np.nan, **self.workers
            )
            scores = [self._scored(trial) for trial in trials]
        self._warn_again(caught)
        found = [score for score in scores if score is not None]
        if not found:
            raise trials[0].error
        nothing = dict.fromkeys(found[0], np.nan)
        results: dict[str, Any] = {"params": list(candidates)}
        for name in candidates[0]:
            results[f"param_{name}"] = _objects([candidate[name] for candidate in candidates])
        for key in nothing:
            column = np.array([(score or nothing)[key] for score in scores], dtype=float)
            column = column.reshape(len(candidates), len(self.splits))
            results |= {
                f"split{fold}_test_{key}": column[:, fold] for fold in range(len(self.splits))
            }
            results[f"mean_test_{key}"] = column.mean(axis=1)
        return results

    def _scored(self, trial: Trial) -> dict[str, float] | None:
        if trial.error is not None:
            return None
        _, (train, test) = trial.split
        X, y = _safe_split(trial.estimator, self.X, self.y, test, train)
        weight = self.fit_params.get("sample_weight")
        if weight is not None:
            weight = np.asarray(weight)[test]
            if not weight.any():
                weight = None
        found = score_and_physics_params(trial.estimator, X, y, weight)
        return found | {"physics_share": trial.estimator.physics_share_}

    def _warn_again(self, caught: Sequence[warnings.WarningMessage]) -> None:
        """Repeat warnings of candidates, but not those that their comparison is there to settle.

        That the members are trained one after the other is said once.
        """
        for each in caught:
            if issubclass(each.category, (CollapseWarning, NonFiniteLossWarning)):
                continue
            if issubclass(each.category, SerialMembersWarning):
                if self.said_serial:
                    continue
                self.said_serial = True
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def _objects(values: Sequence[Any]) -> np.ndarray:
    """Return an array of objects, also of lists that are equally long."""
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array


def without_collapse(results: dict[str, Any]) -> dict[str, Any]:
    """Return results in which θ is unknown where the network had vanished.

    There it is that of the physics alone, as reproducible as it may be wrong.
    """
    vanished = np.asarray(results["mean_test_physics_share"]) > 1.0 - NOTHING
    if vanished.all():
        return results
    return {
        key: np.where(vanished, np.nan, column) if f"test_{VALUE}" in key else column
        for key, column in results.items()
    }


def table_of(results: Mapping[str, Any], name: str, best: int | None) -> dict[str, Any]:
    """Return the table of what was seen: a column of numbers for each of what may be plotted."""
    if not results["params"]:
        return {name: np.array([]), "score": np.array([])}
    losses = -fold_columns(results, "test_score")
    worse, error = excess(losses)
    values = [candidate[name] for candidate in results["params"]]
    numbers = all(isinstance(value, float) for value in values)
    seen = {
        name: np.array(values) if numbers else _objects(values),
        "score": -losses.mean(axis=1),
        "worse than best": worse,
        "standard error": error,
        "physics share": np.asarray(results["mean_test_physics_share"]),
        "chosen": np.arange(len(values)) == best,
    }
    for parameter, (theta, restarts) in theta_columns(results).items():
        seen[parameter] = theta.mean(axis=1)
        seen[f"spread of {parameter}"] = spread(theta, restarts)
    return seen
