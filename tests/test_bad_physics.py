"""Physics that cannot be used: the error names the fault, and nothing half-fitted is left."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from small_light import SEEN, X, Y, fitted_attributes, make_model
from torch import nn

from skhybrid import HybridRegressor, Param
from skhybrid.exceptions import PhysicsError

pytestmark = pytest.mark.filterwarnings(
    "ignore:Converting a tensor with requires_grad:UserWarning",
    "ignore::skhybrid.exceptions.PhysicsInitWarning",
)


@pytest.fixture(scope="module")
def fitted_once() -> HybridRegressor:
    return make_model().fit(X, Y)


@pytest.fixture
def fitted(fitted_once) -> HybridRegressor:
    """A fitted model for one test."""
    return copy.deepcopy(fitted_once)


# Every case is tried with a network and without one, with and without a least-squares start.


def returns_one_number(red, green, *, gain=1.0):
    return gain


def returns_a_matrix(red, green, *, gain=1.0):
    return gain * red[:, None] * green


def returns_numpy(red, green, *, gain=1.0):
    return red.numpy() * float(gain)


def returns_nothing(red, green, *, gain=1.0):
    gain * red


def returns_complex(red, green, *, gain=1.0):
    return gain * torch.sqrt(green + 0j)


def returns_nan(red, green, *, gain=1.0):
    return gain * torch.sqrt(green)


def cuts_off_gain(red, green, *, gain=1.0, offset=0.1):
    return gain.item() * red + offset * green


def cuts_off_offset(red, green, *, gain=1.0, offset=0.1):
    return gain * red + math.exp(offset) * green


def ignores_offset(red, green, *, gain=1.0, offset=0.1):
    return gain * red


def uses_numpy(red, green, *, gain=1.0):
    return np.exp(gain) * red


def changes_its_input(red, green, *, gain=1.0):
    red += 1.0
    return gain * red


def has_a_typo(reed, green, *, gain=1.0):
    return gain * reed


def wants_another_column(red, blue, *, gain=1.0):
    return gain * red * blue


def forgot_the_star(red, green, gain=1.0):
    return gain * red


def needs_a_start(red, green, *, gain):
    return gain * red


PHYSICS_CASES = {
    "one number": (
        returns_one_number,
        r"'returns_one_number' must return shape \(24,\) for 24 rows",
    ),
    "matrix": (returns_a_matrix, r"'returns_a_matrix' must return shape .* returned \(24, 24\)"),
    "numpy array": (returns_numpy, "'returns_numpy' .* returned ndarray. Use torch's functions"),
    "nothing": (returns_nothing, "'returns_nothing' .* Is a return statement missing"),
    "complex": (returns_complex, "'returns_complex' must return real numbers"),
    "nan": (returns_nan, r"'returns_nan' is not finite for \d+ of 24 .* the first has red = 1.08"),
    "cut off": (cuts_off_gain, "no gradient with respect to parameter 'gain'.*item"),
    "cut off by math": (cuts_off_offset, "no gradient with respect to parameter 'offset'.*math"),
    "not used": (ignores_offset, "parameter 'offset': it does not use it.*fixed=True"),
    "numpy function": (uses_numpy, "'uses_numpy' failed at gain=1.*Use torch's functions"),
    "in place": (changes_its_input, "'changes_its_input' changes its inputs in place"),
    "typo": (has_a_typo, r"'has_a_typo' needs a column 'reed'.*Did you mean 'red'\?"),
    "unknown column": (wants_another_column, "needs a column 'blue'.*Columns of X: red, green"),
    "no star": (forgot_the_star, "'gain' of forgot_the_star .* after a star"),
    "no start": (needs_a_start, "'gain' of needs_a_start has no initial value"),
    "class": (nn.Linear, "Pass an instance of the class"),
}


@pytest.mark.parametrize("settings", [{}, {"physics_init": "given"}, {"nn": None}], ids=str)
@pytest.mark.parametrize(("physics", "message"), PHYSICS_CASES.values(), ids=PHYSICS_CASES)
def test_physics_that_cannot_be_used_is_named(physics, message, settings):
    model = make_model(physics=physics, **settings)
    with pytest.raises(PhysicsError, match=message):
        model.fit(X, Y)
    assert set(fitted_attributes(model)) <= SEEN


def test_initial_value_outside_bounds_in_the_signature():
    def physics(red, green, *, gain=Param(-1.0, bounds=(0.0, None))):  # noqa: B008
        return gain * red

    model = make_model(physics=physics)
    with pytest.raises(PhysicsError, match=r"-1\.0 of physics parameter 'gain' is outside"):
        model.fit(X, Y)
    assert not fitted_attributes(model).keys() - SEEN


def test_too_few_features_for_the_named_arguments():
    model = make_model()
    message = r"'light' reads 2 features \(red, green\), in this order; X has only 1"
    with pytest.raises(PhysicsError, match=message):
        model.fit(X[["red"]].to_numpy(), Y)
    with pytest.raises(PhysicsError, match="'light' needs a column 'green'"):
        model.fit(X[["red"]], Y)
    assert set(fitted_attributes(model)) <= SEEN


# Refused when it is read, when it is called first, and when its gradient is checked.
@pytest.mark.parametrize("name", ["no star", "nan", "cut off"])
def test_refit_with_bad_physics_leaves_the_old_fit(name, fitted):
    physics, message = PHYSICS_CASES[name]
    params, prediction = dict(fitted.physics_params_), fitted.predict(X)
    with pytest.raises(PhysicsError, match=message):
        fitted.set_params(physics=physics).fit(X, Y)
    assert fitted.physics_params_ == params
    np.testing.assert_array_equal(fitted.predict(X), prediction)


def test_refit_that_fails_on_another_table_leaves_the_old_fit(fitted):
    prediction = fitted.predict(X)
    with pytest.raises(PhysicsError, match="needs a column 'green'"):
        fitted.fit(X[["red"]], Y)
    np.testing.assert_array_equal(fitted.predict(X), prediction)


def test_failed_warm_start_leaves_the_old_fit(fitted):
    prediction = fitted.predict(X)
    with pytest.raises(PhysicsError, match="cuts it off"):
        fitted.set_params(warm_start=True, physics=cuts_off_gain).fit(X, Y)
    np.testing.assert_array_equal(fitted.predict(X), prediction)
