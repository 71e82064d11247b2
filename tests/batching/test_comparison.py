"""Comparisons of candidates on the same folds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold
from small_models import make_model, make_table

from skhybrid.batching.comparison import (
    Comparison,
    candidate_path,
    joined,
    object_array,
)
from skhybrid.exceptions import CollapseWarning, SerialMembersWarning

X, Y = make_table()
SPLITS = [*KFold(3).split(X)]


def compare(candidates, *, weight=None, **settings):
    comparison = Comparison(make_model(**settings), X, Y, weight, SPLITS, seed=3)
    return comparison.results(candidates)


def test_every_score_is_that_of_the_fit_on_the_fold():
    results = compare([{"rho": 0.0}, {"rho": 0.1}])
    train, test = SPLITS[1]
    model = make_model(rho=0.1, random_state=3).fit(X.iloc[train], Y[train])
    assert results["split1_test_score"][1] == pytest.approx(model.score(X.iloc[test], Y[test]))
    gain = model.physics_params_["gain"]
    assert results["split1_test_theta gain"][1] == pytest.approx(gain)
    assert results["split1_test_spread gain"][1] == 0.0
    assert results["split1_test_physics_share"][1] == pytest.approx(model.physics_share_)
    assert results["params"] == [{"rho": 0.0}, {"rho": 0.1}]


def test_the_users_estimator_does_not_change():
    model = make_model(verbose=1, warm_start=True).fit(X, Y)
    before = repr(model), model.predict(X)
    comparison = Comparison(model, X, Y, None, SPLITS, seed=3)
    comparison.results([{"rho": 0.0}])
    assert repr(model) == before[0]
    assert (model.predict(X) == before[1]).all()
    assert comparison.estimator.random_state == 3
    assert comparison.estimator.verbose == 0
    assert not comparison.estimator.warm_start


def test_weights_are_used_in_fits_and_scores():
    weight = np.linspace(0.1, 3.0, 40)
    results = compare([{}], weight=weight)
    train, test = SPLITS[0]
    model = make_model(random_state=3).fit(X.iloc[train], Y[train], weight[train])
    expected = model.score(X.iloc[test], Y[test], weight[test])
    assert results["split0_test_score"][0] == pytest.approx(expected)
    # Held-out rows that all have zero weight are scored with equal weights.
    weight[test] = 0.0
    model.fit(X.iloc[train], Y[train], weight[train])
    results = compare([{}], weight=weight)
    assert results["split0_test_score"][0] == pytest.approx(model.score(X.iloc[test], Y[test]))


def test_a_failing_candidate_has_no_scores_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        results = compare([{"rho": 0.05}, {"learning_rate": 1e308}])
    assert np.isfinite(results["mean_test_score"]).tolist() == [True, False]
    with pytest.raises(ValueError, match="'l2'"):
        compare([{"l2": -1.0}, {"l2": -2.0}])


def test_an_interrupt_is_raised():
    def interrupted(force, *, gain=1.0):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare([{}], physics=interrupted)


def branching(force, *, gain=1.0, offset=0.1):
    return gain * force + offset if float(force.sum()) > 0 else offset * force


def noisy(force, *, gain=1.0, offset=0.1):
    warnings.warn("beyond the range", RuntimeWarning, stacklevel=2)
    return gain * force + offset


def test_serial_members_are_reported_once_and_at_the_users_line():
    comparison = Comparison(make_model(physics=branching), X, Y, None, SPLITS, seed=3)
    with pytest.warns(SerialMembersWarning) as caught:
        comparison.results([{"rho": 0.0}, {"rho": 0.1}])
        comparison.results([{"rho": 0.2}])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert comparison.said_serial


def test_warnings_of_the_physics_are_repeated_and_collapse_is_not():
    with pytest.warns(RuntimeWarning, match="beyond the range") as caught:
        compare([{"rho": 0.0}], physics=noisy)
    assert not any(issubclass(each.category, CollapseWarning) for each in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        results = compare([{"l2": 1e3}], learning_rate=0.05, max_epochs=100)
    assert results["mean_test_physics_share"][0] > 1 - 1e-6


def test_results_of_more_candidates_come_after_the_first_ones():
    comparison = Comparison(make_model(max_epochs=3), X, Y, None, SPLITS, seed=3)
    together = comparison.results([{"rho": 0.0}, {"rho": 0.1}, {"rho": 0.2}])
    found = joined(comparison.results([{"rho": 0.0}]), comparison.results([{"rho": 0.1}]))
    found = joined(found, comparison.results([{"rho": 0.2}]))
    assert found["params"] == together["params"]
    assert found["param_rho"].tolist() == [0.0, 0.1, 0.2]
    for fold in range(3):
        column = f"split{fold}_test_theta gain"
        assert found[column] == pytest.approx(together[column], rel=1e-9)


def test_the_path_has_a_row_for_every_candidate():
    results = compare([{"rho": 0.0}, {"rho": 0.1}], n_restarts=2)
    path = candidate_path(results, "rho", 1)
    assert path["rho"].tolist() == [0.0, 0.1]
    assert path["chosen"].tolist() == [False, True]
    assert path["score"] == pytest.approx(results["mean_test_score"])
    losses = -np.stack([results[f"split{fold}_test_score"] for fold in range(3)], axis=1)
    best = losses.mean(axis=1).argmin()
    worse = losses - losses[best]
    assert path["worse than best"] == pytest.approx(worse.mean(axis=1))
    assert path["standard error"] == pytest.approx(worse.std(axis=1, ddof=1) / np.sqrt(3))
    assert path["physics share"] == pytest.approx(results["mean_test_physics_share"])
    theta, restarts = (
        np.stack([results[f"split{fold}_test_{name} gain"] for fold in range(3)], axis=1)
        for name in ("theta", "spread")
    )
    assert path["gain"] == pytest.approx(theta.mean(axis=1))
    variance = theta.var(axis=1, ddof=1) + (restarts**2).mean(axis=1)
    assert path["spread of gain"] == pytest.approx(np.sqrt(variance))
    assert candidate_path({"params": []}, "rho", None)["score"].tolist() == []


def test_values_that_are_not_numbers_are_kept_as_objects():
    results = compare([{"nn_features": ["force"]}, {"nn_features": ["angle"]}])
    path = candidate_path(results, "nn_features", 0)
    assert path["nn_features"].dtype == object
    assert path["nn_features"].tolist() == [["force"], ["angle"]]
    values = [[1, 2], None, torch.float32]
    assert object_array(values).tolist() == values
