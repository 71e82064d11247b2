"""Errors of the user's functions name the part, the original error and the parameters."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from skhybrid import Param, Physics
from skhybrid.exceptions import NetworkError, PhysicsError, StructureError
from skhybrid.model.user_code import (
    described,
    lacks_self,
    named,
    named_network,
    reason,
    require_dense,
)

X = torch.tensor([[1.0, 10.0], [4.0, 20.0], [9.0, 40.0]])
DEPTH = X[:, 0]


def raising(error):
    def law(depth, *, drag=2.0):
        raise error

    return law


@pytest.mark.parametrize(
    "error",
    [KeyError("salt"), IndexError("far"), OSError("disk"), StopIteration(), ZeroDivisionError()],
)
def test_any_exception_becomes_an_error_with_names_and_values(error):
    with pytest.raises(PhysicsError) as caught:
        named("physics 'law'", raising(error))(DEPTH, drag=torch.tensor(2.5))
    assert str(caught.value).startswith("physics 'law' failed at drag=2.5: " + type(error).__name__)
    assert str(error) in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [PhysicsError("p"), NetworkError("n"), StructureError("s")])
def test_an_error_that_has_a_name_keeps_it(error):
    with pytest.raises(type(error)) as caught:
        named("join", raising(error), StructureError)(DEPTH)
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), MemoryError()])
def test_interrupts_and_missing_memory_pass(error):
    with pytest.raises(type(error)):
        named("observe", raising(error))(DEPTH)


def test_the_class_of_the_error_can_be_chosen():
    with pytest.raises(StructureError, match="join failed: KeyError: 'k'"):
        named("join", raising(KeyError("k")), StructureError)(DEPTH)


def test_a_network_names_the_shape_of_its_inputs():
    with pytest.raises(NetworkError, match=r"nn failed on inputs of shape \(3, 2\).*2 features"):
        named_network(nn.Linear(5, 1))(X)
    with pytest.raises(NetworkError, match=r"encoder failed on inputs of shape \(3, 2\): Runtime"):
        named_network(nn.Linear(5, 1), "encoder")(X)


def branches(depth, *, drag=1.0):
    return drag * depth if depth > 2.0 else depth


def clips_by_max(depth, *, drag=1.0):
    return drag * max(depth, 0.0)


def uses_math(depth, *, drag=1.0):
    return drag * math.sqrt(depth)


def uses_too_many_indices(depth, *, drag=1.0):
    return drag * depth[:, 0]


def uses_a_name(X, *, drag=1.0):
    return drag * X["depth"]


def uses_an_attribute(X, *, drag=1.0):
    return drag * X.depth


def uses_a_far_column(X, *, drag=1.0):
    return drag * X[:, 5]


def unpacks(state, *, drag=1.0):
    level, flow = state[:, None].unbind(-1)
    return drag * level + flow


def uses_a_second_state(state, *, drag=1.0):
    return drag * state[:, None][:, 1]


def multiplies_an_array(depth, *, drag=(1.0, 0.0)):
    return drag * depth


class Pond:
    def law(depth, *, drag=1.0):
        return drag * depth


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (branches, r"torch\.where"),
        (clips_by_max, r"torch\.maximum"),
        (uses_math, r"torch\.exp in place of math\.exp"),
        (uses_a_name, "Name the columns as arguments in place of X"),
        (uses_too_many_indices, "has no columns"),
        (uses_an_attribute, "name them as arguments"),
        (uses_a_far_column, r"X is a tensor of shape \(n, n_features\)"),
        (unpacks, r"expected 2, got 1.*state of an ODE.*ODE\(observe="),
        (uses_a_second_state, r"state of an ODE.*ODE\(observe="),
        (multiplies_an_array, r"'drag' is an array.*Param\(value, bounds=\(low, high\)\)"),
        (Pond().law, "Is `self` missing as the first argument of law"),
    ],
)
def test_typical_mistakes_get_a_hint(function, hint):
    physics = Physics(function)
    values = {name: torch.tensor(param.value()) for name, param in physics.params.items()}
    inputs = [X if physics.inputs == ("X",) else DEPTH]
    with pytest.raises(PhysicsError, match=rf"(?s)physics 'law' failed at drag=.*{hint}"):
        named("physics 'law'", physics)(*inputs, **values)


@pytest.mark.parametrize(
    ("init", "value", "hint"),
    [
        (1.0, torch.ones(3), r"For a table or for all states write drag\[:, None\]"),
        ((1.0, 2.0), torch.ones(2, 3), r"its elements are drag\[0\], drag\[1\]"),
    ],
)
def test_a_value_for_every_row_gets_a_hint(init, value, hint):
    def law(X, *, drag=1.0):
        return (drag * X).sum(dim=-1)

    physics = Physics(law, drag=Param(init, depends_on=[0]))
    with pytest.raises(PhysicsError, match=f"'drag' depends on features, so it holds .*{hint}"):
        named("physics 'law'", physics)(torch.ones(3, 4), drag=value)


def test_values_that_cannot_be_read_are_left_out():
    assert described({"drag": torch.tensor(0.25), "rates": torch.tensor([1.0, 2.0])}) == (
        "drag=0.25, rates=[1. 2.]"
    )
    seen = []
    torch.vmap(lambda drag: seen.append(described({"drag": drag})) or drag)(torch.ones(3))
    assert seen == [""]


def test_a_reason_is_one_sentence():
    assert reason(KeyError()) == "KeyError."
    assert reason(ValueError("wrong.\nSecond line")) == "ValueError: wrong."


def test_a_method_without_self_is_noticed():
    class Fine:
        def law(self, depth):
            return depth

    assert lacks_self(Pond().law)
    assert not lacks_self(Fine().law)
    assert not lacks_self(branches)
    assert not lacks_self(Pond().law, ("t",))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (None, "observe must return a torch.Tensor; it returned None"),
        (torch.eye(2).to_sparse(), r"observe must return a dense tensor.*to_dense\(\)"),
        (torch.eye(2, device="meta"), "observe must return a tensor with values"),
        (torch.eye(2) * 1j, "observe must return real numbers"),
    ],
)
def test_outputs_must_be_dense_real_tensors(output, message):
    require_dense(torch.eye(2), PhysicsError, "observe")
    with pytest.raises(PhysicsError, match=message):
        require_dense(output, PhysicsError, "observe")
