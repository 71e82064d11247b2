"""Trials: a model alone or at the end of a pipeline is prepared without interception."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from small_batches import NEW_X, X, Y
from small_models import Recorder
from small_searches import quick_model, search_both_ways

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.batching import one_fit, trials
from skhybrid.batching.deferred_fits import open_deferred_fits
from skhybrid.batching.fit_tasks import FitTasks
from skhybrid.batching.trials import Trial, make_trials, train_trials
from skhybrid.fitting.fit_physics import fit_physics as original_fit_physics

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)

TRAIN, TEST = np.arange(30), np.arange(30, 40)
WEIGHT = np.linspace(0.2, 3.0, 40)


@pytest.fixture
def without_interception(monkeypatch):
    """Let a test fail if a fit is deferred through the context variable."""
    monkeypatch.setattr(trials, "deferring", lambda deferred: pytest.fail("a fit is deferred"))


@pytest.fixture
def interceptions(monkeypatch) -> list:
    """Return the values to which the context variable is set."""
    seen = []
    deferring = trials.deferring

    def noted(deferred):
        seen.append(deferred)
        return deferring(deferred)

    monkeypatch.setattr(trials, "deferring", noted)
    return seen


def prepare(
    estimator: Any,
    fit_params: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    y: Any = Y,
) -> tuple[Trial, FitTasks]:
    """Return a prepared trial on one fold, and the tasks."""
    (trial,) = make_trials(estimator, [parameters or {}], [(TRAIN, TEST)])
    tasks = FitTasks()
    trial.prepare(tasks, X, y, fit_params or {})
    return trial, tasks


def trained(estimator: Any, fit_params: Mapping[str, Any] | None = None) -> Any:
    """Return the estimator of a trial that has been trained in a batch."""
    found = make_trials(estimator, [{}], [(TRAIN, TEST)])
    train_trials(found, X, Y, fit_params or {})
    assert found[0].finished
    assert found[0].error is None
    return found[0].estimator


def fitted(estimator: Any, fit_params: Mapping[str, Any] | None = None) -> Any:
    """Return the same estimator, fitted by its own ``fit``."""
    params = {name: value[TRAIN] for name, value in (fit_params or {}).items()}
    return clone(estimator).fit(X.iloc[TRAIN], Y[TRAIN], **params)


def assert_same(first: Any, second: Any) -> None:
    np.testing.assert_allclose(first.predict(NEW_X), second.predict(NEW_X), rtol=1e-9)


class Witness(TransformerMixin, BaseEstimator):
    """A transformer that records its fits, and whether model fits are deferred meanwhile."""

    seen: list = []

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y=None, sample_weight=None):
        Witness.seen.append(open_deferred_fits())
        self.mean_ = np.average(np.asarray(X), axis=0, weights=sample_weight)
        return self

    def transform(self, X):
        return np.asarray(X) - self.mean_ + self.shift


@pytest.fixture(autouse=True)
def nothing_seen(monkeypatch):
    monkeypatch.setattr(Witness, "seen", [])


def make_two_steps(**options) -> Pipeline:
    return Pipeline([("witness", Witness()), ("model", quick_model())], **options)


# Trials that are prepared without interception.


def test_a_trial_prepares_a_model_for_a_batch(without_interception):
    trial, tasks = prepare(quick_model(), parameters={"rho": 0.2})
    (task,) = tasks.tasks
    assert task.estimator is trial.estimator
    assert task.estimator.rho == 0.2
    assert task.owner == trial.number == 0
    assert not trial.finished
    assert trial.seconds > 0
    assert len(task.prepared.data.y) == 30
    assert_same(trained(quick_model()), fitted(quick_model()))


def test_weights_of_a_model_are_those_of_the_fold(without_interception):
    weights = {"sample_weight": WEIGHT}
    model = trained(quick_model(), weights)
    assert_same(model, fitted(quick_model(), weights))
    assert np.abs(model.predict(NEW_X) - fitted(quick_model()).predict(NEW_X)).max() > 1e-4


PIPELINES = {
    "one step": Pipeline([("model", quick_model())]),
    "two steps": make_two_steps(),
    "three steps": make_pipeline(StandardScaler(), PCA(), quick_model()),
    "a step that is passed through": Pipeline(
        [("scale", StandardScaler()), ("none", "passthrough"), ("model", quick_model())]
    ),
    "nothing but a step that is passed through": Pipeline(
        [("none", "passthrough"), ("model", quick_model())]
    ),
    "no step at all": Pipeline([("none", None), ("model", quick_model())]),
    "names of columns": make_pipeline(
        StandardScaler().set_output(transform="pandas"), quick_model(nn_features=["angle"])
    ),
}


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES)
def test_a_pipeline_is_prepared_without_interception(pipeline, without_interception):
    trial, tasks = prepare(pipeline)
    (task,) = tasks.tasks
    assert task.estimator is trial.estimator[-1]
    assert [name for name, _ in trial.estimator.steps] == [name for name, _ in pipeline.steps]
    assert_same(trained(pipeline), fitted(pipeline))
    assert set(Witness.seen) <= {None}


@pytest.mark.parametrize(
    ("names", "weighs_witness", "weighs_model"),
    [
        (["model__sample_weight"], False, True),
        (["witness__sample_weight"], True, False),
        (["model__sample_weight", "witness__sample_weight"], True, True),
    ],
)
def test_fit_parameters_reach_their_steps(
    names, weighs_witness, weighs_model, without_interception
):
    weights = dict.fromkeys(names, WEIGHT)
    pipeline = trained(make_two_steps(), weights)
    assert_same(pipeline, fitted(make_two_steps(), weights))
    plain = fitted(make_two_steps())
    assert (pipeline[0].mean_ != plain[0].mean_).all() == weighs_witness
    _, tasks = prepare(make_two_steps(), weights)
    assert (tasks.tasks[0].prepared.data.weight is not None) == weighs_model


def test_with_a_memory_the_fitted_steps_are_in_the_pipeline(without_interception, tmp_path):
    given = make_two_steps(memory=str(tmp_path))
    candidates = [{"model__rho": rho} for rho in (0.02, 0.05, 0.1)]
    splits = [(TRAIN, TEST), (np.arange(10, 40), np.arange(10))]
    found = make_trials(given, candidates, splits)
    train_trials(found, X, Y, {})
    # Each fold's transformer is fitted once, and loaded for the other candidates.
    assert Witness.seen == [None, None]
    for trial in found:
        _, (train, _) = trial.split
        np.testing.assert_allclose(trial.estimator[0].mean_, X.iloc[train].mean())
        alone = clone(given).set_params(memory=None, **trial.parameters)
        assert_same(trial.estimator, alone.fit(X.iloc[train], Y[train]))
    assert not hasattr(given[0], "mean_")


def test_a_verbose_pipeline_prints_its_steps(without_interception, capsys):
    fitted(make_two_steps(verbose=True))
    expected = re.sub(r"[\d.]+s", "", capsys.readouterr().out)
    trained(make_two_steps(verbose=True))
    assert re.sub(r"[\d.]+s", "", capsys.readouterr().out) == expected
    assert "(step 2 of 2) Processing model" in expected


class Failing(Witness):
    def fit(self, X, y=None, sample_weight=None):
        raise ArithmeticError("no such transform")


def test_a_failing_transformer_fails_its_trial_only(without_interception, batches):
    candidates = [{"witness": Witness()}, {"witness": Failing()}, {"witness": Witness(1.0)}]
    trial, tasks = prepare(make_two_steps(), parameters=candidates[1])
    assert isinstance(trial.error, ArithmeticError)
    assert trial.finished
    assert tasks.tasks == []
    found = make_trials(make_two_steps(), candidates, [(TRAIN, TEST)])
    train_trials(found, X, Y, {}, error_score=np.nan)
    assert [type(trial.error) for trial in found] == [type(None), ArithmeticError, type(None)]
    assert all(trial.finished for trial in found)
    with pytest.raises(ArithmeticError, match="no such transform"):
        train_trials(make_trials(make_two_steps(), candidates, [(TRAIN, TEST)]), X, Y, {})


# Trials that need the estimator's own ``fit``.


class OwnPipeline(Pipeline):
    """A pipeline that may have another ``fit``."""


@pytest.mark.parametrize(
    "pipeline",
    [
        make_two_steps().set_callbacks(Recorder()),
        OwnPipeline(make_two_steps().steps),
        make_pipeline(make_two_steps()),
        make_pipeline(StandardScaler(), TransformedTargetRegressor(quick_model())),
    ],
    ids=["callbacks", "subclass", "pipeline in a pipeline", "meta-estimator in a pipeline"],
)
def test_other_pipelines_are_fitted_with_the_training_deferred(pipeline, interceptions):
    found = trained(pipeline)
    assert len(interceptions) == 1
    assert_same(found, fitted(pipeline))


def test_metadata_routing_is_left_to_the_pipeline(interceptions, batches):
    with config_context(enable_metadata_routing=True):
        model = quick_model().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        pipeline = make_pipeline(Witness().set_fit_request(sample_weight=True), model)
        grid = {"hybridregressor__rho": [0.02, 0.05]}
        search_both_ways(pipeline, grid, X, Y, cv=2, params={"sample_weight": WEIGHT})
    assert len(interceptions) == 4
    assert batches == [4]


@pytest.mark.parametrize(
    ("estimator", "fit_params"),
    [
        (quick_model(), {"wrong": WEIGHT}),
        (quick_model(), {"position": WEIGHT}),
        (make_two_steps(), {"wrong": WEIGHT}),
        (make_two_steps(), {"wrong__sample_weight": WEIGHT}),
        (make_two_steps(), {"model__wrong": WEIGHT}),
        (make_two_steps(), {"witness__wrong": WEIGHT}),
    ],
)
def test_a_wrong_fit_parameter_raises_the_error_of_fit(estimator, fit_params):
    with pytest.raises(Exception) as expected:
        fitted(estimator, fit_params)
    trial, tasks = prepare(estimator, fit_params)
    assert type(trial.error) is expected.type
    assert str(trial.error) == str(expected.value)
    assert tasks.tasks == []


@pytest.mark.parametrize("estimator", [quick_model(), make_two_steps()])
def test_a_missing_target_raises_the_error_of_fit(estimator):
    with pytest.raises((TypeError, ValueError)) as expected:
        clone(estimator).fit(X)
    trial, _ = prepare(estimator, y=None)
    assert str(trial.error) == str(expected.value)


def test_an_estimator_without_a_hybrid_model_is_fitted_at_once():
    for estimator in (Ridge(), make_pipeline(StandardScaler(), Ridge())):
        trial, tasks = prepare(estimator)
        assert trial.finished
        assert tasks.tasks == []
        assert_same(trial.estimator, fitted(estimator))


def takes_odd_names(force, *, a__b=1.0, rho=0.1, _c=0.1):
    return a__b * force + rho + _c


PHYSICS = Physics(takes_odd_names, rho=Param(0.1, bounds=(0.0, None)))
WITH_UNKNOWNS = {
    "alone": (quick_model(physics=PHYSICS), "", [8]),
    "at the end of a pipeline": (make_two_steps(), "model__", [8]),
    "in a pipeline under an awkward name": (
        Pipeline([("physics", quick_model(physics=PHYSICS))]),
        "physics__",
        [8],
    ),
    "in a meta-estimator": (
        TransformedTargetRegressor(quick_model(physics=PHYSICS), func=np.log, inverse_func=np.exp),
        "regressor__",
        [8],
    ),
}


@pytest.mark.parametrize(("model", "prefix", "sizes"), WITH_UNKNOWNS.values(), ids=WITH_UNKNOWNS)
def test_initial_values_of_the_physics_share_a_batch(model, prefix, sizes, batches):
    model = clone(model).set_params(**{prefix + "physics": PHYSICS})
    shown = repr(PHYSICS)
    grid = [
        {prefix + "physics__a__b": [0.5, 2.0], prefix + "physics__rho": [0.3]},
        {prefix + "physics___c": [0.5], prefix + "rho": [0.02, 0.05]},
    ]
    search_both_ways(model, grid, X, Y, cv=2)
    assert batches == sizes
    assert repr(PHYSICS) == shown


META_ESTIMATORS = {
    "transformed target": (
        TransformedTargetRegressor(quick_model(), func=np.log, inverse_func=np.exp),
        "regressor__rho",
        [4],
    ),
    # The first model of a bag is never in a batch with the second.
    "bagging": (
        BaggingRegressor(quick_model(), n_estimators=2, random_state=0),
        "estimator__rho",
        [4, 4],
    ),
}


@pytest.mark.parametrize(("model", "name", "sizes"), META_ESTIMATORS.values(), ids=META_ESTIMATORS)
def test_models_in_meta_estimators_are_trained_in_one_batch(model, name, sizes, batches):
    search_both_ways(model, {name: [0.02, 0.05]}, X, Y, cv=2)
    assert batches == sizes


@pytest.mark.parametrize("sample_weight", [None, WEIGHT], ids=["equal weights", "weights"])
def test_the_physics_alone_is_fitted_once_for_all_training_parameters(monkeypatch, sample_weight):
    calls = []
    monkeypatch.setattr(one_fit, "fit_physics", counted(calls))
    model = quick_model(nn=None)
    splits = [(TRAIN, TEST), (TRAIN[10:], TEST)]
    candidates = [{"rho": 0.1}, {"rho": 0.2}, {"l2": 1.0, "physics__gain": 1.5}]
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    found = make_trials(with_gain(model), candidates, splits)
    train_trials(found, X, Y, weights)
    assert len(calls) == 4  # two folds; another initial value is another fit
    for trial in found:
        assert trial.finished
        assert trial.error is None
        assert trial.estimator.rho == trial.parameters.get("rho", model.rho)
        _, (train, _) = trial.split
        alone = clone(trial.estimator).fit(
            X.iloc[train], Y[train], **{name: each[train] for name, each in weights.items()}
        )
        assert trial.estimator.physics_params_ == alone.physics_params_


def counted(calls: list):
    def fit_physics(*args, **options):
        calls.append(args)
        return original_fit_physics(*args, **options)

    return fit_physics


def with_gain(model: HybridRegressor) -> HybridRegressor:
    return clone(model).set_params(physics=Physics(model.physics, gain=Param(1.0)))
