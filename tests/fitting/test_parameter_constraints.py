"""Types and values that the estimator's parameters may have."""

from __future__ import annotations

from dataclasses import fields

import pytest
from sklearn.utils._param_validation import (
    InvalidParameterError,
    generate_invalid_param_val,
    generate_valid_param,
    make_constraint,
    validate_parameter_constraints,
)

from skhybrid import HybridRegressor
from skhybrid.fitting.parameter_constraints import PARAMETER_CONSTRAINTS
from skhybrid.fitting.settings import FitSettings


def test_every_setting_has_constraints():
    assert list(PARAMETER_CONSTRAINTS) == [each.name for each in fields(FitSettings)]


def test_the_defaults_are_valid():
    validate_parameter_constraints(
        PARAMETER_CONSTRAINTS, HybridRegressor().get_params(), "HybridRegressor"
    )


INTERVALS = [
    (name, constraint)
    for name, constraints in PARAMETER_CONSTRAINTS.items()
    for constraint in map(make_constraint, constraints)
    if type(constraint).__name__ in ("Interval", "StrOptions")
]


@pytest.mark.parametrize(("name", "constraint"), INTERVALS)
def test_values_outside_an_interval_or_a_list_are_refused(name, constraint):
    constraints = {name: PARAMETER_CONSTRAINTS[name]}
    value = generate_valid_param(constraint)
    validate_parameter_constraints(constraints, {name: value}, "HybridRegressor")
    wrong = generate_invalid_param_val(constraint)
    with pytest.raises(InvalidParameterError, match=f"The {name!r} parameter of HybridRegressor"):
        validate_parameter_constraints(constraints, {name: wrong}, "HybridRegressor")
