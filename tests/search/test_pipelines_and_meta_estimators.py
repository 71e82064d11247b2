"""Searches over pipelines and meta-estimators: the models in them are trained in batches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RANSACRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import drive, drive_squared, twice_corrected
from small_searches import NEW_X, X, Y, quick_model, search_both_ways, split_scores

from skhybrid import HybridSearchCV, Physics

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)


META_ESTIMATORS = {
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


@pytest.mark.parametrize(("model", "prefix"), META_ESTIMATORS.values(), ids=META_ESTIMATORS)
def test_models_within_others(model, prefix, batches):
    grid = {prefix + "rho": [0.02, 0.05], prefix + "l2": [0.0, 0.1]}
    search = search_both_ways(model, grid, cv=2, refit=True)
    assert set(batches) == {8}
    best = clone(model).set_params(**search.best_params_).fit(X, Y)
    np.testing.assert_allclose(search.predict(NEW_X), best.predict(NEW_X), rtol=1e-9)


def test_names_of_columns_reach_the_physics_through_a_pipeline():
    model = META_ESTIMATORS["columns in another order"][0]
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
    # No batch trains Ridge; a radius of zero has steps of its own, without perturbation.
    assert sorted(batches) == [2, 2, 2, 4, 4]


class Rotation(TransformerMixin, BaseEstimator):
    """A transformer that rotates two features, by another angle in every fit."""

    angles = itertools.count(1)

    def fit(self, X, y=None):
        self.angle_ = next(Rotation.angles)
        return self

    def transform(self, X):
        sine, cosine = np.sin(self.angle_), np.cos(self.angle_)
        return np.asarray(X) @ np.array([[cosine, -sine], [sine, cosine]])


def test_a_random_transformer_is_fitted_anew_for_every_candidate(monkeypatch, batches):
    model = make_pipeline(Rotation(), quick_model(learning_rate=0.05))
    # The same candidate twice: the rows that it sees are others.
    grid = {"hybridregressor__rho": [0.02, 0.02]}
    scores = []
    for search_class in (GridSearchCV, HybridSearchCV):
        monkeypatch.setattr(Rotation, "angles", itertools.count(1))
        scores.append(split_scores(search_class(model, grid, cv=2, refit=False).fit(X, Y)))
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-9)
    assert len(np.unique(scores[0])) == 4
    assert batches == [4]


class Reader(RegressorMixin, BaseEstimator):
    """A meta-estimator that uses its model in its own fit."""

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
    """A meta-estimator that sets a parameter of its model."""

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
def test_a_meta_estimator_may_set_parameters_of_its_model(name, small, large, batches):
    model = Chooser(quick_model(learning_rate=0.05), name, small, large)
    search_both_ways(model, {"inner__rho": [0.02, 0.025, 0.05]}, cv=2)
    # Models with the same value are in one batch, and so are models with other seeds and features.
    assert max(batches) >= 4


@pytest.mark.parametrize("way", ["attribute", "prediction", "score, if there is one"])
def test_a_meta_estimator_that_uses_its_model_at_once_gets_a_trained_one(way, batches):
    search_both_ways(Reader(quick_model(), way), {"inner__rho": [0.02, 0.05]}, cv=2)
    assert batches == []


def test_searches_within_a_search():
    inner = {"rho": [0.5, 0.0]}
    grid = {"estimator__learning_rate": [1e-3, 0.05]}
    for search_class in (GridSearchCV, HybridSearchCV):
        search_both_ways(search_class(quick_model(), inner, cv=2), grid, cv=2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_robust_regression_around_the_model():
    model = RANSACRegressor(quick_model(), min_samples=15, max_trials=2, random_state=0)
    search_both_ways(model, {"estimator__rho": [0.02, 0.05]}, cv=2)
