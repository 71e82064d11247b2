"""Candidates on folds: fitted side by side where that is possible, and scored by scikit-learn."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection._validation import _fit_and_score
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from skhybrid._side_by_side import (
    RECIPE_PARAMETERS,
    START_PARAMETERS,
    Collected,
    Collector,
    UsedTooEarly,
    nothing_collected,
    train_collected,
)


@dataclass
class Trial:
    """One candidate on one fold."""

    number: int
    parameters: Mapping[str, Any]
    split: tuple[int, tuple[np.ndarray, np.ndarray]]
    estimator: Any
    seconds: float = 0.0
    error: BaseException | None = None
    finished: bool = False
    _waiting: int = field(default=0, repr=False)

    def begin(self, collector: Collector, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:
        """Fit what is not to be trained side by side, and let the collector take the rest."""
        began = time.perf_counter()
        estimator = self.estimator
        estimator.set_params(**clone(self.parameters, safe=False))
        fold, (train, _) = self.split
        fit_params = _check_method_params(X, params=fit_params, indices=train)
        X_train, y_train = _safe_split(estimator, X, y, train)
        targets = () if y_train is None else (y_train,)
        kind, prepared = _kinds(estimator, self.parameters)
        before = len(collector.collected)
        try:
            with collector.open(self.number, kind, (fold, prepared)):
                estimator.fit(X_train, *targets, **fit_params)
        except (UsedTooEarly, Exception) as error:
            # What is around the model may use it, or its attributes, while it is fitted itself.
            if isinstance(error, UsedTooEarly) or len(collector.collected) > before:
                collector.discard(self.number)
                self._fit_alone(X_train, targets, fit_params)
            else:
                self.error = error
        self._waiting = len(collector.collected) - before
        self.finished = self._waiting == 0
        self.seconds = time.perf_counter() - began

    def _fit_alone(self, X: Any, targets: tuple, fit_params: Mapping[str, Any]) -> None:
        try:
            with nothing_collected():
                self.estimator.fit(X, *targets, **fit_params)
        except Exception as error:
            self.error = error

    def note(self, collected: Collected) -> None:
        """Note that one of the fits that were waited for has been trained."""
        self.seconds += collected.seconds
        self.error = self.error or collected.error
        self._waiting -= 1
        self.finished = self._waiting == 0

    def scored(self, X: Any, y: Any, **options: Any) -> dict[str, Any]:
        """Return scores and times, of scikit-learn's own function for one candidate on one fold.

        It is given the estimator with a ``fit`` that has been done already.
        """

        def fitted(*args: Any, **kwargs: Any) -> Any:
            if not self.finished:
                raise NotFittedError("The search was interrupted before this fit was finished.")
            if self.error is not None:
                raise self.error
            return self.estimator

        _, (train, test) = self.split
        self.estimator.fit = fitted
        try:
            result = _fit_and_score(
                self.estimator,
                X,
                y,
                train=train,
                test=test,
                verbose=0,
                parameters=None,
                return_n_test_samples=True,
                return_times=True,
                **options,
            )
        finally:
            del self.estimator.fit
        result["fit_time"] = self.seconds
        return result


def make_trials(
    estimator: Any,
    candidates: Sequence[Mapping[str, Any]],
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
) -> list[Trial]:
    """Return a trial of a clone for every candidate and fold, the folds of a candidate together."""
    pairs = itertools.product(candidates, enumerate(splits))
    return [
        Trial(number, candidate, split, clone(estimator))
        for number, (candidate, split) in enumerate(pairs)
    ]


def train_trials(
    trials: Sequence[Trial],
    X: Any,
    y: Any,
    fit_params: Mapping[str, Any],
    *,
    error_score: Any = "raise",
    n_jobs: int | None = None,
    max_members: int | None = None,
) -> None:
    """Fit the candidates, side by side where that is possible.

    Parameters
    ----------
    trials : sequence of Trial
        What has been finished is noted in them, also when the keyboard interrupts.
    X, y : array-like
        All rows.
    fit_params : mapping of str to object
        Such as sample weights, for all rows.
    error_score : "raise" or float, default="raise"
        "raise" raises the error of a fit; otherwise it is noted.
    n_jobs, max_members : int, default=None
        See :func:`skhybrid._side_by_side.train_collected`.
    """
    collector = Collector()
    by_number = {trial.number: trial for trial in trials}

    def note(chunk: Sequence[Collected]) -> None:
        for each in chunk:
            trial = by_number[each.owner]
            trial.note(each)
            if error_score == "raise" and trial.error is not None:
                raise trial.error

    for trial in trials:
        trial.begin(collector, X, y, fit_params)
        if error_score == "raise" and trial.error is not None:
            raise trial.error
    train_collected(collector.collected, n_jobs=n_jobs, max_members=max_members, done=note)


def _kinds(estimator: Any, parameters: Mapping[str, Any]) -> tuple[tuple, tuple]:
    """Return what tells kinds of models apart, and what tells apart what is prepared for them."""
    known = estimator.get_params(deep=True)
    kind, prepared = [], []
    for name, value in sorted(parameters.items()):
        owner, _, last = name.rpartition("__")
        is_ours = hasattr(known[owner] if owner else estimator, "_is_collectable")
        if is_ours and last in RECIPE_PARAMETERS:
            continue
        prepared.append((name, id(value)))
        if not (is_ours and last in START_PARAMETERS):
            kind.append((name, id(value)))
    return tuple(kind), tuple(prepared)
