"""Prepared fits of small models, for the tests of batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.base import clone
from small_models import make_table
from small_searches import quick_model

from skhybrid import HybridRegressor
from skhybrid.batching.fit_tasks import FitTask, FitTasks, TrialKeys

X, Y = make_table()
NEW_X, _ = make_table(15, seed=1)


def add_fits(models: Sequence[HybridRegressor], rows: Sequence = ((X, Y),)) -> list[FitTask]:
    """Return prepared fits of the models, each with its own rows or all with the same."""
    tasks = FitTasks()
    for number, model in enumerate(models):
        tasks.add(model, TrialKeys(number, "key", "start"), 0, *rows[number % len(rows)])
    return tasks.tasks


def ten_fits() -> list[FitTask]:
    """Return ten fits that differ in the radius."""
    return add_fits([quick_model(rho=0.01 + 0.01 * number) for number in range(10)])


def assert_fitted_as_alone(model: HybridRegressor, rows: Sequence = (X, Y)) -> None:
    """Check that a trained model equals a clone that is fitted alone."""
    alone = clone(model).fit(*rows)
    np.testing.assert_allclose(model.predict(NEW_X), alone.predict(NEW_X), rtol=1e-9)
    assert model.physics_params_ == pytest.approx(alone.physics_params_, rel=1e-9)
    assert model.loss_curve_ == pytest.approx(alone.loss_curve_, rel=1e-9)
    assert model.loss_ == pytest.approx(alone.loss_, rel=1e-9)
    assert model.n_iter_ == alone.n_iter_
    assert [each["status"] for each in model.restarts_] == [
        each["status"] for each in alone.restarts_
    ]
    np.testing.assert_array_equal(model.feature_names_in_, alone.feature_names_in_)
