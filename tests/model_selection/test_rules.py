"""Rules that choose a candidate, on results whose answer can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import make_model, make_table

from skhybrid import HybridSearchCV
from skhybrid.model_selection import one_standard_error, score_and_physics_params, stable
from skhybrid.model_selection.fold_statistics import spread


def results_of(losses, values, name="rho", **columns):
    """Return what a search would have: a loss for every candidate and fold, and other columns."""
    losses = np.asarray(losses, dtype=float)
    results = {f"param_{name}": np.array(values, dtype=object), "mean_test_score": -losses.mean(1)}
    for column, table in {"score": -losses, **columns}.items():
        results |= {f"split{k}_test_{column}": part for k, part in enumerate(np.transpose(table))}
        results[f"mean_test_{column}"] = np.mean(table, axis=1)
    return results


# Folds differ by ten times what candidates differ by.
LOSSES = np.array([10.0, 20.0, 30.0, 40.0]) + np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [1.0, -0.6, 0.8, -0.4],  # mean 0.2, standard error 0.41
        [1.0, 1.2, 0.8, 1.0],  # mean 1, standard error 0.08
        [0.2, 0.1, 0.2, 0.1],  # mean 0.15, standard error 0.03
    ]
)


def test_the_largest_value_within_one_paired_standard_error_is_chosen():
    assert one_standard_error("rho")(results_of(LOSSES, [0.0, 0.1, 0.2, 0.05])) == 1
    assert one_standard_error("rho")(results_of(LOSSES, [0.0, 0.1, 0.05, 0.2])) == 1
    unpaired = LOSSES.std(axis=1, ddof=1) / 2
    assert LOSSES[2].mean() < LOSSES[0].mean() + unpaired[0], "the unpaired rule would choose this"


def test_the_smallest_value_is_chosen_if_asked_for():
    results = results_of(LOSSES, [0.3, 0.1, 0.05, 0.2])
    assert one_standard_error("rho", smallest=True)(results) == 1
    assert one_standard_error("rho")(results) == 0


def test_of_candidates_with_the_same_value_the_better_one_is_chosen():
    losses = [[1.0, 1.1, 0.9], [1.01, 1.09, 0.93], [1.02, 1.1, 0.9]]
    assert one_standard_error("rho")(results_of(losses, [0.1, 0.2, 0.2])) in (1, 2)
    losses = [[1.0, 1.0, 1.0], [1.02, 0.99, 1.0], [1.01, 0.99, 1.0]]
    assert one_standard_error("rho")(results_of(losses, [0.1, 0.2, 0.2])) == 2


def test_none_counts_as_less_than_any_number():
    losses = [[1.0, 1.1, 0.9], [1.01, 1.09, 0.91]]
    assert one_standard_error("rho")(results_of(losses, [0.0, None])) == 0


def test_candidates_without_a_finite_score_are_not_chosen():
    losses = [[np.nan, 1.0, 1.0], [1.0, 1.1, 0.9], [np.inf, 1.0, 1.0]]
    assert one_standard_error("rho")(results_of(losses, [0.3, 0.1, 0.2])) == 1
    with pytest.raises(ValueError, match="No candidate has a finite score"):
        one_standard_error("rho")(results_of([[np.nan, 1.0], [1.0, np.nan]], [0.1, 0.2]))


def test_a_fold_on_which_no_candidate_has_a_score_does_not_count():
    values = [0.0, 0.1, 0.2, 0.05]
    expected = one_standard_error("rho")(results_of(LOSSES, values))
    with_gap = np.insert(LOSSES, 2, np.nan, axis=1)
    with pytest.warns(UserWarning, match="No candidate has a score on fold 2.*the other 4 folds"):
        assert one_standard_error("rho")(results_of(with_gap, values)) == expected
    with pytest.raises(ValueError, match="No candidate has a finite score"):
        one_standard_error("rho")(results_of(np.full((2, 3), np.nan), [0.1, 0.2]))


def test_another_score_may_decide():
    other = np.array([[2.0, 2.0], [1.0, 1.0]])
    results = results_of([[1.0, 1.0], [2.0, 2.0]], [0.1, 0.2], error=-other)
    assert one_standard_error("rho", score="error")(results) == 1
    assert one_standard_error("rho")(results) == 0
    with pytest.raises(ValueError, match=r"no 'test_typo'.*score, error"):
        one_standard_error("rho", score="typo")(results)


def test_a_parameter_that_was_not_searched_is_named():
    results = results_of(LOSSES, [0.0, 0.1, 0.2, 0.3], name="l2")
    with pytest.raises(ValueError, match="no parameter 'rho'; it has l2"):
        one_standard_error("rho")(results)
    with pytest.raises(ValueError, match="not numbers"):
        one_standard_error("l2")(results_of(LOSSES, ["a", "b", "c", "d"], name="l2"))


def test_the_rule_works_in_a_search_of_scikit_learn_and_in_a_pipeline():
    X, y = make_regression(60, 20, noise=20.0, random_state=0)
    grid = {"ridge__alpha": [0.01, 1.0, 3.0, 1000.0]}
    pipeline = make_pipeline(StandardScaler(), Ridge())
    search = GridSearchCV(pipeline, grid, refit=one_standard_error("alpha")).fit(X, y)
    losses = -np.stack([search.cv_results_[f"split{k}_test_score"] for k in range(5)], 1)
    best = losses.mean(1).argmin()
    difference = losses - losses[best]
    within = difference.mean(1) <= difference.std(1, ddof=1) / np.sqrt(5)
    assert search.best_index_ == np.flatnonzero(within).max()
    assert 0 < within.sum() < 4


def theta_columns(values, restarts):
    """Return columns for one parameter."""
    return {"theta a": np.asarray(values), "spread a": np.asarray(restarts)}


FOLDS = np.array([-1.0, 1.0, -1.0, 1.0, 0.0])  # standard deviation 1


def test_the_smallest_value_as_stable_as_the_most_stable_one_is_chosen():
    # The third and the second differ by chance: by which fold is far off.
    values = 10.0 + np.array(
        [
            [-3.0, 3.0, -3.0, 3.0, 0.0],
            [-1.0, 1.0, -1.0, 1.2, 0.0],
            [-1.0, 1.0, 1.0, -1.0, 0.0],
            [2.0, 2.0, -2.0, -2.0, 0.0],
        ]
    )
    columns = theta_columns(values, np.zeros((4, 5)))
    assert stable("rho")(results_of(np.ones((4, 5)), [0.0, 0.1, 0.2, 0.3], **columns)) == 1
    assert stable("rho")(results_of(np.ones((4, 5)), [0.0, 0.3, 0.2, 0.1], **columns)) == 2


def test_a_fold_on_which_every_fit_failed_does_not_count():
    values = 10.0 + np.array([[3.0], [1.0], [2.0]]) * FOLDS
    gap = np.insert(values, 1, np.nan, axis=1)
    columns = theta_columns(gap, np.where(np.isnan(gap), np.nan, 0.0))
    results = results_of(np.ones((3, 6)), [0.0, 0.3, 0.2], **columns)
    with pytest.warns(UserWarning, match="No candidate has a fit on fold 1"):
        assert stable("rho")(results) == 1


def test_stable_does_not_need_scores():
    columns = theta_columns(10.0 + np.array([[3.0], [1.0]]) * FOLDS, np.zeros((2, 5)))
    losses = np.ones((2, 5))
    losses[:, 3] = np.nan
    assert stable("rho")(results_of(losses, [0.0, 0.3], **columns)) == 1


def test_dependence_on_the_start_counts_as_much_as_dependence_on_the_rows():
    values = 10.0 + np.ones((2, 1)) * FOLDS
    restarts = np.array([[3.0] * 5, [0.1] * 5])
    columns = theta_columns(values, restarts)
    assert stable("rho")(results_of(np.ones((2, 5)), [0.0, 0.1], **columns)) == 1
    assert spread(values[..., None], restarts[..., None])[:, 0] == pytest.approx(
        [np.sqrt(1 + 9), np.sqrt(1 + 0.01)]
    )


def test_without_theta_the_rule_says_how_to_get_it():
    with pytest.raises(ValueError, match="scoring=score_and_physics_params"):
        stable("rho")(results_of(LOSSES, [0.0, 0.1, 0.2, 0.3]))


def test_both_searches_agree_on_what_is_stable():
    X, y = make_table()
    model = make_model(n_restarts=2)
    options = {"scoring": score_and_physics_params, "refit": stable("rho"), "cv": 4}
    grid = {"rho": [0.0, 0.1, 0.5]}
    ours = HybridSearchCV(model, grid, **options).fit(X, y)
    theirs = GridSearchCV(model, grid, **options).fit(X, y)
    assert ours.best_params_ == theirs.best_params_
    for name in ("gain", "offset"):
        for column in (f"mean_test_theta {name}", f"mean_test_spread {name}"):
            assert ours.cv_results_[column] == pytest.approx(theirs.cv_results_[column], rel=1e-6)
