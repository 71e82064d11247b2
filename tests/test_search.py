"""HybridSearchCV against scikit-learn's GridSearchCV, which trains one fit after the other."""

from __future__ import annotations

import itertools
import re
import time
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import RANSACRegressor, Ridge
from sklearn.metrics import get_scorer, mean_squared_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from small_models import (
    Recorder,
    drive,
    drive_squared,
    drive_two,
    make_model,
    make_table,
    twice_corrected,
)
from small_trajectories import DT, make_oscillations, spring

from skhybrid import (
    ODE,
    HybridRegressor,
    HybridSearchCV,
    LatentODE,
    Param,
    Physics,
)
from skhybrid.batching import batch_training
from skhybrid.datasets import make_pendulum_images
from skhybrid.exceptions import (
    NonFiniteLossWarning,
    SearchInterruptedWarning,
    SerialMembersWarning,
    TrainingError,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)

# Three folds leave 32 rows to train on, enough for the second phase.
X, Y = make_table(48)
# Here they leave 26 or 27, which make as many minibatches of the same size.
UNEVEN_X, UNEVEN_Y = make_table(40)
NEW_X, NEW_Y = make_table(15, seed=1)
BOTH_PHASES = {"refine_rho": 0.0, "batch_size": 16, "max_epochs": 4}
UNEVEN_BATCHES = {**BOTH_PHASES, "batch_size": 7, "max_epochs": 3}


def quick_model(**settings) -> HybridRegressor:
    """Return an estimator that is fitted in some hundredths of a second."""
    return make_model(**{"physics_init": "given", "max_epochs": 3, **settings})


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """Numbers of fits that were trained side by side."""
    sizes: list[int] = []
    together = batch_training.train_together

    def noted(fits, **options):
        sizes.append(len(fits))
        return together(fits, **options)

    monkeypatch.setattr(batch_training, "estimate_together", noted)
    return sizes


def split_scores(search) -> np.ndarray:
    """Return all scores of single folds, of shape (n_columns, n_candidates)."""
    names = [name for name in search.cv_results_ if re.match(r"split\d+_", name)]
    return np.stack([search.cv_results_[name] for name in names])


def search_both_ways(model, grid, X=X, y=Y, *, rtol=1e-9, params=None, fails=False, **options):
    """Return our search, whose results must be those of GridSearchCV.

    Scores are finite, unless some fits are to fail; then they fail in both.
    """
    options = {"cv": 3, "refit": False, **options}
    theirs = GridSearchCV(model, grid, **options).fit(X, y, **(params or {}))
    ours = HybridSearchCV(model, grid, **options).fit(X, y, **(params or {}))
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    assert repr(ours.cv_results_["params"]) == repr(theirs.cv_results_["params"])
    for name in theirs.cv_results_:
        if name.startswith("param_"):
            assert repr(ours.cv_results_[name]) == repr(theirs.cv_results_[name])
    assert np.isfinite(split_scores(theirs)).all() != fails
    np.testing.assert_allclose(split_scores(ours), split_scores(theirs), rtol=rtol, atol=rtol)
    assert ours.n_splits_ == theirs.n_splits_
    assert ours.multimetric_ == theirs.multimetric_
    return ours


# The scores are those of fits that are trained one after the other.

