"""Parameters at their starting values."""

from __future__ import annotations

import numpy as np
from small_models import drive, make_table

from skhybrid import Param, Physics, check_physics
from skhybrid.inspection.physics_check.starting_values import parameters_at_start


def test_the_change_of_a_parameter_that_starts_at_zero():
    physics = Physics(drive, gain=Param(0.0, bounds=(-5.0, 5.0)), offset=0.0)
    gain, offset = parameters_at_start(physics, None)
    assert (gain.change, offset.change) == (1.0, 1.0)
    assert np.isnan(gain.effect) and not gain.unfixed


def test_a_parameter_that_hardly_acts():
    X, y = make_table()
    (problem,) = check_physics(Physics(drive, offset=1e-9), X, y).warnings
    assert "offset" in problem.message and "hardly acts" in problem.message


def test_a_prediction_that_does_not_vary():
    X, y = make_table()
    found = check_physics(Physics(drive, gain=Param(0.0, fixed=True), offset=1.0), X, y)
    assert any("does not vary" in each.message for each in found.warnings)
    assert not found.unfixed
