"""Statistics of losses and physics parameters over cross-validation folds."""

from __future__ import annotations

import numpy as np

from skhybrid.model_selection.fold_statistics import about_as_stable

FOLDS = np.array([-1.0, 1.0, -1.0, 1.0, 0.0])  # standard deviation 1


def test_the_standard_error_is_that_of_the_jackknife():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 6, 1)) * np.array([1.0, 1.2, 1.5, 3.0]).reshape(4, 1, 1)
    values += rng.normal(size=(1, 6, 1))
    logs = np.log(values[..., 0].std(axis=1, ddof=1))
    best = logs.argmin()
    for candidate, is_stable in enumerate(about_as_stable(values, np.zeros_like(values))):
        differences = []
        for fold in range(6):
            rest = np.delete(values[..., 0], fold, axis=1).std(axis=1, ddof=1)
            differences.append(np.log(rest[candidate] / rest[best]))
        error = np.sqrt(5 / 6 * np.sum((differences - np.mean(differences)) ** 2))
        assert is_stable == (logs[candidate] - logs[best] <= error)


def with_spreads(spreads):
    """Return values on five folds that have these spreads, the parameters in the last axis."""
    values = np.asarray(spreads)[:, None, :] * FOLDS[:, None]
    return values, np.zeros_like(values)


def test_every_parameter_counts_whatever_its_unit():
    spreads = np.array([[1.0, 5e6], [1.0, 1e6], [4.0, 1e6]])
    assert about_as_stable(*with_spreads(spreads)).tolist() == [False, True, False]
    assert about_as_stable(*with_spreads(spreads / [1, 1e6])).tolist() == [False, True, False]


def test_a_parameter_at_its_bound_says_nothing():
    spreads = np.array([[0.0, 3.0], [0.0, 1.0], [1.0, 2.0]])
    assert about_as_stable(*with_spreads(spreads)).tolist() == [False, True, False]
    assert about_as_stable(*with_spreads(np.zeros((3, 1)))).all()


def test_candidates_that_failed_are_not_stable():
    assert about_as_stable(*with_spreads([[np.nan], [1.0], [5.0]])).tolist() == [False, True, False]