CASES = {
    "radii": (
        BOTH_PHASES,
        [{"rho": [0.05, 0.1], "refine_rho": [0.0, 0.02]}, {"rho": [0.0]}, {"refine_rho": [None]}],
        [3, 3, 6, 6],
    ),
    "penalties and rates": (
        BOTH_PHASES,
        [
            {"l2": [0.1]},
            {"learning_rate": [0.03], "physics_learning_rate": [0.0]},
            {"functional_norm": [0.01]},
            {"orthogonality": [0.01]},
        ],
        [3, 3, 6],
    ),
    "seeds, starts and restarts": (
        BOTH_PHASES,
        [{"random_state": [0, 1, 7]}, {"physics_init": ["least_squares"], "n_restarts": [1, 2]}],
        [3, 12],
    ),
    "features of the network": (
        BOTH_PHASES,
        {"nn_features": [None, ["angle"], ["angle", "force"]]},
        [9],
    ),
    "penalties of networks with different features": (
        {},
        {"nn_features": [["force"], ["angle"]], "perturbation": ["elementwise"], "l2": [0.1]},
        [4],
    ),
    "networks": ({}, {"nn": [(6,), (4, 3), 5, None]}, [2, 2, 2]),
    "structures": (
        {},
        {"structure": ["additive", "multiplicative", "serial", twice_corrected]},
        [2, 2, 2, 2],
    ),
    "kinds of steps": (
        {},
        [
            {"optimizer": ["adam", "sam"], "rho": [0.01, 0.05]},
            {"perturbation": ["global"], "perturb": ["all"]},
        ],
        [2, 4, 4],
    ),
    "epochs and minibatches": ({}, {"max_epochs": [3, 5], "batch_size": [None, 8]}, [2, 2, 2, 2]),
    "physics": (
        {},
        {"physics": [drive, Physics(drive, gain=Param(1.0, bounds=(0.0, 1.5))), None]},
        [2, 2, 2],
    ),
}


@pytest.mark.parametrize(("settings", "grid", "sizes"), CASES.values(), ids=CASES)
def test_scores_are_those_of_grid_search(settings, grid, sizes, batches):
    # The second phase takes more rows than two folds leave.
    search_both_ways(quick_model(**settings), grid, cv=3 if settings else 2)
    assert sorted(batches) == sizes


def test_in_single_precision_scores_agree_to_its_accuracy(batches):
    grid = {"nn_features": [None, ["angle"]]}
    model = quick_model(**UNEVEN_BATCHES, dtype="float32")
    search_both_ways(model, grid, UNEVEN_X, UNEVEN_Y, rtol=1e-4)
    assert batches == [6]


def test_folds_of_unequal_size_are_trained_side_by_side(batches):
    search = search_both_ways(
        quick_model(**UNEVEN_BATCHES), {"rho": [0.02, 0.05]}, UNEVEN_X, UNEVEN_Y
    )
    assert batches == [6]
    # They are different folds.
    assert len(np.unique(split_scores(search).round(6))) == 6


@pytest.mark.parametrize("held_out", [0.1, 0.3], ids=["23 or 24 train", "8 or 9 validate"])
def test_early_stopping_with_folds_of_unequal_size(held_out, batches):
    stopping = {"early_stopping": True, "validation_fraction": held_out, "n_iter_no_change": 2}
    model = quick_model(refine_rho=0.0, batch_size=5, max_epochs=6, **stopping, tol=0.01)
    grid = [{"learning_rate": [0.05]}, {"n_restarts": [2]}]
    search_both_ways(model, grid, UNEVEN_X, UNEVEN_Y)
    assert batches == [3, 3]


def test_early_stopping_beside_fits_without(batches):
    model = quick_model(n_iter_no_change=2, tol=0.01)
    grid = {"early_stopping": [False, True], "validation_fraction": [0.2, 0.4]}
    search_both_ways(model, grid)
    assert sorted(batches) == [3, 3, 6]


TARGETS = {
    "several": np.column_stack([UNEVEN_Y, UNEVEN_Y - 2.0 * UNEVEN_X["angle"]]),
    "missing": np.where(np.arange(40) % 7 == 3, np.nan, UNEVEN_Y),
    "several, some missing": np.where(
        np.arange(80).reshape(40, 2) % 5 == 3,
        np.nan,
        np.column_stack([UNEVEN_Y, -UNEVEN_Y]),
    ),
}


def negative_error(model, X, y):
    """Score what is not missing."""
    return -np.nanmean((model.predict(X) - y) ** 2)


@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_targets_of_all_kinds(y, batches):
    physics = drive_two if y.ndim == 2 else drive
    model = quick_model(physics=physics, missing_targets="mask", **UNEVEN_BATCHES)
    grid = {"rho": [0.02, 0.05]}
    search_both_ways(model, grid, UNEVEN_X, y, scoring=negative_error)
    assert sum(batches) == 6


WEIGHT = np.linspace(0.2, 3.0, 40) ** 2 * (np.arange(40) % 9 != 4)


