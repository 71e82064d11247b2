"""Losses along a physics parameter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, least_squares
from scipy.stats import f as fisher_f

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import make_pendulum
from skhybrid.inspection import profile

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

RNG = np.random.default_rng(0)
T = np.linspace(0.0, 5.0, 25)
Y = 3.0 * (1.0 - np.exp(-0.6 * T)) + 0.1 * RNG.standard_normal(25)


def rise(t, *, height=2.0, rate=0.5):
    return height * (1.0 - torch.exp(-rate * t))


def rise_of_array(t, *, both=(2.0, 0.5)):
    return both[0] * (1.0 - torch.exp(-both[1] * t))


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


def test_the_default_grid_reaches_three_standard_errors_within_the_bounds():
    bounded = Physics(rise, height=Param(2.0, bounds=(0.0, 3.1), unit="m"))
    model = HybridRegressor(bounded, nn=None).fit(T[:, None], Y)
    found = profile(model, T[:, None], Y, "height")
    error = model.physics_params_std_["height"]
    assert found.values[0] == pytest.approx(found.estimate - 3.0 * error)
    assert found.values[-1] == 3.1
    assert found.interval[1] == 3.1
    assert found.unit == "m"


def test_a_hybrid_has_losses_and_no_interval():
    model = HybridRegressor(rise, nn=(4,), max_epochs=20, random_state=0)
    found = profile(model, T[:, None], Y, "rate", grid=[0.6, 3.0])
    assert found.interval is None
    assert "confidence_intervals" in repr(found)
    assert found.loss[1] > found.loss[0]
    assert np.isfinite(found.held_out_loss).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"param": "slope"}, "'slope' is no free physics parameter; there are height, rate"),
        ({"param": "height", "grid": [-1.0]}, "grid holds -1, and the bounds of height are 0"),
        ({"param": "height", "grid": []}, "grid must be a list"),
    ],
)
def test_mistakes_are_named(arguments, words):
    model = HybridRegressor(Physics(rise, height=Param(2.0, bounds=(0.0, None))), nn=None)
    with pytest.raises(ValueError, match=words):
        profile(model, T[:, None], Y, **arguments)


@pytest.mark.parametrize("level", [95, 0.0, -0.5])
def test_the_level_is_checked_before_any_fit(level):
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        profile(HybridRegressor(rise, nn=None), T[:, None], Y, "rate", level=level)


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
