"""Fits with one element held."""

from __future__ import annotations

import numpy as np
import pytest
from small_flux import flux_model, make_flux
from small_rise import T, Y, rise, rise_of_array

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.inspection.flat_parameters import constants_of
from skhybrid.inspection.held_fits import Held, limits_of_element


@pytest.mark.parametrize(("physics", "name"), [(rise, "height"), (rise_of_array, "both[0]")])
def test_the_element_is_held_and_the_rest_is_fitted(physics, name):
    model = HybridRegressor(physics, nn=None).fit(T[:, None], Y)
    (found,) = Held(model, model, name, {"random_state": 0}).fits(T[:, None], Y, None, [2.5])
    height, rate = np.ravel([*found.physics_params_.values()])
    assert height == 2.5
    best = np.ravel([*model.physics_params_.values()])
    assert rate > best[1]  # a lower rise is a faster one
    assert found.loss_ > model.loss_


def test_a_fit_that_fails_has_no_loss():
    model = HybridRegressor(rise, nn=None).fit(T[:, None], Y)
    held = Held(model, model, "height", {"random_state": 0})
    assert np.isnan(held.losses(T[:, None], Y * np.nan, None, [2.5])).all()


def test_a_parameter_that_is_a_function_starts_at_its_fitted_constant():
    X, y, _ = make_flux(60)
    model = flux_model(nn=(4,), max_epochs=60, refine_rho=None).fit(X, y)
    still = flux_model(nn=(4,), max_epochs=1, learning_rate=1e-9).fit(X, y)
    (found,) = Held(still, model, "q10", {"random_state": 0}).fits(X, y, None, [1.5])
    bases = [constants_of(each)["base"] for each in (model, found)]
    assert bases[1] == pytest.approx(bases[0], rel=1e-4)
    assert abs(bases[0] - 2.0) > 0.01  # the initial value


def test_the_bounds_of_an_element():
    physics = Physics(rise_of_array, both=Param((2.0, 0.5), bounds=((0.0, 0.1), None)))
    model = HybridRegressor(physics, nn=None).fit(T[:, None], Y)
    assert limits_of_element(model, "both[1]") == (0.1, np.inf)