@pytest.mark.parametrize("weight", [WEIGHT, WEIGHT > 0], ids=["weights", "only rows left out"])
def test_sample_weights_with_zeros(weight, batches):
    model = quick_model(**UNEVEN_BATCHES)
    grid = {"rho": [0.02, 0.05]}
    params = {"sample_weight": weight.astype(float)}
    search = search_both_ways(model, grid, UNEVEN_X, UNEVEN_Y, params=params)
    assert sum(batches) == 6
    unweighted = HybridSearchCV(model, grid, cv=3).fit(UNEVEN_X, UNEVEN_Y)
    assert not np.allclose(split_scores(search), split_scores(unweighted), rtol=1e-6)


# Differential equations.

FIRST, COURSES = make_oscillations(10, 6)


def make_course_model(structure=None, **settings) -> HybridRegressor:
    ode = ODE(**{"dt": DT, "window": 2, "method": "midpoint", **(structure or {})})
    return quick_model(**{"physics": spring, "structure": ode, "batch_size": 10, **settings})


COURSE_CASES = {
    "radii": ({}, {"rho": [0.0, 0.05], "l2": [0.0, 0.1]}, [4, 4]),
    # Windows of one step are enough for the second phase.
    "windows": (
        {"refine_rho": 0.0, "max_epochs": 2},
        {"structure__window": [1, 3, [2, 3]]},
        [2, 2, 2],
    ),
    "learned first states": (
        {"structure": {"initial_state": "learned"}},
        {"rho": [0.02, 0.05], "structure__continuity": [0.1, 1.0]},
        [4, 4],
    ),
    "what the network sees": ({}, {"nn_features": [None, [0], [1, "time"]]}, [6]),
    "solvers that branch on data": (
        {"max_epochs": 1},
        {"structure__method": ["bosh3"]},
        [2],
    ),
    "early stopping": (
        {"early_stopping": True, "validation_fraction": 0.3},
        {"learning_rate": [1e-3, 0.02]},
        [4],
    ),
}


@pytest.mark.parametrize(("settings", "grid", "sizes"), COURSE_CASES.values(), ids=COURSE_CASES)
def test_trajectories(settings, grid, sizes, batches):
    search_both_ways(make_course_model(**settings), grid, FIRST, COURSES, cv=2)
    assert sorted(batches) == sizes


@pytest.mark.parametrize("initial_state", ["given", "learned"])
def test_trajectories_of_different_lengths(initial_state, batches):
    first = list(FIRST)
    courses = [trajectory_info[: 4 + number % 3] for number, trajectory_info in enumerate(COURSES)]
    model = make_course_model({"initial_state": initial_state}, batch_size=5)
    search_both_ways(model, {"rho": [0.02, 0.05]}, first, courses, cv=KFold(2))
    assert sum(batches) == 4


def test_images(batches):
    film = make_pendulum_images(6, n_context=2, n_times=5, size=6, random_state=0)
    structure = LatentODE(4, 4, n_states=2, dt=film.dt, window=3)
    model = quick_model(physics=film.physics, structure=structure, max_epochs=1, nn=(3,))
    search_both_ways(model, {"rho": [0.02, 0.05]}, film.data, film.target, cv=2)
    assert batches == [4]


# All that is asked of a search.


def test_columns_of_the_results_have_the_types_of_grid_search():
    grid = [{"rho": [0, 0.05]}, {"nn": [(3, 3), (4, 4)], "perturb": ["all"]}]
    model = quick_model(max_epochs=1)
    theirs = GridSearchCV(model, grid, cv=2, return_train_score=True).fit(X, Y).cv_results_
    ours = HybridSearchCV(model, grid, cv=2, return_train_score=True).fit(X, Y).cv_results_
    for name, column in theirs.items():
        assert type(ours[name]) is type(column)
        assert getattr(ours[name], "dtype", None) == getattr(column, "dtype", None)
        assert len(ours[name]) == len(column) == 4
    np.testing.assert_array_equal(ours["rank_test_score"], theirs["rank_test_score"])
    assert (ours["mean_fit_time"] > 0).all()
    assert (ours["mean_score_time"] > 0).all()


