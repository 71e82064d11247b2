"""Searches in which a fit fails, warns or cannot be vectorised, or that the user interrupts."""

from __future__ import annotations

import re
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.exceptions import FitFailedWarning
from small_models import drive
from small_searches import X, Y, dict_of_scores, quick_model, search_both_ways, split_scores

from skhybrid import HybridSearchCV
from skhybrid.batching import batch_workers
from skhybrid.exceptions import (
    NonFiniteLossWarning,
    PhysicsError,
    SearchInterruptedWarning,
    SerialMembersWarning,
    TrainingError,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)


def refusing(force, *, gain=1.0):
    raise RuntimeError("this law does not hold")


# Ten times as large, the rate of θ overflows, so that no epoch ends with finite parameters.
FAILURES = {
    "while it is prepared": ({"physics": [drive, refusing]}, Exception, [2]),
    "while it is trained": ({"learning_rate": [0.01, 1e308]}, TrainingError, [4]),
    "while it is checked": ({"l2": [0.0, -1.0]}, ValueError, [2]),
}


@pytest.mark.parametrize(("grid", "error", "sizes"), FAILURES.values(), ids=FAILURES)
@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.NonFiniteLossWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_candidate_that_fails_fails_alone(grid, error, sizes, batches):
    model = quick_model()
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4"):
        search = search_both_ways(model, grid, cv=2, fails=True)
    assert batches == sizes
    assert np.isnan(split_scores(search)).tolist() == [[False, True]] * 2
    assert (search.cv_results_["mean_fit_time"] > 0).all()
    with pytest.warns(FitFailedWarning):
        search = HybridSearchCV(model, grid, cv=2, error_score=-7.0).fit(X, Y)
    assert search.cv_results_["mean_test_score"][1] == -7.0
    assert search.best_index_ == 0
    with pytest.raises(error):
        HybridSearchCV(model, grid, cv=2, error_score="raise").fit(X, Y)


def test_where_all_fail_the_reason_is_given():
    with pytest.raises(ValueError, match="All the 2 fits failed") as caught:
        HybridSearchCV(quick_model(), {"physics": [refusing]}, cv=2).fit(X, Y)
    assert "this law does not hold" in str(caught.value)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
@pytest.mark.parametrize("scoring", [["r2", "neg_max_error"], dict_of_scores])
def test_several_scores_of_a_candidate_that_fails(scoring):
    search = HybridSearchCV(
        quick_model(), {"physics": [refusing, drive]}, cv=2, scoring=scoring, refit=False
    ).fit(X, Y)
    assert np.isnan(split_scores(search)).tolist() == [[True, False]] * 4


class Doubled(torch.autograd.Function):
    """An operation with a gradient, but without a forward derivative."""

    @staticmethod
    def forward(context, x):
        return 2.0 * x

    @staticmethod
    def backward(context, gradient):
        return 2.0 * gradient


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.SerialMembersWarning")
def test_physics_without_forward_derivatives_cannot_have_one_penalty_only():
    def physics(force, *, gain=1.0):
        return Doubled.apply(gain * force)

    model = quick_model(physics=physics, physics_init="given")
    search = search_both_ways(model, {"orthogonality": [0.0, 0.1]}, cv=2, fails=True)
    assert np.isnan(split_scores(search)).tolist() == [[False, True]] * 2


@pytest.mark.parametrize(("dtype", "rate"), [("float32", 1e30), ("float64", 1e200)])
def test_a_loss_that_becomes_infinite_stops_one_fit_only(dtype, rate, batches):
    model = quick_model(dtype=dtype, batch_size=10)
    with pytest.warns(NonFiniteLossWarning):
        search = search_both_ways(model, {"learning_rate": [0.01, rate, 0.02]}, rtol=1e-5)
    assert batches == [9]
    assert np.isfinite(split_scores(search)).all()


def branching(force, *, gain=1.0):
    """A law with a branch on its data, and one on its parameters."""
    return gain * force if float(force.sum()) > 0 and float(gain.detach()) < 100 else -gain * force


def test_physics_that_cannot_be_vectorised_is_reported_once(batches):
    model = quick_model(physics=branching, refine_rho=0.0, batch_size=16)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SerialMembersWarning)
        search = HybridSearchCV(model, {"rho": [0.02, 0.05]}, cv=3, max_members=2, refit=False)
        search.fit(X, Y)
    assert batches == [2] * 3
    assert [each.category for each in caught].count(SerialMembersWarning) == 1
    batches.clear()
    with pytest.warns(SerialMembersWarning):
        search_both_ways(model, {"rho": [0.02, 0.05]})
    assert batches == [6]


