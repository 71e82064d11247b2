"""The prior of a parameter: its forms, its faults, and its text."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skhybrid.exceptions import PhysicsError
from skhybrid.model.param import Param, replaced
from skhybrid.model.param_prior import prior_text
from skhybrid.model.physics import Physics


def spring(position, *, stiffness=1.0, rest=0.0):
    return stiffness * (position - rest)


def test_a_normal_prior_has_mean_and_standard_deviation_of_the_shape():
    kind, mean, std = Param([1.0, 2.0], prior=(1.5, [0.1, 0.2])).prior_moments()
    assert kind == "normal"
    np.testing.assert_array_equal(mean, [1.5, 1.5])
    np.testing.assert_array_equal(std, [0.1, 0.2])


def test_a_lognormal_prior_has_those_of_the_logarithm():
    kind, mean, std = Param(1.0, prior=("lognormal", 2.0, 1.5)).prior_moments()
    assert kind == "lognormal"
    assert float(mean) == pytest.approx(math.log(2.0))
    assert float(std) == pytest.approx(math.log(1.5))


@pytest.mark.parametrize("prior", [(1.0, 0.1), (torch.tensor(1.0), 0.1), [1, np.float32(0.1)]])
def test_numbers_of_all_types_are_taken(prior):
    Param(1.0, prior=prior).validate("a")


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (5, "must be \\(mean, std\\), or .*got 5"),
        ((1.0,), "must be \\(mean, std\\)"),
        ("ab", "must be \\(mean, std\\)"),
        (("lognorm", 1.0, 2.0), "'lognormal', median, factor.*got \\('lognorm'"),
        (("one", 1.0), "of numbers or of arrays"),
        (([1.0, 2.0], 1.0), "broadcast to its shape \\(\\)"),
        ((math.nan, 1.0), "finite mean"),
        ((1.0, 0.0), "standard deviation above zero; got 0.0.*fixed=True"),
        ((1.0, -1.0), "standard deviation above zero"),
        ((1.0, math.inf), "leave the prior out"),
        (("lognormal", 0.0, 2.0), "median above zero"),
        (("lognormal", 1.0, 1.0), "factor above one"),
        ((9.0, 1.0), "mean 9.0 of .* 'a' is outside its bounds, 0. to 5.. Correct"),
        (("lognormal", 9.0, 1.5), "median 9.0 of the prior"),
    ],
)
def test_faults_are_named(prior, message):
    with pytest.raises(PhysicsError, match=message):
        Param(1.0, bounds=(0.0, 5.0), prior=prior).validate("a")


@pytest.mark.parametrize(
    "param",
    [Param(1.0, prior=("lognormal", 1.0, 2.0)), Param(0.0, (0, 1), prior=("lognormal", 1, 2))],
)
def test_a_lognormal_prior_needs_a_positive_parameter(param):
    with pytest.raises(PhysicsError, match=r"'a' is log-normal.*bounds=\(0, None\)"):
        param.validate("a")


def test_a_prior_stays_with_another_initial_value_and_in_clones():
    physics = Physics(spring, stiffness=Param(1.0, prior=(1.0, 0.1)))
    assert clone(physics).set_params(stiffness=2.0).params["stiffness"].prior == (1.0, 0.1)
    assert replaced(physics.params["stiffness"], Param(2.0), "stiffness").prior is None
    assert repr(physics) == (
        "Physics(spring, stiffness=Param(1.0, prior=(1.0, 0.1)), rest=Param(0.0))"
    )


def test_a_prior_is_keyword_only():
    with pytest.raises(TypeError):
        Param(1.0, (None, None), None, False, (1.0, 0.1))


def test_the_text_of_an_element():
    assert prior_text(None, (), ()) == ""
    assert prior_text((1.0, [0.1, 0.25]), (1,), (2,)) == "1 ± 0.25"
    assert prior_text(("lognormal", 2.0, 1.5), (), ()) == "2 ×/÷ 1.5"
