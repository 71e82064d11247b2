"""One unknown: its value, its bounds and what replaces it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skhybrid.exceptions import PhysicsError
from skhybrid.model.param import Param, plain, replaced


def test_a_number_has_an_empty_shape_and_open_limits():
    param = Param(3)
    assert param.shape == ()
    assert param.value().dtype == np.float64
    assert param.value() == 3.0
    assert [float(side) for side in param.limits()] == [-math.inf, math.inf]


def test_limits_have_the_shape_of_the_value():
    low, high = Param([1.0, 2.0, 3.0], bounds=(0.0, [5.0, 6.0, 7.0])).limits()
    np.testing.assert_array_equal(low, [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(high, [5.0, 6.0, 7.0])
    low, high = Param(np.ones((2, 1)), bounds=([[0.0]], None)).limits()
    assert low.shape == high.shape == (2, 1)


@pytest.mark.parametrize(
    "init",
    [2.5, np.float32(2.5), np.array(2.5), torch.tensor(2.5), torch.nn.Parameter(torch.tensor(2.5))],
)
def test_any_type_of_number_is_a_value(init):
    param = Param(init)
    param.validate("a")
    assert param.shape == ()
    assert param.value() == 2.5


def test_value_is_a_copy():
    init = np.array([1.0, 2.0])
    Param(init).value()[0] = 9.0
    assert init[0] == 1.0


@pytest.mark.parametrize(
    ("param", "message"),
    [
        (Param("one"), "initial value of physics parameter 'a' must be a number.*'one'"),
        (Param("1", bounds=(0, 2)), "initial value of physics parameter 'a' must be a number.*'1'"),
        (Param(1.0, bounds=("0", 2.0)), "bounds of physics parameter 'a' must be a pair"),
        (Param(1 + 2j), "initial value of physics parameter 'a' must be a number"),
        (Param(None), "'a' must be"),
        (Param([1.0, [2.0]]), "initial value of physics parameter 'a' must be a number"),
        (Param(math.nan), "'a' must be finite"),
        (Param([1.0, math.inf]), "'a' must be finite"),
        (Param([]), "'a' must be finite and not empty"),
        (Param(1.0, bounds=3.0), "bounds of physics parameter 'a' must be a pair"),
        (Param(1.0, bounds=None), "bounds of physics parameter 'a' must be a pair"),
        (Param(1.0, bounds=(0.0, 1.0, 2.0)), "bounds of physics parameter 'a' must be a pair"),
        (Param(1.0, bounds=("low", None)), "bounds of physics parameter 'a' must be a pair"),
        (Param([1.0, 1.0], bounds=([0.0] * 3, None)), r"broadcast to its shape \(2,\)"),
        (Param(1.0, bounds=(2.0, 0.0)), "'a' must have low < high"),
        (Param(1.0, bounds=(1.0, 1.0)), "'a' must have low < high.*fixed=True"),
        (Param(1.0, bounds=(math.nan, 2.0)), "'a' must have low < high"),
        (
            Param(3.0, bounds=(0.0, 2.0)),
            r"initial value 3.0 of physics parameter 'a' is outside.*2.0",
        ),
        (Param([1.0, -1.0], bounds=(0.0, None)), "'a' is outside its bounds"),
        (Param([1.0, 9.0], bounds=(None, [10.0, 8.0])), "'a' is outside its bounds"),
    ],
)
def test_errors_name_the_wrong_param(param, message):
    with pytest.raises(PhysicsError, match=message):
        param.validate("a")


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_bounds_are_closed(value):
    Param(value, bounds=(0.0, 1.0)).validate("a")


def test_repr_shows_the_arguments_that_are_not_default():
    assert repr(Param(1.0)) == "Param(1.0)"
    shown = repr(Param(1.0, bounds=(0.0, None), unit="s", fixed=True))
    assert shown == "Param(1.0, bounds=(0.0, None), unit='s', fixed=True)"
    assert repr(Param([1.0, 2.0], bounds=(np.zeros(2), None))) == (
        "Param([1.0, 2.0], bounds=(array([0., 0.]), None))"
    )
    assert repr(Param(1.0, bounds=2.0)) == "Param(1.0, bounds=2.0)"  # validate says what is wrong
    assert repr(Param(1.0, bounds=None)) == "Param(1.0, bounds=None)"


# Another value.


def test_another_initial_value_keeps_the_rest():
    param = Param([1.0, 2.0], bounds=(0.0, None), unit="s", fixed=True)
    other = replaced(param, [3.0, 4.0], "a")
    assert repr(other) == "Param([3.0, 4.0], bounds=(0.0, None), unit='s', fixed=True)"
    assert repr(param) == "Param([1.0, 2.0], bounds=(0.0, None), unit='s', fixed=True)"


def test_a_param_replaces_everything():
    other = Param(np.ones(3), fixed=True)
    assert replaced(Param(1.0, unit="s"), other, "a") is other
    with pytest.raises(PhysicsError, match="'a' is outside its bounds"):
        replaced(Param(1.0), Param(1.0, bounds=(2.0, None)), "a")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("one", "'a' must be a number"),
        ([1.0, [2.0]], "'a' must be a number"),
        ([1.0, math.inf], "'a' must be finite"),
        (1.0, r"new initial value 1.0 of physics parameter 'a' has shape \(\).*shape \(2,\)"),
        ([1.0, 2.0, 3.0], r"'a' has shape \(3,\)"),
        ([1.0, -2.0], "'a' is outside its bounds"),
    ],
)
def test_a_wrong_value_is_named(value, message):
    with pytest.raises(PhysicsError, match=message):
        replaced(Param([1.0, 2.0], bounds=([0.0, 0.0], None)), value, "a")


def test_plain_values_share_no_memory_with_a_tensor():
    tensor = torch.ones(2, dtype=torch.float64)
    found = plain(tensor)
    tensor += 1.0
    np.testing.assert_array_equal(found, [1.0, 1.0])
    assert type(plain(np.float32(2.0))) is float
    assert plain([1, 2]) == [1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per": ["a", "b"]}, "one column; got \\['a', 'b'\\]"),
        ({"per": True}, "one column; got True"),
        ({"per": "site", "fixed": True}, "per='site' and fixed=True"),
        ({"per": "site", "depends_on": ["x"]}, "per='site' and depends_on"),
        ({"per_std": 1.0}, "per names no column"),
        ({"per": "site", "per_std": 0.0}, "must be positive"),
        ({"per": "site", "per_std": [1.0, 2.0]}, "broadcasts to its shape"),
        ({"per": "site", "per_std": "much"}, "must be a number"),
    ],
)
def test_errors_of_groups(options, message):
    with pytest.raises(PhysicsError, match=message):
        Param(1.0, **options).validate("k")


def test_repr_of_groups():
    param = Param(1.0, per="site", per_std=0.2)
    assert repr(param) == "Param(1.0, per='site', per_std=0.2)"
    assert Param([1.0, 2.0], per=0, per_std=0.2).spread().tolist() == [0.2, 0.2]


def test_what_excludes_a_function_of_features():
    bounds = ([0.0, -np.inf], None)
    with pytest.raises(PhysicsError, match="'level' has depends_on, and bounds for some of its el"):
        Param((1.0, 2.0), bounds=bounds, depends_on=["moisture"]).validate("level")
    with pytest.raises(PhysicsError, match="'base' has depends_on and a prior"):
        Param(1.0, prior=(1.0, 0.1), depends_on=["moisture"]).validate("base")