def test_times_of_the_fits_are_parts_of_the_whole():
    search = HybridSearchCV(quick_model(), {"rho": [0.0, 0.02, 0.05], "nn": [(6,), None]}, cv=2)
    began = time.perf_counter()
    search.set_params(refit=False).fit(X, Y)
    elapsed = time.perf_counter() - began
    assert (search.cv_results_["mean_fit_time"] > 0).all()
    assert 0.2 * elapsed < 2 * search.cv_results_["mean_fit_time"].sum() < elapsed


def test_groups_stay_together(batches):
    model = quick_model()
    groups = np.arange(48) % 5 % 4
    grid = {"rho": [0.02, 0.05]}
    search_both_ways(model, grid, cv=GroupKFold(4), params={"groups": groups})
    assert sum(batches) == 8


def test_folds_that_are_drawn_are_the_same_for_all_candidates():
    search = HybridSearchCV(
        quick_model(), {"rho": [0.05, 0.05]}, cv=ShuffleSplit(2), refit=False
    ).fit(X, Y)
    first, second = split_scores(search).T
    np.testing.assert_allclose(first, second, rtol=1e-12)


def dict_of_scores(model, X, y):
    error = mean_squared_error(y, model.predict(X))
    return {"error": -error, "gain": model.physics_params_["gain"]}


SCORINGS = {
    "a scorer": (get_scorer("neg_max_error"), True),
    "a list": (["r2", "neg_mean_absolute_error"], "r2"),
    "a dict": ({"a": "r2", "theta": lambda model, X, y: model.physics_params_["gain"]}, "theta"),
    "a callable that returns a dict": (dict_of_scores, "gain"),
    "several, with nothing refitted": (["r2", "neg_max_error"], False),
}


@pytest.mark.parametrize(("scoring", "refit"), SCORINGS.values(), ids=SCORINGS)
def test_scores_of_all_kinds(scoring, refit):
    model = quick_model()
    options = {"scoring": scoring, "refit": refit, "return_train_score": True, "cv": 2}
    grid = {"rho": [0.0, 0.05], "l2": [0.0, 0.1]}
    ours = search_both_ways(model, grid, **options)
    assert len(split_scores(ours)) == 2 * 2 * (1 if isinstance(refit, bool) and refit else 2)
    theirs = GridSearchCV(model, grid, **options).fit(X, Y)
    fitted = ("best_estimator_", "best_score_", "best_params_", "best_index_", "refit_time_")
    for name in fitted:
        assert hasattr(ours, name) == hasattr(theirs, name) == (refit is not False)
    if refit is not False:
        assert ours.best_index_ == theirs.best_index_
        assert ours.best_params_ == theirs.best_params_
        assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-9)
        assert ours.score(NEW_X, NEW_Y) == pytest.approx(theirs.score(NEW_X, NEW_Y), rel=1e-9)
        assert ours.refit_time_ > 0
    assert type(ours.scorer_) is type(theirs.scorer_)


def test_the_best_candidate_is_fitted_on_all_rows():
    model = quick_model(**BOTH_PHASES)
    search = HybridSearchCV(model, {"rho": [0.02, 0.05]}, cv=3).fit(X, Y)
    alone = clone(model).set_params(**search.best_params_).fit(X, Y)
    np.testing.assert_allclose(search.predict(NEW_X), alone.predict(NEW_X), rtol=1e-9)
    assert search.score(NEW_X, NEW_Y) == pytest.approx(alone.score(NEW_X, NEW_Y))
    assert search.best_estimator_.physics_params_ == pytest.approx(alone.physics_params_)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert list(search.feature_names_in_) == ["force", "angle"]
    assert search.n_features_in_ == 2
    check_is_fitted(search)
    # The estimator that was given is as it was.
    assert not hasattr(model, "physics_params_")
    with pytest.raises(NotFittedError):
        check_is_fitted(search.estimator)


def test_without_refitting_there_is_a_best_candidate_but_no_fit():
    search = HybridSearchCV(quick_model(), {"rho": [0.02, 0.05]}, cv=2, refit=False)
    search.fit(X, Y)
    assert search.best_params_ in search.cv_results_["params"]
    assert not hasattr(search, "best_estimator_")
    with pytest.raises(AttributeError):
        search.predict(X)


