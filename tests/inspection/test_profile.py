"""Losses along a physics parameter."""

from __future__ import annotations

import numpy as np
import pytest
from small_rise import T, Y, rise

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.inspection import profile

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")


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
