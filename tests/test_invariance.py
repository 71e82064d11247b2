"""Units of the data, bounds that are not reached and offsets do not change a fit."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.exceptions import PoorFitWarning

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 2.5, (60, 2))
Y = 3.0 * np.exp(-1.5 * X[:, 0]) + 4.0 + 0.3 * np.sin(2.0 * X[:, 1]) + 0.03 * RNG.normal(size=60)
TIMES = 0.3 * np.arange(1, 9)
FIRST = RNG.uniform(-1.0, 1.0, (8, 2))
STATES = np.stack(
    [
        np.stack([np.cos(1.3 * TIMES) * a + np.sin(1.3 * TIMES) * b / 1.3, a * TIMES * 0.1 + b], 1)
        for a, b in FIRST
    ]
)

few_examples = settings(max_examples=3, deadline=None, derandomize=True)
powers_of_two = st.integers(-60, 60).map(lambda power: 2.0**power)
# Inside these numbers, nothing in single precision overflows.
factors = st.floats(-9.0, 9.0).map(lambda power: 10.0**power)


def cooling(x, *, height, rate, base, unit_x, unit_y, unit):
    return (height * unit * torch.exp(-rate * x / unit_x) + base) * unit_y


def spring(t, state, *, stiffness, unit_t, unit):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -stiffness * unit * position], dim=-1) / unit_t


def fit(
    *,
    unit_x=1.0,
    unit_y=1.0,
    unit=1.0,
    shift=0.0,
    bounds=(None, None),
    dtype="float64",
    nn=(8,),
    n_steps=20,
    y=Y,
):
    """Fit a table; return θ and the prediction in the original units."""
    limits = tuple(None if side is None else side / unit for side in bounds)
    fixed = {
        name: Param(value, fixed=True)
        for name, value in {"unit_x": unit_x, "unit_y": unit_y, "unit": unit}.items()
    }
    unknown = {"height": Param(1.0 / unit, limits), "rate": 1.0, "base": Param(2.5, bounds)}
    model = HybridRegressor(
        Physics(cooling, **unknown, **fixed),
        nn=nn,
        nn_features=[1],
        batch_size=None,
        max_epochs=n_steps,
        refine_rho=None,
        dtype=dtype,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X * unit_x, (y + shift) * unit_y)
    theta = model.physics_params_
    found = np.array([theta["height"] * unit, theta["rate"], theta["base"] - shift])
    return found, model.predict(X * unit_x) / unit_y - shift


def fit_spring(*, unit_t=1.0, unit_y=1.0, unit=1.0, bounds=(None, None), dtype="float64"):
    """Fit trajectories; return θ and the prediction in the original units."""
    limits = tuple(None if side is None else side / unit for side in bounds)
    fixed = {"unit_t": Param(unit_t, fixed=True), "unit": Param(unit, fixed=True)}
    model = HybridRegressor(
        Physics(spring, stiffness=Param(1.0 / unit, limits), **fixed),
        nn=(8,),
        structure=ODE(times=TIMES * unit_t),
        batch_size=None,
        max_epochs=20,
        refine_rho=None,
        dtype=dtype,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(FIRST * unit_y, STATES * unit_y)
    return np.array([model.physics_params_["stiffness"] * unit]), (
        model.predict(FIRST * unit_y) / unit_y
    )


@lru_cache
def reference(kind, **options):
    return {"table": fit, "trajectories": fit_spring}[kind](**options)


def largest_change(found, expected, y=Y):
    """Return the change of θ relative to θ, or of the prediction in standard deviations."""
    (theta, prediction), (theta_0, prediction_0) = found, expected
    return max(
        float(np.abs(theta / theta_0 - 1.0).max()),
        float(np.abs(prediction - prediction_0).max() / y.std()),
    )


def same(found, expected):
    return all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


UNITS = {"table": ["unit_x", "unit_y", "unit"], "trajectories": ["unit_t", "unit_y", "unit"]}
KINDS = [(kind, unit) for kind, units in UNITS.items() for unit in units]


@pytest.mark.parametrize(("kind", "unit"), KINDS)
@few_examples
@given(factor=powers_of_two, dtype=st.sampled_from(["float32", "float64"]))
def test_a_unit_that_is_a_power_of_two_changes_no_bit(kind, unit, dtype, factor):
    function = {"table": fit, "trajectories": fit_spring}[kind]
    assert same(function(dtype=dtype, **{unit: factor}), reference(kind, dtype=dtype))


@pytest.mark.parametrize(("kind", "unit"), KINDS)
@few_examples
@given(factor=factors, case=st.sampled_from([("float32", 1e-3), ("float64", 1e-6)]))
def test_other_units_change_rounding_errors_alone(kind, unit, case, factor):
    dtype, tolerance = case
    function = {"table": fit, "trajectories": fit_spring}[kind]
    found = function(dtype=dtype, **{unit: factor})
    assert largest_change(found, reference(kind, dtype=dtype)) < tolerance


@few_examples
@given(factor=factors, unit=st.sampled_from(UNITS["table"]))
def test_least_squares_does_not_depend_on_units(factor, unit):
    found = fit(nn=None, **{unit: factor})
    assert largest_change(found, reference("table", nn=None)) < 1e-6


@few_examples
@given(
    kind=st.sampled_from(["table", "trajectories"]),
    low=st.sampled_from([None, 0.0, -1e9]) | st.floats(-100.0, 0.3),
    high=st.sampled_from([None, 1e12]) | st.floats(20.0, 1e4),
)
def test_bounds_that_are_not_reached_change_nothing(kind, low, high):
    function = {"table": fit, "trajectories": fit_spring}[kind]
    assert largest_change(function(bounds=(low, high)), reference(kind)) < 1e-6


@few_examples
@given(shift=st.floats(-1e4, 1e4), nn=st.sampled_from([None, (8,)]))
def test_an_offset_of_the_target_is_found_by_the_offset_of_the_physics(shift, nn):
    assert largest_change(fit(shift=shift, nn=nn), reference("table", nn=nn)) < 1e-5


@pytest.mark.parametrize("kind", ["table", "trajectories"])
def test_a_change_of_the_data_is_seen(kind):
    """So that the tests above can fail."""
    if kind == "table":
        assert largest_change(fit(y=Y * (1.0 + 1e-5 * X[:, 1])), reference("table")) > 1e-6
    else:
        found = fit_spring(bounds=(0.18, None))
        assert largest_change(found, reference("trajectories")) > 1e-6


@pytest.mark.parametrize(("shift", "dtype"), [(3e3, "float32"), (-3e3, "float32")])
def test_an_offset_with_few_digits_left_is_reported(shift, dtype):
    model = HybridRegressor(
        Physics(lambda x, *, slope=1.0, base=0.0: slope * x + base),
        nn=(4,),
        max_epochs=1,
        random_state=0,
    )
    with pytest.warns(PoorFitWarning, match=r"offset .* dtype='float64'"):
        model.fit(X, Y + shift)
    for advised in (model.set_params(dtype="float64"), model):
        with warnings.catch_warnings():
            warnings.simplefilter("error", PoorFitWarning)
            advised.fit(X, Y + (shift if advised.dtype == "float64" else 0.0))
