"""Intervals by the F-test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, least_squares
from scipy.stats import f as fisher_f
from small_rise import T, Y, rise, rise_of_array

from skhybrid import ODE, HybridRegressor
from skhybrid.datasets import make_pendulum
from skhybrid.inspection import profile


def brute_force():
    """Return the interval of the height by the F-test, from scipy."""

    def residuals(values):
        return values[0] * (1.0 - np.exp(-values[1] * T)) - Y

    best = least_squares(residuals, [2.0, 0.5], xtol=1e-12, ftol=1e-12)
    limit = 2.0 * best.cost * (1.0 + fisher_f.ppf(0.95, 1, 23) / 23)

    def excess(height):
        return 2.0 * least_squares(lambda v: residuals([height, v[0]]), [0.5]).cost - limit

    return brentq(excess, 2.0, best.x[0]), brentq(excess, best.x[0], 6.0)


@pytest.mark.parametrize(("physics", "name"), [(rise, "height"), (rise_of_array, "both[0]")])
def test_the_interval_of_the_physics_alone_is_that_of_the_f_test(physics, name):
    found = profile(HybridRegressor(physics, nn=None), T[:, None], Y, name, grid=[2.9, 3.2])
    assert found.interval == pytest.approx(brute_force(), rel=1e-4)
    assert (found.loss > found.least_loss).all()
    assert found.held_out_loss.shape == (2,)
    assert "F-test" in repr(found)
    assert "held-out" in found._repr_html_()
    assert found.frame[name].tolist() == [2.9, 3.2]


def test_windows_with_errors_in_common_have_no_f_test():
    swings = make_pendulum(5, n_times=20, noise=0.05, random_state=0)
    model = HybridRegressor(swings.physics, structure=ODE(dt=swings.dt, window=2), nn=None)
    found = profile(model, swings.data, swings.target, "omega2", grid=[1.0])
    assert found.interval is None
    assert "no F-test" in repr(found)


def test_an_exact_fit_has_a_grid_and_no_f_test():
    exact = 3.0 * (1.0 - np.exp(-0.6 * T))
    found = profile(HybridRegressor(rise, nn=None), T[:, None], exact, "rate")
    assert len(np.unique(found.values)) == 11
    assert found.interval is None
    assert "exact" in found.reason


def test_as_many_values_as_parameters_have_no_f_test():
    found = profile(HybridRegressor(rise, nn=None), T[1:3, None], Y[1:3], "rate", grid=[0.5])
    assert found.interval is None
    assert "2 values" in found.reason
