"""The score of a fit together with its physics parameters."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from small_models import Recorder, make_model, make_table

from skhybrid.model_selection import score_and_physics_params
from skhybrid.model_selection.scoring import restart_spread


def test_the_scorer_tells_score_and_free_parameters():
    X, y = make_table()
    model = make_model(n_restarts=2).fit(X, y)
    found = score_and_physics_params(model, X, y)
    assert found["score"] == model.score(X, y)
    assert found["theta gain"] == model.physics_params_["gain"]
    assert set(found) == {
        "score",
        *("theta gain", "theta offset"),
        *("spread gain", "spread offset"),
        *("drift gain", "drift offset"),
        "physics_share",
    }
    assert found["physics_share"] == model.physics_share_
    in_pipeline = make_pipeline(make_model(n_restarts=2)).fit(X, y)
    assert score_and_physics_params(in_pipeline, X, y) == pytest.approx(found)


def test_the_drift_is_the_change_in_the_second_half_of_training():
    X, y = make_table()
    gains = []

    class Watch(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
            if context.task_name.endswith("epoch"):
                gains.append(fitted_estimator.physics_params_["gain"])

    model = make_model(physics_init="given", max_epochs=11).set_callbacks(Watch()).fit(X, y)
    drift = score_and_physics_params(model, X, y)["drift gain"]
    assert drift == pytest.approx(gains[10] - gains[4])
    assert drift > 0.01


def test_training_that_stops_early_or_least_squares_has_no_drift():
    X, y = make_table()
    for options in ({"nn": None}, {"early_stopping": True, "n_iter_no_change": 1, "tol": 1.0}):
        model = make_model(**options).fit(X, y)
        assert score_and_physics_params(model, X, y)["drift gain"] == 0.0


def test_only_restarts_that_fit_as_well_count_for_the_spread():
    X, y = make_table()
    model = make_model(n_restarts=3).fit(X, y)
    for each, loss, gain in zip(model.restarts_, (1.0, 1.1, 2.0), (1.0, 3.0, 100.0), strict=True):
        each["loss"] = loss
        each["physics_params"]["gain"] = gain
    # Of 40 rows a mean squared error has a relative standard error of √(2/40) = 0.22.
    assert restart_spread(model)["gain"] == pytest.approx(np.sqrt(2.0))
    model.restarts_[1]["loss"] = 1.3
    assert restart_spread(model)["gain"] == 0.0
    model.restarts_[0]["loss"] = np.nan
    assert restart_spread(model)["gain"] == 0.0
