"""Checks of the physics and of the whole model before training, and their messages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from skhybrid.exceptions import NetworkError, PhysicsError, StructureError
from skhybrid.fitting.checks import check_physics, check_structure
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.param import Param
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.scales import Scales
from skhybrid.model.structures import get_structure

# Torch warns about a cause that our errors explain.
pytestmark = pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad:UserWarning")

X = torch.tensor([[1.0, 10.0], [4.0, 20.0], [9.0, 40.0]])


def make_hybrid(physics, network=None, structure="additive") -> Hybrid:
    if physics is not None and not isinstance(physics, Physics):
        physics = Physics(physics)
    zero, one = torch.zeros(()), torch.ones(())
    whole = physics is not None and physics.inputs == ("X",)
    return Hybrid(
        physics,
        ParameterSpace(physics, dtype=torch.float32),
        network,
        get_structure(structure),
        Scales(zero, one, zero, one, zero, one),
        physics_columns=None if whole or physics is None else range(len(physics.inputs)),
    )


# Physics


def sound(a, b, *, gain=1.0, power=2.0, offset=(0.0, 0.0)):
    return gain * a**power + offset[0] * b + offset[1]


class SoundModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, a):
        return self.gain * a


@pytest.mark.parametrize(
    "physics",
    [
        None,
        sound,
        SoundModule(),
        lambda X, *, gain=1.0: gain * X[:, 0],
        lambda a: a,
        lambda a, *, gain=1.0: gain * np.float64(3.0) * a,
    ],
)
def test_sound_physics_passes_the_check_and_keeps_no_gradient(physics):
    hybrid = make_hybrid(physics)
    x = X.clone()
    with torch.no_grad():
        check_physics(hybrid, x)
    assert torch.equal(x, X)
    assert not x.requires_grad
    if isinstance(physics, nn.Module):
        assert physics.gain.grad is None


def by_numpy(a, *, gain=1.0):
    return np.cos(gain) * a


def by_math(a, *, gain=1.0):
    return math.cos(gain) * a


def by_item(a, *, gain=1.0, offset=0.5):
    return gain * a + offset.item()


def by_detach(a, *, gain=1.0, offset=0.5):
    return gain.detach() * a + offset


def by_new_tensor(a, *, gain=1.0):
    return torch.tensor(float(gain)) * a


def by_rounding_to_integers(a, *, gain=1.0):
    return (gain * a).long()


def not_used(a, *, gain=1.0, offset=0.5):
    return gain * a


def uses_an_undefined_name(a, *, gain=1.0):
    return gain * undefined_name * a  # noqa: F821


def wrong_type(a, *, gain=1.0):
    return gain * a + "1"


def in_place(a, b, *, gain=1.0):
    b *= 2.0
    return gain * b


def in_place_table(X, *, gain=1.0):
    X[:, 0] = 0.0
    return gain * X[:, 1]


def negative_logarithm(a, b, *, gain=1.0):
    return gain * torch.log(a - 2.0)


def slope_at_zero(a, *, gain=0.0):
    return torch.sqrt(gain) * a


@pytest.mark.parametrize(
    ("physics", "message"),
    [
        (
            by_numpy,
            "'by_numpy' failed at gain=1.: it hands a tensor to numpy.*Use torch's functions",
        ),
        (by_math, "'by_math' has no gradient with respect to parameter 'gain'.*math"),
        (by_item, "'by_item' has no gradient with respect to parameter 'offset'.*item"),
        (by_detach, "'by_detach' has no gradient with respect to parameter 'gain'.*detach"),
        (by_new_tensor, "no gradient with respect to parameter 'gain'.*torch.tensor"),
        (by_rounding_to_integers, "no gradient with respect to parameter 'gain'"),
        (not_used, "respect to parameter 'offset': it does not use it.*fixed=True"),
        (uses_an_undefined_name, "'uses_an_undefined_name' failed at gain=1.*undefined_name"),
        (wrong_type, "'wrong_type' failed at gain=1.*Use torch's functions"),
        (in_place, "'in_place' changes its inputs in place"),
        (in_place_table, "'in_place_table' changes its inputs in place"),
        (
            negative_logarithm,
            "'negative_logarithm' is not finite for 1 of 3 training rows at gain=1.; "
            r"the first has a = 1, b = 10\. Choose another initial value or guard",
        ),
        (slope_at_zero, "gradient of physics 'slope_at_zero' .* 'gain' is not finite at gain=0"),
        (lambda a, *, gain=1.0: gain, r"'<lambda>' must return shape \(3,\)"),
    ],
)
def test_the_error_names_the_fault_of_the_physics(physics, message):
    with pytest.raises(PhysicsError, match=message):
        check_physics(make_hybrid(physics), X.clone())


def test_the_error_shows_the_whole_row_if_the_physics_reads_the_table():
    def physics(X, *, gain=1.0):
        return gain * torch.log(X[:, 1] - 30.0)

    with pytest.raises(PhysicsError, match=r"for 2 of 3 .* the first has X = \[1.0, 10.0\]"):
        check_physics(make_hybrid(physics), X)


def test_known_parameters_need_no_gradient():
    check_physics(make_hybrid(Physics(by_item, offset=Param(0.5, fixed=True))), X)
    check_physics(make_hybrid(Physics(not_used, offset=Param(0.5, fixed=True))), X)


def test_the_original_error_is_kept_as_the_cause():
    with pytest.raises(PhysicsError) as caught:
        check_physics(make_hybrid(uses_an_undefined_name), X)
    assert isinstance(caught.value.__cause__, NameError)


# Network and structure


@pytest.mark.parametrize("structure", ["additive", "multiplicative"])
def test_sound_network_passes_the_check(structure):
    check_structure(make_hybrid(sound, nn.Linear(2, 1), structure), X)
    check_structure(make_hybrid(None, nn.Linear(2, 1), structure), X)
    check_structure(make_hybrid(sound, None, structure), X)


def test_serial_network_has_one_more_input():
    check_structure(make_hybrid(sound, nn.Linear(3, 1), "serial"), X)
    message = r"nn failed on inputs of shape \(3, 3\), which are rows and 3 features.*structure"
    with pytest.raises(NetworkError, match=message):
        check_structure(make_hybrid(sound, nn.Linear(2, 1), "serial"), X)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(5, 1), r"nn failed on inputs of shape \(3, 2\).*cannot be multiplied"),
        (nn.Linear(2, 4), r"nn must return shape \(3,\).*returned \(3, 4\)"),
        (nn.LSTM(2, 1), "nn must return a torch.Tensor; it returned a tuple"),
        (nn.Sequential(nn.Linear(2, 1), nn.Threshold(1e9, math.nan)), "not finite"),
    ],
)
def test_the_error_names_the_fault_of_the_network(network, message):
    with pytest.raises(NetworkError, match=message):
        check_structure(make_hybrid(sound, network), X)


@pytest.mark.parametrize("physics", [None, lambda a: a])
def test_a_model_without_parameters_to_learn_is_refused(physics):
    frozen = nn.Linear(2, 1).requires_grad_(False)
    for network in (frozen, nn.AvgPool1d(2)):
        with pytest.raises(NetworkError, match="Neither physics nor nn has a parameter to learn"):
            check_structure(make_hybrid(physics, network), X)
    check_structure(make_hybrid(sound, frozen), X)


def test_an_error_inside_the_structure_names_it():
    def structure(x, physics, nn):
        raise KeyError("mine")

    with pytest.raises(StructureError, match="structure 'structure' failed: KeyError: 'mine'"):
        check_structure(make_hybrid(sound, nn.Linear(2, 1), structure), X)


# Gradients that fail


def adds_in_place(a, *, gain=1.0):
    grown = torch.exp(gain * a)
    grown += 1.0
    return grown


class BrokenSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        return 3.0 * a

    @staticmethod
    def backward(ctx, gradient):
        raise LookupError("no slope")


def has_a_broken_slope(a, *, gain=1.0):
    return BrokenSlope.apply(gain * a)


@pytest.mark.parametrize(
    ("physics", "message"),
    [(adds_in_place, "inplace operation.*a = a"), (has_a_broken_slope, "LookupError: no slope")],
)
def test_a_gradient_that_fails_is_named(physics, message):
    message = f"(?s)gradient of physics '{physics.__name__}' failed at gain=1.*{message}"
    with pytest.raises(PhysicsError, match=message):
        check_physics(make_hybrid(physics), X)


def test_a_gradient_that_fails_in_the_structure_is_named():
    def structure(x, physics, nn):
        grown = torch.exp(physics(x))
        grown += nn(x)
        return grown

    with pytest.raises(NetworkError, match="gradient of nn and structure failed"):
        check_structure(make_hybrid(sound, nn.Linear(2, 1), structure), X)