def test_a_rule_chooses_the_candidate():
    def worst(results):
        return int(results["rank_test_score"].argmax())

    grid = {"rho": [0.02, 0.3], "nn": [(6,), (2,)]}
    search = HybridSearchCV(quick_model(), grid, cv=2, refit=worst).fit(X, Y)
    assert search.best_index_ == search.cv_results_["mean_test_score"].argmin()
    assert search.best_estimator_.rho == search.best_params_["rho"]
    assert not hasattr(search, "best_score_")


def test_members_at_once_do_not_matter(batches):
    scores = []
    for max_members in (None, 1, 3, 8):
        search = HybridSearchCV(
            quick_model(**BOTH_PHASES), {"rho": [0.02, 0.05]}, cv=3, max_members=max_members
        ).set_params(refit=False)
        scores.append(split_scores(search.fit(X, Y)))
        np.testing.assert_allclose(scores[-1], scores[0], rtol=1e-9)
    assert batches == [6] + [1] * 6 + [3] * 2 + [6]


def test_processes_do_not_matter():
    model = quick_model(**{**BOTH_PHASES, "max_epochs": 3})
    grid = [{"rho": [0.02, 0.05]}, {"nn": [None]}]
    one, two = (
        HybridSearchCV(model, grid, cv=3, n_jobs=n_jobs, refit=False).fit(X, Y) for n_jobs in (1, 2)
    )
    np.testing.assert_allclose(split_scores(two), split_scores(one), rtol=1e-9)
    assert (two.cv_results_["mean_fit_time"] > 0).all()


