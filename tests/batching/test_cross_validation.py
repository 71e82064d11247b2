"""Candidates are trained in batches, and scored and tabulated as by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn import model_selection
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring
from small_batches import X, Y
from small_searches import quick_model

from skhybrid.batching import batch_workers
from skhybrid.batching.cross_validation import CrossValidation, cross_validate

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)

CANDIDATES = [{"rho": 0.02}, {"rho": 0.1}, {"l2": 0.1}]
SPLITS = [*model_selection.KFold(3).split(X)]


def validate(candidates=CANDIDATES, *, error_score: Any = "raise", **options) -> CrossValidation:
    options = {"n_jobs": None, "max_members": None, **options}
    return cross_validate(
        quick_model(), candidates, SPLITS, X, Y, {}, error_score=error_score, **options
    )


def results_of(validation: CrossValidation, **options) -> tuple[Mapping[str, Any], Any]:
    options = {"return_train_score": True, "error_score": "raise", **options}
    scorer = check_scoring(quick_model())
    return validation.results(X, Y, scorers=scorer, fit_params={}, score_params={}, **options)


def test_scores_are_those_of_scikit_learn():
    validation = validate()
    assert validation.interrupt is None
    assert validation.n_folds == 3
    assert len(validation.trials) == 9
    results, first = results_of(validation)
    assert results["params"] == CANDIDATES
    assert results["split0_test_score"][0] == first
    for index, candidate in enumerate(CANDIDATES):
        model = quick_model(**candidate)
        expected = model_selection.cross_validate(model, X, Y, cv=SPLITS, return_train_score=True)
        for part in ("train", "test"):
            found = [results[f"split{fold}_{part}_score"][index] for fold in range(3)]
            assert found == pytest.approx(expected[f"{part}_score"], rel=1e-9)


def test_estimators_keep_their_own_fit():
    validation = validate()
    results_of(validation)
    for trial in validation.trials:
        assert "fit" not in vars(trial.estimator)
        train, test = trial.split[1]
        model = quick_model(**trial.parameters).fit(X.iloc[train], Y[train])
        np.testing.assert_allclose(
            trial.estimator.predict(X.iloc[test]), model.predict(X.iloc[test]), rtol=1e-9
        )
    again = clone(validation.trials[0].estimator).fit(X, Y)
    assert np.isfinite(again.score(X, Y))


def test_fit_times_are_shares_of_their_batches():
    validation = validate()
    results, _ = results_of(validation)
    seconds = np.array([trial.seconds for trial in validation.trials]).reshape(3, 3)
    assert (seconds > 0).all()
    assert results["mean_fit_time"] == pytest.approx(seconds.mean(axis=1))


def test_an_interrupt_ends_the_training_and_keeps_the_finished_fits(monkeypatch):
    train, done = batch_workers.train_batch, []

    def interrupted(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(args)
        return train(*args)

    monkeypatch.setattr(batch_workers, "train_batch", interrupted)
    validation = validate(max_members=3)
    assert isinstance(validation.interrupt, KeyboardInterrupt)
    finished = [trial.finished for trial in validation.trials]
    assert sum(finished) == 6
    results, _ = results_of(validation)
    scores = np.stack([results[f"split{fold}_test_score"] for fold in range(3)], axis=1)
    assert np.isfinite(scores).ravel().tolist() == finished


def test_a_failing_candidate_has_the_error_score():
    candidates = [{"rho": 0.02}, {"l2": -1.0}]
    with pytest.raises(ValueError, match="'l2'"):
        validate(candidates)
    validation = validate(candidates, error_score=-7.0)
    assert [trial.error is None for trial in validation.trials] == [True] * 3 + [False] * 3
    with pytest.warns(FitFailedWarning):
        results, _ = results_of(validation, error_score=-7.0)
    assert (results["mean_test_score"] == -7.0).tolist() == [False, True]
