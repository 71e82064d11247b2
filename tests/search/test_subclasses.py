"""Searches over subclasses of the estimator, unusual pipelines and settings of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skhybrid import HybridRegressor, HybridSearchCV
from skhybrid.datasets import make_pendulum_acceleration
from skhybrid.inspection import physics_path

DATA = make_pendulum_acceleration(60, random_state=0)
X, Y = DATA.data, DATA.target
GRID = {"rho": [0.01, 0.05]}
SETTINGS = {"nn": (8,), "max_epochs": 3, "random_state": 0}


class Scaled(HybridRegressor):
    """Fits ten times the target."""

    n_calls = 0

    def fit(self, X, y, sample_weight=None):
        Scaled.n_calls += 1
        return super().fit(X, 10.0 * np.asarray(y), sample_weight)

    def predict(self, X, **options):
        return super().predict(X, **options) / 10.0


class Picky(HybridRegressor):
    """Cannot predict rows that begin with a positive angle."""

    def predict(self, X, **options):
        if np.asarray(X)[0, 0] > 0:
            raise RuntimeError("no prediction today")
        return super().predict(X, **options)


def scores(search, estimator, grid=GRID):
    return search(estimator, grid, cv=2, refit=False).fit(X, Y).cv_results_["mean_test_score"]


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_an_overridden_fit_is_called(in_pipeline):
    model, grid = Scaled(DATA.physics, **SETTINGS), GRID
    if in_pipeline:
        model, grid = Pipeline([("model", model)]), {"model__rho": GRID["rho"]}
    expected = scores(GridSearchCV, model, grid)
    Scaled.n_calls = 0
    np.testing.assert_allclose(scores(HybridSearchCV, model, grid), expected, rtol=1e-4)
    assert Scaled.n_calls == 4


def test_steps_of_a_pipeline_may_be_a_tuple():
    steps = (("scale", StandardScaler()), ("model", HybridRegressor(DATA.physics, **SETTINGS)))
    found = scores(HybridSearchCV, Pipeline(steps), {"model__rho": GRID["rho"]})
    expected = scores(GridSearchCV, Pipeline([*steps]), {"model__rho": GRID["rho"]})
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_validation_of_parameters_can_be_skipped():
    model = HybridRegressor(DATA.physics, **{**SETTINGS, "nn": np.array([8])})
    with pytest.raises(ValueError, match="'nn' parameter"):
        HybridSearchCV(model, GRID, cv=2, error_score="raise").fit(X, Y)
    with sklearn.config_context(skip_parameter_validation=True):
        assert np.isfinite(scores(HybridSearchCV, model)).all()


@pytest.mark.parametrize("choose", ["l2", "path"])
def test_an_error_of_a_score_is_raised_as_it_is(choose):
    with pytest.raises(RuntimeError, match="no prediction today"):
        if choose == "path":
            physics_path(Picky(DATA.physics, **SETTINGS), X, Y, param_range=[0.0, 0.1])
        else:
            Picky(DATA.physics, l2="auto", **SETTINGS).fit(X, Y)
