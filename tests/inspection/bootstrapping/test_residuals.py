"""Residuals of rows that a fit has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import make_model
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE, HybridRegressor
from skhybrid.inspection.bootstrapping.residuals import held_out_residuals, inflated_residuals
from skhybrid.inspection.bootstrapping.series import Series

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.FreeRunWarning")

Y = np.array([1.0, 2.0, 4.0, np.nan])


class Constant:
    """A fitted model that predicts a number."""

    structure = "additive"

    def __init__(self, value):
        self.value = value

    def predict(self, X):
        return np.full(len(X), self.value)


def test_each_row_is_judged_by_the_fits_that_have_not_seen_it():
    weight = np.array([1.0, 4.0, 1.0, 1.0])
    held_out = [np.array([True, True, False, True]), np.array([True, False, False, False])]
    series = Series.of(make_model(), Y)
    models = [Constant(0.0), Constant(2.0)]
    (found,) = held_out_residuals(models, np.zeros((4, 1)), series, weight, held_out)
    # Row 0 by the mean of both, row 1 by the first times the root of its weight; both centred.
    assert found[:2, 0] == pytest.approx([0.0 - 2.0, 4.0 - 2.0])
    assert np.isnan(found[2:]).all(), "both have seen row 2, and row 3 has no target"


def test_own_residuals_are_inflated():
    X, y = make_oscillations(1, 40)
    ode = ODE(dt=DT, window=4)
    model = HybridRegressor(spring, nn=(4,), structure=ode, max_epochs=20, random_state=0).fit(X, y)
    (found,) = inflated_residuals(model, X, Series.of(model, y), np.ones(1))
    plain = y[0] - model.predict(X)[0]
    plain = plain - plain.mean(axis=0)
    # θ has three elements; the network two outputs of three inputs: states and time.
    n_used = 3 + 2 * (3 + 1)
    assert found == pytest.approx(plain * np.sqrt(80 / (80 - n_used)), rel=1e-6)
