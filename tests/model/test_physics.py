"""Physics and its parameters: signatures, errors, evaluation."""

from __future__ import annotations

import copy
import functools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from skhybrid.exceptions import PhysicsError
from skhybrid.model.param import Param
from skhybrid.model.physics import Physics, as_physics


def spring(position, velocity, *, stiffness=2.0, damping=(0.1, 0.2)):
    return -stiffness * position - damping[0] * velocity - damping[1] * velocity**3


class Line(torch.nn.Module):
    """A module with a learned slope, a known offset and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor([1.5, 2.5]))
        self.offset = torch.nn.Parameter(torch.tensor(0.25), requires_grad=False)
        self.register_buffer("unit", torch.tensor(10.0))
        self.register_buffer("count", torch.tensor(3))

    def forward(self, time):
        return self.unit * (self.slope[0] * time + self.offset) + self.count


# Signatures


def test_a_signature_gives_inputs_and_unknowns_in_order():
    physics = Physics(spring)
    assert physics.name == "spring"
    assert physics.inputs == ("position", "velocity")
    assert list(physics.params) == ["stiffness", "damping"]
    assert physics.params["stiffness"].value() == 2.0
    assert physics.params["damping"].shape == (2,)
    assert physics.free == ("stiffness", "damping")


def test_given_values_replace_defaults():
    known = Param((0.0, 0.0), fixed=True)
    physics = Physics(spring, damping=known, stiffness=5)
    assert list(physics.params) == ["stiffness", "damping"]
    assert physics.params["damping"] is known
    assert physics.params["stiffness"].value() == 5.0
    assert physics.free == ("stiffness",)


def test_default_may_be_a_param_an_array_or_a_tensor():
    def function(x, *, a=Param(1.0, unit="m"), b=np.ones((2, 2)), c=torch.zeros(3)):  # noqa: B008
        return x

    physics = Physics(function)
    assert physics.params["a"].unit == "m"
    assert physics.params["b"].shape == (2, 2)
    assert physics.params["c"].shape == (3,)


def test_a_trainable_tensor_becomes_a_number():
    start = torch.nn.Parameter(torch.tensor(4.0))
    physics = Physics(spring, stiffness=start)
    assert physics.params["stiffness"].value() == 4.0
    assert repr(physics.params["stiffness"]) == "Param(array(4.))"


def test_partial_binds_options_and_unknowns():
    def function(x, power, *, a=1.0, b=2.0):
        return a * x**power + b

    physics = Physics(functools.partial(functools.partial(function, b=3.0), power=2))
    assert physics.name == "function"
    assert physics.inputs == ("x",)
    assert list(physics.params) == ["a"]
    assert physics(torch.tensor(4.0)) == 19.0


def test_a_callable_object_has_the_name_of_its_class():
    class Weight:
        def __call__(self, mass, *, g=9.81):
            return mass * g

    physics = Physics(Weight())
    assert physics.name == "Weight"
    assert physics.inputs == ("mass",)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stifness": 1.0}, "spring has no parameter named 'stifness'. Did you mean 'stiffness'?"),
        ({"STIFFNESS": 1.0}, "Did you mean 'stiffness'?"),
        ({"q": 1.0}, "no parameter named 'q'. Its parameters are: stiffness, damping"),
        ({"position": 1.0}, "spring has no parameter named 'position'"),
        ({"stiffness": Param(1.0, bounds=(2.0, None))}, "'stiffness' is outside its bounds"),
        ({"stiffness": "stiff"}, "'stiffness' must be a number"),
    ],
)
def test_wrong_names_and_values_are_refused(given, message):
    with pytest.raises(PhysicsError, match=message.replace("?", r"\?")):
        Physics(spring, **given)


def takes_any_inputs(*inputs, a=1.0):
    return inputs[0]


def takes_any_unknowns(x, **unknowns):
    return x


def has_no_default(x, *, a):
    return a * x


def has_an_option(x, *, a=1.0, method="exact"):
    return a * x


def has_a_switch(x, *, a=1.0, damped=True):
    return a * x


def forgot_the_star(x, gain=1.0):
    return gain * x


class HasOption:
    def __call__(self, x, *, a=1.0, method=None):
        return a * x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (takes_any_inputs, r"'takes_any_inputs' takes \*inputs"),
        (takes_any_unknowns, r"'takes_any_unknowns' takes \*\*unknowns"),
        (
            has_no_default,
            r"'a' of has_no_default has no initial value.*Physics\(has_no_default, a=Param",
        ),
        (has_an_option, "'method' of has_an_option has the default 'exact'.*functools.partial"),
        (has_a_switch, "'damped' of has_a_switch has the default True"),
        (functools.partial(has_an_option), "'method' of has_an_option has the default 'exact'"),
        (HasOption(), "'method' of HasOption has the default None"),
        (forgot_the_star, r"'gain' of forgot_the_star .* after a star: .*\*, gain=1.0"),
        (torch.cos, "signature of .*cos.* cannot be read"),
        (Line, "must be a function.*Pass an instance of the class"),
        ("spring", "must be a function.*'spring'"),
    ],
)
def test_functions_without_a_clear_signature_are_refused(function, message):
    with pytest.raises(PhysicsError, match=message):
        Physics(function)


def test_a_missing_default_can_be_given():
    assert Physics(has_no_default, a=3.0)(torch.tensor(2.0)) == 6.0


# Evaluation


def test_unknowns_have_their_initial_values_by_default():
    physics = Physics(spring)
    position, velocity = torch.tensor([1.0, 2.0]), torch.tensor([1.0, -1.0])
    torch.testing.assert_close(
        physics(position, velocity), torch.tensor([-2.0 - 0.1 - 0.2, -4.0 + 0.1 + 0.2])
    )
    torch.testing.assert_close(
        physics(position, velocity, stiffness=torch.tensor(1.0), damping=torch.zeros(2)), -position
    )


def test_parameters_of_a_module_are_unknowns_and_frozen_ones_are_fixed():
    physics = Physics(Line())
    assert physics.name == "Line"
    assert physics.inputs == ("time",)
    assert list(physics.params) == ["slope", "offset"]
    np.testing.assert_array_equal(physics.params["slope"].value(), [1.5, 2.5])
    assert physics.free == ("slope",)
    assert Physics(Line(), offset=1.0).free == ("slope", "offset")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_is_evaluated_at_given_values_and_never_changed(dtype):
    module = Line()
    before = copy.deepcopy(module.state_dict())
    slope = torch.tensor([3.0, 0.0], dtype=dtype, requires_grad=True)
    time = torch.tensor([1.0, 2.0], dtype=dtype)
    output = Physics(module)(time, slope=slope, offset=torch.tensor(0.5, dtype=dtype))
    assert output.dtype == dtype
    torch.testing.assert_close(output, torch.tensor([38.0, 68.0], dtype=dtype))
    output.sum().backward()
    torch.testing.assert_close(slope.grad, torch.tensor([30.0, 0.0], dtype=dtype))
    for name, value in module.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])
    assert module.slope.grad is None


def test_as_physics_wraps_once():
    physics = Physics(spring)
    assert as_physics(physics) is physics
    assert as_physics(None) is None
    assert as_physics(spring).inputs == physics.inputs


def test_repr_shows_the_function_and_its_params():
    physics = Physics(spring, stiffness=Param(2.0, unit="N/m"))
    shown = "Physics(spring, stiffness=Param(2.0, unit='N/m'), damping=Param((0.1, 0.2)))"
    assert repr(physics) == shown


class SlowLine(torch.nn.Module):
    """Sleeps between the uses of its two parameters, so that other threads can run."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(1.0))
        self.offset = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        rise = self.slope * x
        time.sleep(0.002)
        return rise + self.offset


def test_a_module_called_in_threads_uses_the_values_of_each_call():
    physics = Physics(SlowLine())
    numbers = [torch.tensor(float(k)) for k in range(12)]
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda k: physics(torch.tensor(10.0), slope=k, offset=k), numbers)]
    assert [float(value) for value in found] == [11.0 * k for k in range(12)]
    assert physics.function.slope.item() == 1.0


class Counter(Line):
    def forward(self, time):
        self.count += 1
        self.unit.mul_(2.0)
        return super().forward(time)


def test_the_buffers_of_a_module_are_never_changed():
    module = Counter()
    physics = Physics(module)
    first, again = (physics(torch.ones(3)) for _ in range(2))
    assert (int(module.count), float(module.unit)) == (3, 10.0)
    assert torch.equal(first, again)
