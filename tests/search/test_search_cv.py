"""HybridSearchCV is used as GridSearchCV: results, refit, scoring, seeds, callbacks, mistakes."""

from __future__ import annotations

import re
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from small_models import Recorder, drive, drive_two
from small_searches import (
    BOTH_PHASES,
    NEW_X,
    NEW_Y,
    X,
    Y,
    dict_of_scores,
    quick_model,
    search_both_ways,
    split_scores,
)

from skhybrid import HybridSearchCV
from skhybrid.model_selection import one_standard_error, score_and_physics_params
from skhybrid.runtime import progress

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)


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


def test_fit_times_sum_up_to_the_training_time():
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


def test_random_folds_are_the_same_for_all_candidates():
    search = HybridSearchCV(
        quick_model(), {"rho": [0.05, 0.05]}, cv=ShuffleSplit(2), refit=False
    ).fit(X, Y)
    first, second = split_scores(search).T
    np.testing.assert_allclose(first, second, rtol=1e-12)


SCORINGS = {
    "a scorer": (get_scorer("neg_max_error"), True),
    "a list": (["r2", "neg_mean_absolute_error"], "r2"),
    "a dict": ({"a": "r2", "theta": lambda model, X, y: model.physics_params_["gain"]}, "theta"),
    "a callable that returns a dict": (dict_of_scores, "gain"),
    "several, with nothing refitted": (["r2", "neg_max_error"], False),
}


@pytest.mark.parametrize(("scoring", "refit"), SCORINGS.values(), ids=SCORINGS)
def test_every_type_of_scoring(scoring, refit):
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


def test_the_number_of_members_in_a_batch_does_not_change_the_scores(batches):
    scores = []
    for max_members in (None, 1, 3, 8):
        search = HybridSearchCV(
            quick_model(**BOTH_PHASES), {"rho": [0.02, 0.05]}, cv=3, max_members=max_members
        ).set_params(refit=False)
        scores.append(split_scores(search.fit(X, Y)))
        np.testing.assert_allclose(scores[-1], scores[0], rtol=1e-9)
    assert batches == [6] + [1] * 6 + [3] * 2 + [6]


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


def test_the_search_is_a_scikit_learn_estimator():
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


@pytest.mark.parametrize("verbose", ["search", "model"])
def test_verbose_says_what_runs_and_how_much_is_finished(verbose, capsys, monkeypatch, batches):
    for name in ("FIRST_SECONDS", "LINE_SECONDS", "LINE_PART", "COST_FACTOR"):
        monkeypatch.setattr(progress, name, 0.0)
    model = quick_model(max_epochs=2, verbose=verbose == "model")
    search = HybridSearchCV(model, {"rho": [0.02, 0.05]}, cv=3, verbose=verbose == "search")
    search.fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert batches == [6]
    assert lines[0] == "Fitting 3 folds for each of 2 candidates, totalling 6 fits"
    begins = lines.index("Training 6 fits in 1 batch")
    ends = next(i for i, line in enumerate(lines) if re.fullmatch(r"Trained in \d+\.\d s", line))
    prepared = [line for line in lines[1:begins] if "fits prepared" in line]
    assert [line[:20] for line in prepared] == [f"{n} of 6 fits prepared" for n in range(1, 7)]
    first, second, last = lines[begins + 1 : ends]
    pattern = (
        r"batch 1 of 1  estimate epoch 1/2  6 fits  lowest loss \S+ \(fit [1-6]\)  gain=\S+"
        r"  offset=\S+  0 of 6 fits finished  0:\d\d elapsed"
    )
    assert re.match(pattern, first)
    assert "estimate epoch 2/2" in second
    assert last.startswith("training  6 of 6 fits finished")
    rest = lines[ends + 1 :]
    assert sum("of 6 fits scored" in line for line in rest) == 6
    assert "Fitting the best candidate to all rows" in rest
    assert rest[-1].startswith("Fitted  loss ")


def test_fits_that_no_batch_can_train_say_which_they_are(capsys, monkeypatch):
    for name in ("FIRST_SECONDS", "LINE_SECONDS", "LINE_PART", "COST_FACTOR"):
        monkeypatch.setattr(progress, name, 0.0)
    HybridSearchCV(quick_model(nn=None), {"rho": [0.02]}, cv=2, verbose=1, refit=False).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("fit 1/2  least squares  evaluation") for line in lines)
    assert any(line.startswith("fit 2/2  least squares  evaluation") for line in lines)
    assert not any(line.startswith("Fitting 24 samples") for line in lines)


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
def test_mistakes_raise_the_errors_of_grid_search(grid, options):
    model = quick_model(max_epochs=1)
    with pytest.raises(Exception) as theirs:
        GridSearchCV(model, grid, cv=2, **options).fit(X, Y)
    with pytest.raises(type(theirs.value)) as ours:
        HybridSearchCV(model, grid, cv=2, **options).fit(X, Y)
    assert str(ours.value).replace("HybridSearchCV", "GridSearchCV") == str(theirs.value)


