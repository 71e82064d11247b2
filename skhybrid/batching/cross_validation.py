"""Cross-validation: batches train the candidates, scikit-learn scores and tabulates them.

This module uses private functions of scikit-learn, so that scores, their errors and ``cv_results_``
are exactly the ones of GridSearchCV. No other module uses them for that.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)

from skhybrid.batching.trial_callbacks import TrialCallbacks
from skhybrid.batching.trials import Trial, make_trials, train_trials
from skhybrid.runtime.progress import open_display

# The file whose warnings say that scores are not finite.
TABULATED_IN = BaseSearchCV._format_results.__code__.co_filename


@dataclass
class CrossValidation:
    """Candidates and their trials on cross-validation folds.

    Attributes
    ----------
    candidates : sequence of mapping
        Parameters by name.
    trials : list of Trial
        Candidate by candidate, fold by fold.
    interrupt : KeyboardInterrupt or None
        The interrupt that ended the training early.
    """

    candidates: Sequence[Mapping[str, Any]]
    trials: list[Trial]
    interrupt: KeyboardInterrupt | None = None

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(self.trials) // len(self.candidates)

    def results(
        self,
        X: Any,
        y: Any,
        *,
        scorers: Callable,
        fit_params: Mapping[str, Any],
        score_params: Mapping[str, Any],
        return_train_score: bool,
        error_score: Any,
        callbacks: TrialCallbacks | None = None,
    ) -> tuple[dict[str, Any], Any]:
        """Score all trials, and return ``cv_results_`` and the first test score.

        Parameters
        ----------
        X, y : array-like
            All rows.
        scorers : callable
        fit_params, score_params : mapping of str to object
        return_train_score : bool
        error_score : "raise" or float
            Score of a fit that failed; "raise" raises its error.
        callbacks : TrialCallbacks, default=None
            Told when a trial ends.
        """
        if self.interrupt is not None:
            error_score = np.nan
        options = {
            "scorer": scorers,
            "fit_params": fit_params,
            "score_params": score_params,
            "return_train_score": return_train_score,
            "error_score": error_score,
        }
        out = []
        with open_display().work("fit", len(self.trials)) as work:
            for trial in self.trials:
                try:
                    out.append(_scored(trial, X, y, **options))
                finally:
                    if callbacks is not None:
                        callbacks.end(trial)
                work.advance(1, lambda: f"{len(out)} of {len(self.trials)} fits scored")
        if self.interrupt is None:
            _warn_or_raise_about_fit_failures(out, error_score)
        _insert_error_scores(out, error_score)
        with warnings.catch_warnings():
            if self.interrupt is not None:  # some scores are missing
                warnings.simplefilter("ignore", UserWarning)
            formatter = SimpleNamespace(return_train_score=return_train_score)
            results = BaseSearchCV._format_results(
                formatter, list(self.candidates), self.n_folds, out
            )
        return results, out[0]["test_scores"]


def cross_validate(
    estimator: Any,
    candidates: Sequence[Mapping[str, Any]],
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    X: Any,
    y: Any,
    fit_params: Mapping[str, Any],
    *,
    error_score: Any,
    n_jobs: int | None,
    max_members: int | None,
    callbacks: TrialCallbacks | None = None,
) -> CrossValidation:
    """Train all candidates on all folds.

    Parameters
    ----------
    estimator : estimator
        Cloned.
    candidates : sequence of mapping
        Parameters by name.
    splits : sequence of (train, test)
    X, y : array-like
        All rows.
    fit_params : mapping of str to object
    error_score : "raise" or float
    n_jobs, max_members : int or None
        See :func:`skhybrid.batching.batch_training.train_tasks`.
    callbacks : TrialCallbacks, default=None
        Told when a trial begins.
    """
    trials = make_trials(estimator, candidates, splits)
    interrupt = None
    try:
        train_trials(
            trials,
            X,
            y,
            fit_params,
            error_score=error_score,
            n_jobs=n_jobs,
            max_members=max_members,
            callbacks=callbacks,
        )
    except KeyboardInterrupt as error:
        interrupt = error
    return CrossValidation(candidates, trials, interrupt)


def _scored(trial: Trial, X: Any, y: Any, **options: Any) -> dict[str, Any]:
    """Return scores and times from scikit-learn's function for one candidate on one fold.

    The function gets an estimator that is trained already, and whose ``fit`` does nothing.
    """

    def fitted(*args: Any, **kwargs: Any) -> Any:
        if not trial.finished:
            raise NotFittedError("The search was interrupted before this fit was finished.")
        if trial.error is not None:
            raise trial.error
        return trial.estimator

    _, (train, test) = trial.split
    trial.estimator.fit = fitted
    try:
        result = _fit_and_score(
            trial.estimator,
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
        del trial.estimator.fit
    result["fit_time"] = trial.seconds
    return result
