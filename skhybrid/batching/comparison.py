"""Compare candidates on cross-validation folds: scores, physics parameters, physics' share."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning

from skhybrid.batching.cross_validation import TABULATED_IN, cross_validate
from skhybrid.exceptions import (
    CollapseWarning,
    NonFiniteLossWarning,
    ParameterWarning,
    PoorFitWarning,
    SerialMembersWarning,
)
from skhybrid.model_selection.fold_statistics import excess, held_out_losses, spread, theta_columns
from skhybrid.model_selection.plateau import Plateau
from skhybrid.model_selection.scoring import PHYSICS_SHARE, score_and_physics_params
from skhybrid.runtime.user_warnings import warn

# A comparison leaves out candidates that fail and handles those that collapse: no warnings.
_SETTLED = (
    CollapseWarning,
    NonFiniteLossWarning,
    ParameterWarning,
    PoorFitWarning,
    FitFailedWarning,
)


class Comparison:
    """Compare candidates on the same folds of all rows.

    Parameters
    ----------
    estimator : HybridRegressor
        Cloned.
    X, y, sample_weight
        All rows.
    splits : sequence of (train, test)
    seed : int
        Seed of all fits, so that networks and minibatches are the same where possible.
    n_jobs, max_members : int, default=None
        See :func:`skhybrid.batching.batch_training.train_tasks`.
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
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.splits = splits
        self.workers = {"n_jobs": n_jobs, "max_members": max_members}
        self.estimator = clone(estimator).set_params(random_state=seed, verbose=0, warm_start=False)
        vars(self.estimator).pop("_skl_callbacks", None)
        self.said_serial = False

    def results(self, candidates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Fit candidates to all folds and return their ``cv_results_``."""
        params = {} if self.sample_weight is None else {"sample_weight": self.sample_weight}
        caught: list[warnings.WarningMessage] = []
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                return self._validated(candidates, params)
        except _ScoringFailed as failure:
            raise failure.error from None
        finally:
            self._warn_again(caught)

    def _validated(
        self, candidates: Sequence[Mapping[str, Any]], params: Mapping[str, Any]
    ) -> dict[str, Any]:
        validation = cross_validate(
            self.estimator,
            candidates,
            self.splits,
            self.X,
            self.y,
            params,
            error_score=np.nan,
            **self.workers,
        )
        if validation.interrupt is not None:
            raise validation.interrupt
        if all(trial.error is not None for trial in validation.trials):
            raise validation.trials[0].error
        results, _ = validation.results(
            self.X,
            self.y,
            scorers=_score,
            fit_params=params,
            score_params=params,
            return_train_score=False,
            error_score=np.nan,
        )
        return results

    def _warn_again(self, caught: Sequence[warnings.WarningMessage]) -> None:
        """Repeat warnings about the candidates, except those that the comparison settles.

        The warning that members are trained one after the other comes once.
        """
        for each in caught:
            category = each.category
            if issubclass(category, _SETTLED) or each.filename == TABULATED_IN:
                continue
            if issubclass(category, SerialMembersWarning):
                if self.said_serial:
                    continue
                self.said_serial = True
            if category.__module__.startswith("skhybrid."):
                warn(each.message)
            else:
                warnings.warn_explicit(each.message, category, each.filename, each.lineno)


class _ScoringFailed(BaseException):
    """Carries an error of a scorer past scikit-learn, which turns exceptions into NaN."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def _score(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
    """Return :func:`score_and_physics_params`, also where all weights are zero."""
    if sample_weight is not None and not np.asarray(sample_weight).any():
        sample_weight = None
    try:
        return score_and_physics_params(estimator, X, y, sample_weight)
    except Exception as error:
        raise _ScoringFailed(error) from error


def object_array(values: Sequence[Any]) -> np.ndarray:
    """Return a one-dimensional array of objects, even where these are lists of equal length."""
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array


def candidate_path(results: Mapping[str, Any], name: str, best: int | None) -> dict[str, Any]:
    """Return results as columns: one for every quantity, with a value for every candidate."""
    if not results["params"]:
        return {name: np.array([]), "score": np.array([])}
    losses = held_out_losses(results)
    worse, error = excess(losses)
    values = [candidate[name] for candidate in results["params"]]
    numbers = all(isinstance(value, float) for value in values)
    path = {
        name: np.array(values) if numbers else object_array(values),
        "score": -losses.mean(axis=1),
        "worse than best": worse,
        "standard error": error,
        "physics share": np.asarray(results[f"mean_test_{PHYSICS_SHARE}"]),
        "chosen": np.arange(len(values)) == best,
    }
    columns = theta_columns(results)
    if columns:
        plateau = Plateau.of(results)
        path |= {"admissible": plateau.admissible, "settled": plateau.settled}
    for parameter, (theta, restarts) in columns.items():
        path[parameter] = theta.mean(axis=1)
        path[f"spread of {parameter}"] = spread(theta, restarts)
    return path


def joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results of more candidates after those of the first ones."""
    columns = [key for key in first if key == "params" or "_test_" in key]
    columns += [key for key in first if key.startswith("param_") and key in second]
    return {
        key: [*first[key], *second[key]]
        if isinstance(first[key], list)
        else np.ma.concatenate([first[key], second[key]])
        if np.ma.isMaskedArray(first[key])
        else np.concatenate([first[key], second[key]])
        for key in columns
        if not key.startswith("rank_")
    }