def noisy(force, *, gain=1.0):
    warnings.warn("beyond the range", RuntimeWarning, stacklevel=2)
    return gain * force


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_warnings_reach_the_user_and_the_filters_stay(backend):
    model = quick_model(physics=noisy)
    filters, show = list(warnings.filters), warnings.showwarning
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        within = list(warnings.filters)
        with joblib.parallel_config(backend, n_jobs=1 if backend == "loky" else 4):
            HybridSearchCV(model, {"rho": [0.02, 0.05]}, cv=2, max_members=1).fit(X, Y)
        assert warnings.filters == within
        before = len(caught)
        warnings.warn("still heard", RuntimeWarning, stacklevel=2)
        assert len(caught) == before + 1
    assert any("beyond the range" in str(each.message) for each in caught[:-1])
    assert warnings.filters == filters
    assert warnings.showwarning is show


def interrupt_after(monkeypatch, n_batches: int) -> None:
    """Raise a keyboard interrupt when this number of batches has been trained."""
    train, done = batch_workers.train_batch, []

    def interrupted(*args):
        if len(done) == n_batches:
            raise KeyboardInterrupt
        done.append(args)
        return train(*args)

    monkeypatch.setattr(batch_workers, "train_batch", interrupted)


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [(None, True), (["r2", "neg_max_error"], "r2"), (dict_of_scores, "gain")],
)
def test_an_interrupted_search_keeps_the_finished_fits(monkeypatch, scoring, refit):
    model = quick_model()
    options = {"cv": 2, "max_members": 2, "scoring": scoring, "refit": refit}
    grid = {"l2": [0.0, 0.1, 0.2], "nn": [(6,), None]}
    search = HybridSearchCV(model, grid, **options).fit(X, Y)
    whole = search.cv_results_
    interrupt_after(monkeypatch, 2)
    with (
        pytest.warns(SearchInterruptedWarning, match="10 of 12 fits are finished") as caught,
        pytest.raises(KeyboardInterrupt),
    ):
        search.fit(X, Y)
    text = str(caught[0].message)
    assert "candidates 4, which lack 2 fits" in text
    assert caught[0].filename == __file__
    assert list(search.cv_results_) == list(whole)
    for name in whole:
        if re.match(r"split\d+_", name):
            scores = search.cv_results_[name]
            assert np.isnan(scores).tolist() == [False] * 4 + [True] + [False]
            np.testing.assert_allclose(np.delete(scores, 4), np.delete(whole[name], 4), rtol=1e-9)
    # The attributes of the earlier search are gone.
    assert not [name for name in vars(search) if name.startswith("best_")]
    with pytest.raises(AttributeError):
        search.predict(X)


def test_an_interrupt_before_anything_is_finished(monkeypatch):
    interrupt_after(monkeypatch, 0)
    search = HybridSearchCV(quick_model(), {"rho": [0.02, 0.05]}, cv=2)
    with (
        pytest.warns(SearchInterruptedWarning, match="0 of 4 fits"),
        pytest.raises(KeyboardInterrupt),
    ):
        search.fit(X, Y)
    assert np.isnan(split_scores(search)).all()
    assert len(search.cv_results_["params"]) == 2


def test_an_interrupt_while_fits_are_prepared():
    n_calls = 0

    def interrupted(force, *, gain=1.0):
        nonlocal n_calls
        n_calls += 1
        if n_calls > 3:
            raise KeyboardInterrupt
        return gain * force

    grid = {"nn": [None, (6,)], "physics": [drive, interrupted]}
    search = HybridSearchCV(quick_model(), grid, cv=2, error_score="raise")
    with (
        pytest.warns(SearchInterruptedWarning, match="2 of 8 fits"),
        pytest.raises(KeyboardInterrupt),
    ):
        search.fit(X, Y)
    assert np.isnan(split_scores(search)).tolist() == [[False, True, True, True]] * 2


@pytest.mark.parametrize("cv", [2, [(np.arange(20), np.arange(20, 40))]])
def test_a_failed_search_leaves_no_attributes(cv):
    search = HybridSearchCV(quick_model(), {"physics": [refusing]}, cv=cv)
    with pytest.raises(ValueError, match="fits failed"):
        search.fit(X, Y)
    assert not [name for name in vars(search) if name.endswith("_")]


def test_a_search_whose_last_fit_fails_keeps_its_scores():
    def drive_few(force, *, gain=1.0, offset=0.1):
        if len(force) == len(Y):
            raise RuntimeError("too many rows")
        return gain * force + offset

    model = quick_model(physics=drive_few, physics_init="given", batch_size=None)
    search = HybridSearchCV(model, {"rho": [0.01]}, cv=2)
    with pytest.raises(PhysicsError, match="too many rows"):
        search.fit(X, Y)
    assert search.n_splits_ == 2
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert not hasattr(search, "best_estimator_")
