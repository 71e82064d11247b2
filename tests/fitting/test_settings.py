"""The settings of a fit, from the estimator's parameters."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from sklearn.utils._param_validation import (
    InvalidParameterError,
    generate_invalid_param_val,
    generate_valid_param,
    make_constraint,
    validate_parameter_constraints,
)
from small_models import ForceModule, drive, make_model, twice_corrected

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.fitting.settings import PARAMETER_CONSTRAINTS, FitSettings
from skhybrid.model.structures import additive, serial


def test_there_is_a_setting_for_every_parameter():
    settings = FitSettings.of(HybridRegressor(drive))
    assert {each.name for each in fields(settings)} == HybridRegressor().get_params().keys()


def test_plain_parameters_are_as_given():
    given = {"rho": 0.3, "l2": 0.01, "max_epochs": 7, "batch_size": None, "verbose": 2}
    settings = FitSettings.of(HybridRegressor(drive, **given))
    assert {name: getattr(settings, name) for name in given} == given
    defaults = FitSettings.of(HybridRegressor(drive))
    assert (defaults.max_epochs, defaults.batch_size) == ("auto", "auto")


def test_chosen_values_replace_auto():
    model = HybridRegressor(drive, rho="auto", nn_features="auto", refine_rho="auto")
    settings = FitSettings.of(model, rho=0.1, nn_features=["angle"], refine_rho=None)
    assert (settings.rho, settings.nn_features, settings.refine_rho) == (0.1, ["angle"], None)
    assert (model.rho, model.nn_features, model.refine_rho) == ("auto", "auto", "auto")


@pytest.mark.parametrize("physics", [drive, ForceModule(), Physics(drive)])
def test_physics_is_wrapped(physics):
    settings = FitSettings.of(HybridRegressor(physics))
    assert isinstance(settings.physics, Physics)
    assert list(settings.physics.params) == ["gain", "offset"]


def test_a_network_alone_has_no_physics():
    assert FitSettings.of(HybridRegressor(None)).physics is None


@pytest.mark.parametrize(
    ("given", "function"),
    [("additive", additive), ("serial", serial), (twice_corrected, twice_corrected)],
)
def test_a_structure_is_its_function(given, function):
    assert FitSettings.of(HybridRegressor(drive, structure=given)).structure is function


def test_a_differential_equation_is_cloned():
    ode = ODE(dt=0.1, window=3)
    structure = FitSettings.of(HybridRegressor(drive, structure=ode)).structure
    assert structure is not ode
    assert structure.get_params() == ode.get_params()
    ode.set_params(window=5)
    assert structure.window == 3


def test_the_physics_of_a_fit_does_not_change_with_the_estimator():
    model = HybridRegressor(Physics(drive))
    physics = FitSettings.of(model).physics
    model.set_params(physics__gain=7.0)
    assert physics.params["gain"].value() == 1.0
    assert FitSettings.of(model).physics.params["gain"].value() == 7.0


def test_dtype_and_device_are_those_of_torch():
    settings = FitSettings.of(HybridRegressor(drive, dtype="float64", device="cpu"))
    assert settings.dtype is torch.float64
    assert settings.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"physics": None, "nn": None}, ValueError, "physics and nn are both None"),
        (
            {"structure": ODE},
            ValueError,
            r"structure is the class ODE; pass an instance of it, such as ODE\(dt=1.0\)",
        ),
        ({"nn": (8, 0)}, NetworkError, r"nn must be hidden sizes.*\(8, 0\)"),
        ({"nn": [8, "8"]}, NetworkError, "nn must be hidden sizes"),
        ({"physics": torch.nn.Linear}, PhysicsError, "Pass an instance of the class"),
        (
            {"device": "gpu"},
            InvalidParameterError,
            "'device' parameter of HybridRegressor must be 'auto' or a torch device",
        ),
    ],
    ids=str,
)
def test_a_part_that_cannot_be_used_is_named(parameters, error, message):
    with pytest.raises(error, match=message):
        FitSettings.of(make_model(**parameters))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [({}, True), ({"rho": 0.0}, False), ({"optimizer": "adam"}, False)],
    ids=str,
)
def test_sam_needs_a_radius(parameters, expected):
    assert FitSettings.of(HybridRegressor(drive, **parameters)).uses_sam == expected


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


@pytest.mark.parametrize(
    "structure, corrects",
    [
        ("auto", False),
        ("none", False),
        ("additive", True),
        (ODE(dt=1.0), False),
        (ODE(dt=1.0, join="add"), True),
        (ODE(dt=1.0, join="none", correct="output"), True),
    ],
)
def test_functions_take_the_place_of_a_correction_by_default(structure, corrects):
    def physics(x, *, rate=1.0):
        return rate * x

    varying = Physics(physics, rate=Param(1.0, depends_on=[0]))
    assert FitSettings.of(HybridRegressor(varying, structure=structure)).corrects == corrects
    if structure != "none" and getattr(structure, "join", None) != "none":
        assert FitSettings.of(HybridRegressor(physics, structure=structure)).corrects
