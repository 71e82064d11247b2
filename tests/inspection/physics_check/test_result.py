"""The result of a check as text and in notebooks."""

from __future__ import annotations

import math

import pytest
from small_models import drive, drive_two, make_table

from skhybrid import Param, Physics, check_physics
from skhybrid.inspection.physics_check import ParameterAtStart, PhysicsCheck


@pytest.fixture(scope="module")
def found():
    X, y = make_table()
    gain = Param(1.0, bounds=(0, None), unit="N<")
    return check_physics(Physics(drive, gain=gain, offset=Param(0.1, fixed=True)), X, y)


def test_text(found):
    text = repr(found)
    assert "usable on these data." in text
    assert "[0, ∞)" in text and "N<" in text and "fixed" in text
    assert "Passed: signature" in text
    assert text.count("\n") < 12


def test_html_is_escaped(found):
    assert "N&lt;" in found._repr_html_()
    assert "<table>" in found._repr_html_()


def test_an_error_is_the_first_problem_of_the_text():
    X, y = make_table()
    text = str(check_physics(drive_two, X, y))
    assert "a fit to these data would stop." in text
    assert "1. Error (output and gradients)" in text


def test_long_parameters_are_cut():
    rows = [ParameterAtStart(f"k[{i}]", 1.0, "", 0.0, math.inf, False, 1.0, 0.1) for i in range(40)]
    found = PhysicsCheck("many", {}, parameters=tuple(rows))
    assert "16 more in .frame" in str(found)
    assert len(found.frame) == 40