def test_nothing_to_fit_is_an_error():
    with pytest.raises(ValueError, match="0 folds"):
        HybridSearchCV(quick_model(), {"rho": [0.0]}, cv=[]).fit(X, Y)


def test_lists_and_shuffled_frames_are_indexed_as_by_grid_search():
    model = quick_model()
    lists = X.to_numpy().tolist(), Y.tolist()
    search_both_ways(model, {"rho": [0.02, 0.05]}, *lists, cv=2)
    shuffled = X.sample(frac=1.0, random_state=0)
    search_both_ways(model, {"rho": [0.02]}, shuffled, pd.Series(Y, name="y"), cv=2)


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


def test_a_model_with_a_callback_is_trained_in_a_batch_and_the_callback_is_called(batches):
    def recorded(search_class):
        recorder = Recorder()
        model = quick_model().set_callbacks(recorder)
        search_class(model, {"rho": [0.02, 0.05]}, cv=2).fit(X, Y)
        begun = sorted(context.task_name for context in recorder.begun)
        return begun, recorder.n_set_up, recorder.n_torn_down, len(recorder.ended)

    ours = recorded(HybridSearchCV)
    assert ours == recorded(GridSearchCV)
    assert ours[1] == 5
    assert batches == [4]


def test_a_callback_of_the_search_sees_its_tasks():
    def recorded(search_class):
        recorder = Recorder()
        search = search_class(quick_model(), {"rho": [0.0, 0.05]}, cv=2)
        search.set_callbacks(recorder).fit(X, Y)
        names = [context.task_name for context in recorder.begun]
        return names, recorder.n_set_up, recorder.n_torn_down, len(recorder.ended)

    assert recorded(HybridSearchCV) == recorded(GridSearchCV)


@pytest.mark.usefixtures("capsys")
@pytest.mark.parametrize("settings", [{"verbose": 1}, {"warm_start": True}])
def test_verbose_and_warm_start_do_not_matter(settings, batches):
    search_both_ways(quick_model(**settings), {"rho": [0.02, 0.05]}, cv=2)
    assert batches == [4]


def gapped(n_targets):
    """Return targets of which some are missing, and physics for them."""
    targets = Y.copy() if n_targets == 1 else np.stack([Y, 3.0 * Y], axis=1)
    targets[::4] = np.nan
    if n_targets > 1:
        targets[1::5, 1] = np.nan
    return targets, drive if n_targets == 1 else drive_two


@pytest.mark.parametrize("n_targets", [1, 2])
def test_missing_targets_pass_through_both_searches(n_targets):
    targets, physics = gapped(n_targets)
    model = quick_model(physics=physics, missing_targets="mask")
    grid = {"rho": [0.02, 0.05]}
    for scoring, refit in ((None, True), (score_and_physics_params, one_standard_error("rho"))):
        search = search_both_ways(model, grid, X, targets, scoring=scoring, refit=refit)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert np.isfinite(search.predict(NEW_X)).all()
    assert np.isfinite(cross_val_score(model, X, targets, cv=3)).all()
    with pytest.raises(ValueError, match="set missing_targets='mask'"):
        HybridSearchCV(quick_model(physics=physics), grid, error_score="raise").fit(X, targets)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_fold_without_known_targets_has_no_score_and_other_folds_help():
    targets = Y.copy()
    targets[:17] = np.nan  # the first of three folds, and more
    model = quick_model(missing_targets="mask")
    grid = {"rho": [0.02, 0.05, 0.1]}
    with pytest.warns(UndefinedMetricWarning, match=r"such as KFold\(5, shuffle=True\)"):
        search = HybridSearchCV(model, grid, cv=3).fit(X, targets)
    assert np.isnan(search.cv_results_["mean_test_score"]).all()
    assert np.isnan(search.cv_results_["split0_test_score"]).all()
    with pytest.warns(UserWarning, match="No candidate has a score on fold 0"):
        ruled = HybridSearchCV(model, grid, cv=3, refit=one_standard_error("rho"), scoring=scored)
        assert ruled.fit(X, targets).best_params_["rho"] in grid["rho"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UndefinedMetricWarning)
        shuffled = KFold(5, shuffle=True, random_state=0)
        search = HybridSearchCV(model, grid, cv=shuffled).fit(X, targets)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def scored(model, X, y):
    return {"score": model.score(X, y)}