def test_seeds():
    grid = {"rho": [0.02, 0.05]}

    def scores(random_state, model):
        search = HybridSearchCV(model, grid, cv=2, random_state=random_state).fit(X, Y)
        return [*split_scores(search).ravel(), *search.predict(NEW_X)]

    unseeded = quick_model(random_state=None)
    first, again, other = (scores(seed, unseeded) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert np.isfinite(scores(None, unseeded)).all()
    assert unseeded.random_state is None
    # An estimator with a seed keeps it, also in a pipeline; one without gets one.
    seeded = quick_model(random_state=5)
    assert scores(3, seeded) == scores(None, seeded)
    pipeline = make_pipeline(StandardScaler(), quick_model(random_state=None))
    grid = {"hybridregressor__rho": [0.02, 0.05]}
    assert scores(3, pipeline) == scores(3, pipeline) != scores(4, pipeline)
    # The state of a generator is copied for every fit, as GridSearchCV does.
    search_both_ways(quick_model(random_state=np.random.RandomState(1)), grid={})


def test_it_is_an_estimator_of_scikit_learn():
    model = quick_model()
    search = HybridSearchCV(model, {"rho": [0.0]}, cv=2, max_members=7, random_state=1)
    assert "pre_dispatch" not in search.get_params()
    copied = clone(search)
    assert copied.get_params(deep=False).keys() == search.get_params(deep=False).keys()
    assert copied.max_members == 7
    assert copied.estimator is not model
    assert copied.set_params(estimator__rho=0.3, cv=4).estimator.rho == 0.3
    assert model.rho != 0.3
    assert re.match(r"HybridSearchCV\(cv=2,\s+estimator=HybridRegressor\(", repr(search))
    assert not hasattr(search, "classes_")
    for wrong in ({"max_members": 0}, {"n_jobs": "two"}, {"param_grid": 3}, {"refit": 0.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            clone(search).set_params(**wrong).fit(X, Y)


def test_it_says_what_it_does(capsys):
    HybridSearchCV(quick_model(max_epochs=1), {"rho": [0.0, 0.05]}, cv=3, verbose=1).fit(X, Y)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Fitting 3 folds for each of 2 candidates, totalling 6 fits"
    assert re.fullmatch(r"Trained in \d+\.\d s", second)


@pytest.mark.parametrize(
    ("grid", "options"),
    [
        ({"rhoo": [0.1]}, {}),
        ({"rho": 0.1}, {}),
        ({"rho": []}, {}),
        ({"structure__window": [2]}, {}),
        ({"rho": [0.1]}, {"scoring": ["r2", "neg_max_error"], "refit": True}),
        ({"rho": [0.1]}, {"error_score": "none"}),
        ({"rho": [0.1]}, {"refit": lambda results: 0.5}),
    ],
)
def test_mistakes_are_answered_as_by_grid_search(grid, options):
    model = quick_model(max_epochs=1)
    with pytest.raises(Exception) as theirs:
        GridSearchCV(model, grid, cv=2, **options).fit(X, Y)
    with pytest.raises(type(theirs.value)) as ours:
        HybridSearchCV(model, grid, cv=2, **options).fit(X, Y)
    assert str(ours.value).replace("HybridSearchCV", "GridSearchCV") == str(theirs.value)


def test_nothing_to_fit_is_an_error():
    with pytest.raises(ValueError, match="0 folds"):
        HybridSearchCV(quick_model(), {"rho": [0.0]}, cv=[]).fit(X, Y)


# Fits that fail.


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
    """An operation of which torch knows the gradient only."""

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


# Other estimators around the model, and in its place.

AROUND = {
    "scaled features": (make_pipeline(StandardScaler(), quick_model()), "hybridregressor__"),
    "columns bound by name": (
        make_pipeline(StandardScaler().set_output(transform="pandas"), quick_model()),
        "hybridregressor__",
    ),
    "columns in another order": (
        make_pipeline(
            ColumnTransformer(
                [("scaled", StandardScaler(), ["angle"])],
                remainder="passthrough",
                verbose_feature_names_out=False,
            ).set_output(transform="pandas"),
            quick_model(nn_features=["angle"], physics_init="least_squares"),
        ),
        "hybridregressor__",
    ),
    "transformed target": (
        TransformedTargetRegressor(quick_model(), func=np.log, inverse_func=np.exp),
        "regressor__",
    ),
    "two models": (
        VotingRegressor([("one", quick_model()), ("other", quick_model(nn=(3,), random_state=2))]),
        "one__",
    ),
}


@pytest.mark.parametrize(("model", "prefix"), AROUND.values(), ids=AROUND)
def test_models_within_others(model, prefix, batches):
    grid = {prefix + "rho": [0.02, 0.05], prefix + "l2": [0.0, 0.1]}
    search = search_both_ways(model, grid, cv=2, refit=True)
    assert set(batches) == {8}
    best = clone(model).set_params(**search.best_params_).fit(X, Y)
    np.testing.assert_allclose(search.predict(NEW_X), best.predict(NEW_X), rtol=1e-9)


def test_names_of_columns_reach_the_physics_through_a_pipeline():
    model = AROUND["columns in another order"][0]
    search = HybridSearchCV(model, {"hybridregressor__rho": [0.02]}, cv=2).fit(X, Y)
    fitted = search.best_estimator_[-1]
    assert list(fitted.feature_names_in_) == ["angle", "force"]
    # The slope over the force, which is not scaled, is two; that over the angle would be nothing.
    assert fitted.physics_params_["gain"] == pytest.approx(2.0, abs=0.3)


def test_other_parts_of_a_pipeline_may_be_searched_too(batches):
    model = Pipeline([("scale", StandardScaler()), ("model", quick_model())])
    grid = [
        {"scale__with_mean": [True, False], "model__rho": [0.02, 0.05]},
        {"model": [Ridge(), Ridge(10.0)]},
        {"model": [quick_model(nn=(3,))], "model__rho": [0.0, 0.1]},
        {"scale": ["passthrough"], "model__rho": [0.02]},
    ]
    search_both_ways(model, grid, cv=2)
    # Ridge is none of ours; a radius of zero is another kind of step.
    assert sorted(batches) == [2, 2, 2, 4, 4]


class Rotation(TransformerMixin, BaseEstimator):
    """Turns two features by an angle that is another one whenever it is fitted."""

    angles = itertools.count(1)

    def fit(self, X, y=None):
        self.angle_ = next(Rotation.angles)
        return self

    def transform(self, X):
        sine, cosine = np.sin(self.angle_), np.cos(self.angle_)
        return np.asarray(X) @ np.array([[cosine, -sine], [sine, cosine]])


def test_what_is_random_before_the_model_is_drawn_for_every_candidate(monkeypatch, batches):
    model = make_pipeline(Rotation(), quick_model(learning_rate=0.05))
    # The same candidate twice: the rows that it sees are others.
    grid = {"hybridregressor__rho": [0.02, 0.02]}
    scores = []
    for kind in (GridSearchCV, HybridSearchCV):
        monkeypatch.setattr(Rotation, "angles", itertools.count(1))
        scores.append(split_scores(kind(model, grid, cv=2, refit=False).fit(X, Y)))
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-9)
    assert len(np.unique(scores[0])) == 4
    assert batches == [4]


class Reader(RegressorMixin, BaseEstimator):
    """An estimator that reads what has been fitted within it."""

    def __init__(self, inner, way="attribute"):
        self.inner = inner
        self.way = way

    def fit(self, X, y):
        self.inner_ = clone(self.inner).fit(X, y)
        if self.way == "attribute":
            self.gain_ = self.inner_.physics_params_["gain"]
        elif self.way == "prediction":
            self.gain_ = float(np.ptp(self.inner_.predict(X)))
        else:
            try:
                self.gain_ = self.inner_.score(X, y)
            except NotFittedError:
                self.gain_ = 100.0
        return self

    def predict(self, X):
        return self.inner_.predict(X) * self.gain_


class Chooser(RegressorMixin, BaseEstimator):
    """An estimator that sets a parameter of the model within it."""

    def __init__(self, inner, name, small, large):
        self.inner = inner
        self.name = name
        self.small = small
        self.large = large

    def fit(self, X, y):
        value = self.small if self.inner.rho < 0.03 else self.large
        self.inner_ = clone(self.inner).set_params(**{self.name: value}).fit(X, y)
        return self

    def predict(self, X):
        return self.inner_.predict(X)


@pytest.mark.parametrize(
    ("name", "small", "large"),
    [
        ("nn", (3,), (5,)),
        ("nn", torch.nn.Linear(2, 1), torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Tanh())),
        ("structure", "multiplicative", "serial"),
        ("structure", twice_corrected, "serial"),
        ("random_state", 1, 2),
        ("random_state", np.random.RandomState(1), np.random.RandomState(2)),
        ("nn_features", ["force"], np.array(["angle"])),
        ("physics", drive, drive_squared),
        ("physics", Physics(drive), Physics(drive_squared)),
        ("early_stopping", False, True),
    ],
)
def test_what_is_around_a_model_may_set_its_parameters(name, small, large, batches):
    model = Chooser(quick_model(learning_rate=0.05), name, small, large)
    search_both_ways(model, {"inner__rho": [0.02, 0.025, 0.05]}, cv=2)
    # What is set alike is trained together, and so are other seeds and features.
    assert max(batches) >= 4


@pytest.mark.parametrize("way", ["attribute", "prediction", "score, if there is one"])
def test_what_uses_a_model_while_it_is_fitted_itself_gets_one(way, batches):
    search_both_ways(Reader(quick_model(), way), {"inner__rho": [0.02, 0.05]}, cv=2)
    assert batches == []


def test_searches_within_a_search():
    inner = {"rho": [0.5, 0.0]}
    grid = {"estimator__learning_rate": [1e-3, 0.05]}
    for kind in (GridSearchCV, HybridSearchCV):
        search_both_ways(kind(quick_model(), inner, cv=2), grid, cv=2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_robust_regression_around_the_model():
    model = RANSACRegressor(quick_model(), min_samples=15, max_trials=2, random_state=0)
    search_both_ways(model, {"estimator__rho": [0.02, 0.05]}, cv=2)


class Waves(torch.nn.Module):
    """Waves of random frequencies, which are not trained."""

    def __init__(self, frozen):
        super().__init__()
        self.readout = torch.nn.Linear(4, 1)
        self.reset_parameters()
        if frozen == "parameter":
            self.frequencies = torch.nn.Parameter(self.frequencies, requires_grad=False)

    def reset_parameters(self):
        frequencies = torch.randn(2, 4)
        if isinstance(getattr(self, "frequencies", None), torch.nn.Parameter):
            self.frequencies.data = frequencies
        else:
            self.register_buffer("frequencies", frequencies)

    def forward(self, x):
        return self.readout(torch.sin(x @ self.frequencies))


@pytest.mark.parametrize("frozen", ["buffer", "parameter"])
def test_networks_with_parts_that_are_drawn_but_not_trained(frozen):
    model = quick_model(nn=Waves(frozen), learning_rate=0.05)
    search_both_ways(model, {"random_state": [0, 1], "l2": [0.0, 0.1]}, cv=2)


def test_networks_that_see_a_feature_twice(batches):
    chosen = [["force", "force"], ["angle", "angle"], ["angle", "force"], None]
    search_both_ways(quick_model(), {"nn_features": chosen}, cv=2)
    assert sorted(batches) == [2, 2, 4]
    batches.clear()
    module = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.SiLU(), torch.nn.Linear(4, 1))
    search_both_ways(quick_model(nn=module), {"nn_features": [["force"], ["angle"]]}, cv=2)
    assert batches == [2, 2]


def test_weights_are_routed():
    weight = np.linspace(0.2, 3.0, 48) ** 2
    with config_context(enable_metadata_routing=True):
        model = quick_model().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        grid = {"rho": [0.02, 0.05]}
        weighted = search_both_ways(model, grid, params={"sample_weight": weight}, refit=True)
        refusing = quick_model().set_fit_request(sample_weight=False)
        refusing.set_score_request(sample_weight=False)
        with pytest.raises(TypeError, match="sample_weight"):
            HybridSearchCV(refusing, grid).fit(X, Y, sample_weight=weight)
    best = quick_model(**weighted.best_params_).fit(X, Y, weight)
    np.testing.assert_allclose(weighted.predict(NEW_X), best.predict(NEW_X), rtol=1e-9)


# Callbacks.


def test_a_model_with_a_callback_is_trained_alone_and_the_callback_is_called(batches):
    def recorded(kind):
        recorder = Recorder()
        model = quick_model().set_callbacks(recorder)
        kind(model, {"rho": [0.0, 0.05]}, cv=2).fit(X, Y)
        begun = [context.task_name for context in recorder.begun]
        return begun, recorder.n_set_up, recorder.n_torn_down, len(recorder.ended)

    ours = recorded(HybridSearchCV)
    assert ours == recorded(GridSearchCV)
    assert ours[1] == 5
    assert batches == []


def test_a_callback_of_the_search_sees_its_tasks():
    def recorded(kind):
        recorder = Recorder()
        search = kind(quick_model(), {"rho": [0.0, 0.05]}, cv=2)
        search.set_callbacks(recorder).fit(X, Y)
        names = [context.task_name for context in recorder.begun]
        return names, recorder.n_set_up, recorder.n_torn_down, len(recorder.ended)

    assert recorded(HybridSearchCV) == recorded(GridSearchCV)


@pytest.mark.parametrize("settings", [{"verbose": 1}, {"warm_start": True}])
def test_models_that_talk_are_trained_alone_and_those_to_go_on_from_are_new(
    settings, batches, capsys
):
    search_both_ways(quick_model(**settings), {"rho": [0.02, 0.05]}, cv=2)
    assert batches == ([] if "verbose" in settings else [4])
    assert ("estimate" in capsys.readouterr().out) == ("verbose" in settings)


# Models that cannot be vectorised.


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
def test_warnings_come_through_and_what_is_done_with_them_stays(backend):
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


# Interrupts.


def interrupt_after(monkeypatch, n_batches: int) -> None:
    """Let somebody press the keys when so many batches have been trained."""
    train, done = batch_training._train, []

    def interrupted(*args):
        if len(done) == n_batches:
            raise KeyboardInterrupt
        done.append(args)
        return train(*args)

    monkeypatch.setattr(batch_training, "_train", interrupted)


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [(None, True), (["r2", "neg_max_error"], "r2"), (dict_of_scores, "gain")],
)
def test_what_an_interrupted_search_has_finished_is_kept(monkeypatch, scoring, refit):
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
    # Nothing is left of the search before.
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


def test_inputs_of_all_kinds_are_indexed_as_by_grid_search():
    model = quick_model()
    lists = X.to_numpy().tolist(), Y.tolist()
    search_both_ways(model, {"rho": [0.02, 0.05]}, *lists, cv=2)
    shuffled = X.sample(frac=1.0, random_state=0)
    search_both_ways(model, {"rho": [0.02]}, shuffled, pd.Series(Y, name="y"), cv=2)
