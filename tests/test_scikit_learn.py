"""The estimator inside scikit-learn: clones, files, pipelines, searches, metadata routing."""

from __future__ import annotations

import copy
import functools
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from small_models import (
    ForceModule,
    drive,
    drive_squared,
    make_model,
    make_table,
    twice_corrected,
)

from skhybrid import Param, Physics

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()
NEW_X, NEW_Y = make_table(15, seed=1)
WEIGHT = np.linspace(0.2, 3.0, len(Y)) ** 2

MODELS = {
    "function": {},
    "bounds": {"physics": Physics(drive, gain=Param(1.0, bounds=(0.0, 5.0), unit="N"))},
    "module": {"physics": ForceModule()},
    "network": {
        "nn": torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.SiLU(), torch.nn.Linear(4, 1))
    },
    "structure": {"structure": twice_corrected},
    "physics alone": {"nn": None},
    "network alone": {"physics": None, "dtype": "float32"},
    "restarts": {"n_restarts": 2, "refine_rho": 0.0, "batch_size": 8},
    "chosen features": {"structure": "serial", "nn_features": ["angle"]},
}


# Copies and files.


@functools.cache
def fitted(name: str):
    """Return a fitted model, which tests must not change."""
    return make_model(**MODELS[name]).fit(X, Y)


@pytest.mark.parametrize("name", MODELS)
def test_clone_is_unfitted_and_gives_the_same_fit(name):
    model = fitted(name)
    other = clone(model)
    with pytest.raises(NotFittedError):
        check_is_fitted(other)
    np.testing.assert_array_equal(other.fit(X, Y).predict(NEW_X), model.predict(NEW_X))


def through_pickle(model, path):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model, path):
    joblib.dump(model, path / "model.joblib")
    return joblib.load(path / "model.joblib")


@pytest.mark.parametrize("way", [through_pickle, through_joblib, lambda m, _: copy.deepcopy(m)])
@pytest.mark.parametrize("name", MODELS)
def test_stored_model_predicts_the_same(name, way, tmp_path):
    model = fitted(name)
    stored = way(model, tmp_path)
    np.testing.assert_array_equal(stored.predict(NEW_X), model.predict(NEW_X))
    for part, expected in zip(stored.predict_parts(NEW_X), model.predict_parts(NEW_X), strict=True):
        np.testing.assert_array_equal(part, expected)
    assert stored.physics_params_ == model.physics_params_
    assert stored.restarts_ == model.restarts_
    continued = stored.set_params(warm_start=True).fit(X, Y)
    assert continued.loss_ <= 1.05 * model.loss_


def test_a_file_holds_the_model_and_not_the_training_rows():
    few, many = (make_model(refine_rho=0.0).fit(*make_table(n)) for n in (40, 4000))
    assert len(pickle.dumps(many)) < len(pickle.dumps(few)) + 100
    assert len(pickle.dumps(few)) < 20_000


# Pipelines and meta-estimators.


def test_pipeline():
    scaler = StandardScaler()
    pipeline = make_pipeline(scaler, make_model(physics=None)).fit(X, Y)
    alone = make_model(physics=None).fit(scaler.transform(X), Y)
    np.testing.assert_array_equal(pipeline.predict(NEW_X), alone.predict(scaler.transform(NEW_X)))
    named = make_pipeline(StandardScaler().set_output(transform="pandas"), make_model())
    assert list(named.fit(X[["angle", "force"]], Y)[-1].feature_names_in_) == ["angle", "force"]
    assert named.score(NEW_X[["angle", "force"]], NEW_Y) > 0.5


def test_transformed_target():
    model = TransformedTargetRegressor(make_model(), func=np.log, inverse_func=np.exp).fit(X, Y)
    alone = make_model().fit(X, np.log(Y))
    np.testing.assert_allclose(model.predict(NEW_X), np.exp(alone.predict(NEW_X)), rtol=1e-6)
    assert model.regressor_.physics_params_ == pytest.approx(alone.physics_params_, rel=1e-6)


def test_score_and_cross_validation():
    model = make_model(max_epochs=100)
    assert (cross_val_score(model, X, Y, cv=4) > 0.8).all()
    model.fit(X, Y)
    assert model.score(NEW_X, NEW_Y, np.ones(15)) == r2_score(NEW_Y, model.predict(NEW_X))


# Searches.

GRID = [
    {"rho": [0.0, 0.05], "l2": [0.0, 1e-2]},
    {"nn": [(3,), (3, 4), 5, None]},
    {"perturbation": ["layer", "global", "elementwise"], "rho": [0.02]},
    {"physics": [Physics(drive), Physics(drive_squared), None], "structure": ["serial"]},
]


def test_search_over_everything():
    model = make_model(max_epochs=5)
    search = GridSearchCV(model, GRID, cv=2, error_score="raise").fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 4 + 4 + 3 + 3
    assert np.isfinite(scores).all()
    best = clone(model).set_params(**search.best_params_).fit(X, Y)
    np.testing.assert_allclose(best.predict(NEW_X), search.predict(NEW_X), rtol=1e-9)
    assert list(search.cv_results_["param_nn"].compressed()) == [(3,), (3, 4), 5, None]
    # The wrong physics is the worse one.
    right, wrong = scores[-3:-1]
    assert right > wrong


def test_search_over_hidden_sizes_of_equal_length():
    search = GridSearchCV(make_model(max_epochs=2), {"nn": [(3, 3), (4, 4)]}, cv=2).fit(X, Y)
    assert search.best_params_["nn"] in [(3, 3), (4, 4)]


# Routing of sample weights.


def test_weights_reach_the_model_in_a_pipeline_and_a_search():
    direct = make_model().fit(X, Y, sample_weight=WEIGHT)
    unweighted = make_model().fit(X, Y)
    assert not np.allclose(direct.predict(NEW_X), unweighted.predict(NEW_X))
    with config_context(enable_metadata_routing=True):
        model = make_model().set_fit_request(sample_weight=True)
        assert model.set_score_request(sample_weight=True) is model
        scaler = StandardScaler(with_mean=False, with_std=False).set_output(transform="pandas")
        scaler.set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model).fit(X, Y, sample_weight=WEIGHT)
        search = GridSearchCV(model, {"l2": [0.0]}, cv=3).fit(X, Y, sample_weight=WEIGHT)
        refusing = make_model().set_fit_request(sample_weight=False)
        refusing = make_pipeline(refusing.set_score_request(sample_weight=False))
        with pytest.raises(TypeError, match="sample_weight"):
            refusing.fit(X, Y, sample_weight=WEIGHT)
    for weighted in (pipeline, search):
        np.testing.assert_allclose(weighted.predict(NEW_X), direct.predict(NEW_X), rtol=1e-9)
    score = search.cv_results_["split0_test_score"][0]
    first, rest = np.arange(14), np.arange(14, 40)
    fold = make_model().fit(X.iloc[rest], Y[rest], WEIGHT[rest])
    assert score == pytest.approx(fold.score(X.iloc[first], Y[first], WEIGHT[first]))
