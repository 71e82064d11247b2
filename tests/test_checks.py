"""What is asked of a model before it is trained, and what the answers say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from skhybrid.data.columns import bind_columns, network_columns
from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.fitting.checks import check_physics, check_structure
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Param, Physics
from skhybrid.model.scales import Scales
from skhybrid.model.structures import get_structure

# Torch warns of what our errors explain.
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


# Columns


@pytest.mark.parametrize(
    ("names", "feature_names", "expected"),
    [
        (("a", "b"), None, [0, 1]),
        ((), None, []),
        (("b", "a"), ["a", "other", "b"], [2, 0]),
        (("b", "a"), np.array(["a", "other", "b"], dtype=object), [2, 0]),
        (("X",), None, None),
        (("X",), ["a", "b"], None),
    ],
)
def test_arguments_are_bound_by_name_or_by_order(names, feature_names, expected):
    assert bind_columns(names, feature_names, 3, "malus") == expected


@pytest.mark.parametrize(
    ("names", "feature_names", "message"),
    [
        (
            ("pol1",),
            ["pol_1", "red"],
            r"'malus' needs a column 'pol1'.*Did you mean 'pol_1'\?.*red",
        ),
        (("Red",), ["pol_1", "red"], r"Did you mean 'red'\?"),
        (("a", "gain"), ["a", "b"], r"'malus' needs a column 'gain'.*a, b\..*after a star"),
        (("a", "b", "c", "d"), None, r"reads 4 features \(a, b, c, d\).* only 3.*after a star"),
    ],
)
def test_missing_columns_are_named(names, feature_names, message):
    with pytest.raises(PhysicsError, match=message):
        bind_columns(names, feature_names, 3, "malus")


@pytest.mark.parametrize(
    ("nn_features", "expected"),
    [
        (None, None),
        ([0, 2], [0, 2]),
        ([-1, 0], [2, 0]),
        (np.array([1, 2]), [1, 2]),
        (["b", 0], [1, 0]),
        (np.array(["c", "a"]), [2, 0]),
    ],
)
def test_network_columns_by_name_or_number(nn_features, expected):
    assert network_columns(nn_features, ["a", "b", "c"], 3) == expected


@pytest.mark.parametrize(
    ("nn_features", "feature_names", "message"),
    [
        ([], ["a", "b"], "nn_features is empty.*nn=None"),
        (["aa"], ["a", "b"], r"nn_features names a column 'aa'.*Did you mean 'a'\?.*a, b"),
        (["a"], None, "nn_features names 'a', but X has no column names"),
        ([2], None, "nn_features has column 2; X has 2 columns"),
        ([-3], None, "nn_features has column -3; X has 2 columns"),
        ([0.5], None, "nn_features must hold column names or column numbers; it has 0.5"),
        ([True, False], None, "nn_features must hold .* it has True"),
        (np.array([False, True]), None, "nn_features must hold"),
    ],
)
def test_wrong_network_columns_are_named(nn_features, feature_names, message):
    with pytest.raises(NetworkError, match=message):
        network_columns(nn_features, feature_names, 2)


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
def test_sound_physics_passes_and_leaves_no_gradient(physics):
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


def calls_what_is_not_there(a, *, gain=1.0):
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
        (calls_what_is_not_there, "'calls_what_is_not_there' failed at gain=1.*undefined_name"),
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
def test_what_is_wrong_with_the_physics_is_said(physics, message):
    with pytest.raises(PhysicsError, match=message):
        check_physics(make_hybrid(physics), X.clone())


def test_whole_row_is_shown_where_the_physics_reads_the_table():
    def physics(X, *, gain=1.0):
        return gain * torch.log(X[:, 1] - 30.0)

    with pytest.raises(PhysicsError, match=r"for 2 of 3 .* the first has X = \[1.0, 10.0\]"):
        check_physics(make_hybrid(physics), X)


def test_known_parameters_need_no_gradient():
    check_physics(make_hybrid(Physics(by_item, offset=Param(0.5, fixed=True))), X)
    check_physics(make_hybrid(Physics(not_used, offset=Param(0.5, fixed=True))), X)


def test_first_error_is_kept_as_the_cause():
    with pytest.raises(PhysicsError) as caught:
        check_physics(make_hybrid(calls_what_is_not_there), X)
    assert isinstance(caught.value.__cause__, NameError)


# Network and structure


@pytest.mark.parametrize("structure", ["additive", "multiplicative"])
def test_sound_network_passes(structure):
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
def test_what_is_wrong_with_the_network_is_said(network, message):
    with pytest.raises(NetworkError, match=message):
        check_structure(make_hybrid(sound, network), X)


@pytest.mark.parametrize("physics", [None, lambda a: a])
def test_nothing_to_learn_is_refused(physics):
    frozen = nn.Linear(2, 1).requires_grad_(False)
    for network in (frozen, nn.AvgPool1d(2)):
        with pytest.raises(NetworkError, match="Neither physics nor nn has a parameter to learn"):
            check_structure(make_hybrid(physics, network), X)
    check_structure(make_hybrid(sound, frozen), X)


def test_error_of_the_structure_is_its_own():
    def structure(x, physics, nn):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        check_structure(make_hybrid(sound, nn.Linear(2, 1), structure), X)
