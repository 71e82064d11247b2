"""Physics in scikit-learn's protocol: get_params, set_params, clone; pickled and other copies."""

from __future__ import annotations

import copy
import functools
import pickle
import threading

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble._base import _set_random_states
from small_models import ForceModule

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.exceptions import PhysicsError
from skhybrid.model.physics import require_wrapped


def spring(position, velocity, *, stiffness=2.0, damping=(0.1, 0.2)):
    return -stiffness * position - damping[0] * velocity - damping[1] * velocity**3


class HasGain:
    def __call__(self, x, *, gain=1.0):
        return gain * x


class Nested(torch.nn.Module):
    """A module with a module, so that names of parameters have a dot."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(1, 1).double()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.factor * self.inner(x[:, None])[:, 0]


def test_parameters_are_the_unknowns_by_name():
    physics = Physics(spring, stiffness=Param(3.0, unit="N/m"))
    for parameters in (physics.get_params(), physics.get_params(deep=False)):
        assert parameters == physics.params
    assert physics.set_params(**physics.get_params()).get_params() == parameters
    assert list(Physics(Nested()).get_params()) == ["factor", "inner.weight", "inner.bias"]


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), torch.tensor(0.5), np.array(0.5)])
def test_a_number_replaces_the_initial_value_only(value):
    given = Param(2.0, bounds=(0.0, 4.0), unit="N/m", fixed=True)
    physics = Physics(spring, stiffness=given)
    assert physics.set_params(stiffness=value) is physics
    found = physics.params["stiffness"]
    assert found.value() == float(value)
    assert (found.bounds, found.unit, found.fixed) == ((0.0, 4.0), "N/m", True)
    assert given.init == 2.0
    assert list(physics.params) == ["stiffness", "damping"]


def test_an_array_replaces_an_array():
    physics = Physics(spring, damping=Param([0.1, 0.2], bounds=(0.0, [1.0, 2.0])))
    physics.set_params(damping=np.array([0.5, 1.5]))
    np.testing.assert_array_equal(physics.params["damping"].value(), [0.5, 1.5])
    assert physics.params["damping"].bounds == (0.0, [1.0, 2.0])


def test_a_param_replaces_the_whole_unknown():
    physics = Physics(spring, damping=Param([0.1, 0.2], bounds=(0.0, 1.0)))
    other = Param(np.full(3, 7.0), unit="kg/s", fixed=True)
    assert physics.set_params(damping=other).params["damping"] is other
    assert physics.free == ("stiffness",)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stifness": 1.0}, "spring has no parameter named 'stifness'. Did you mean 'stiffness'?"),
        ({"q": 1.0}, "no parameter named 'q'. Its parameters are: stiffness, damping"),
        ({"stiffness": 5.0}, "initial value 5.0 of physics parameter 'stiffness' is outside"),
        ({"stiffness": "hard"}, "'stiffness' must be a number or an array of numbers; got 'hard'"),
        ({"stiffness": np.nan}, "'stiffness' must be finite"),
        ({"stiffness": [1.0, 2.0]}, "'stiffness' has shape (2,), but .* shape ()"),
        ({"damping": 0.3}, "0.3 of physics parameter 'damping' has shape (), .* damping=Param"),
        ({"damping": [0.3, -0.3]}, "'damping' is outside its bounds"),
        (
            {"stiffness": Param(1.0, bounds=(2.0, 3.0))},
            "'stiffness' is outside its bounds.*Give another",
        ),
    ],
)
def test_a_wrong_name_or_value_changes_nothing(given, message):
    params = {"stiffness": Param(2.0, bounds=(0.0, 4.0)), "damping": Param([0, 0], (0, [1, 1]))}
    physics = Physics(spring, **params)
    pattern = message.replace("?", r"\?").replace("(", r"\(").replace(")", r"\)")
    for changes in (given, {"damping": [0.5, 0.5]} | given, {"stiffness": 3.0} | given):
        with pytest.raises(PhysicsError, match=pattern):
            physics.set_params(**changes)
        assert physics.params == params


def takes_odd_names(x, *, function=1.0, self=2.0, deep=3.0, params=4.0, a__b=5.0, _c=6.0):
    return function * x + self + deep + params + a__b + _c


def test_unknowns_may_have_any_name():
    names = ["function", "self", "deep", "params", "a__b", "_c"]
    physics = Physics(takes_odd_names, **dict.fromkeys(names, 2.0))
    assert physics(torch.tensor(1.0)) == 12.0
    assert list(physics.get_params()) == names
    physics.set_params(**{name: 10.0 * k for k, name in enumerate(names)})
    assert [float(param.value()) for param in physics.params.values()] == [0, 10, 20, 30, 40, 50]
    assert physics(torch.tensor(1.0), self=torch.tensor(0.0)) == 140.0


def test_scikit_learn_does_not_write_seeds_into_unknowns():
    def noise(x, *, scale=1.0, random_state=0.5, a__random_state=0.5):
        return scale * x

    physics = Physics(noise, random_state=2.0)
    _set_random_states(HybridRegressor(physics), random_state=0)
    assert physics.params["random_state"].value() == 2.0
    assert physics.params["a__random_state"].value() == 0.5
    assert physics.set_params(random_state=3.0).params["random_state"].value() == 3.0


def through_pickle(physics):
    return pickle.loads(pickle.dumps(physics))


def through_cloudpickle(physics):
    return pickle.loads(pytest.importorskip("cloudpickle").dumps(physics))


@pytest.mark.parametrize("copied", [clone, copy.deepcopy, through_pickle, through_cloudpickle])
@pytest.mark.parametrize(
    ("function", "change"),
    [
        (spring, {"stiffness": 9.0}),
        (functools.partial(spring, damping=(0.0, 0.0)), {"stiffness": 9.0}),
        (HasGain(), {"gain": 9.0}),
        (Nested(), {"inner.bias": [9.0], "factor": 3.0}),
    ],
    ids=["function", "partial", "object", "module"],
)
def test_copies_are_independent(function, change, copied):
    physics = Physics(function)
    shown = repr(physics)
    other = copied(physics)
    assert type(other) is Physics
    assert repr(other) == shown
    inputs = [torch.tensor([1.0, 2.0], dtype=torch.float64) for _ in physics.inputs]
    values = {name: torch.as_tensor(param.value()) for name, param in physics.params.items()}
    assert torch.equal(other(*inputs, **values), physics(*inputs, **values))
    other.set_params(**change)
    other.params[next(iter(change))].unit = "m"
    assert repr(physics) == shown
    assert (other.function is function) == (function is spring)


def test_a_shallow_copy_has_parameters_of_its_own():
    physics = Physics(ForceModule())
    other = copy.copy(physics)
    other.set_params(offset=3.0)
    other.params["gain"] = Param(0.0)
    assert repr(physics) == repr(Physics(ForceModule()))
    assert other.function is physics.function


def test_initial_values_do_not_follow_the_module():
    module = Nested()
    physics = Physics(module)
    shown = repr(physics)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 1.0
    assert repr(physics) == shown
    physics.set_params(**{"inner.bias": [4.0]})
    assert module.inner.bias.item() != 4.0


class TunedWeight(BaseEstimator):
    """A callable with scikit-learn's parameters of its own."""

    def __init__(self, gravity=9.81):
        self.gravity = gravity

    def __call__(self, mass, *, factor=1.0):
        return factor * self.gravity * mass


@pytest.mark.parametrize(
    ("physics", "message"),
    [
        (spring, r"physics__stiffness cannot be set.*'spring' is not wrapped.*Physics\(spring\)"),
        (lambda x, *, a=1.0: x, r"'<lambda>' is not wrapped.*Physics\(...\)"),
        (ForceModule(), r"'ForceModule' is not wrapped.*Physics\(...\)"),
        (None, "physics is None"),
        ("spring", "must be a function"),
    ],
)
def test_a_physics_that_is_not_wrapped_cannot_set_its_unknowns(physics, message):
    with pytest.raises(PhysicsError, match=message):
        require_wrapped(physics, ["rho", "physics__stiffness"])
    require_wrapped(physics, ["rho", "physics"])


def test_a_callable_with_parameters_of_its_own_keeps_them():
    model = HybridRegressor(TunedWeight()).set_params(physics__gravity=1.6)
    assert model.physics.gravity == 1.6
    require_wrapped(Physics(spring), ["physics__stiffness"])


def test_a_module_is_not_copied_while_another_thread_calls_it():
    called, copied = threading.Event(), threading.Event()

    class Slow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.tensor(2.0))

        def forward(self, force):
            called.set()
            copied.wait(0.2)  # the copy has to wait for the end of the call
            return self.gain * force

    physics = Physics(Slow())
    value = torch.ones(3, requires_grad=True).sum()  # not a leaf: it cannot be copied
    thread = threading.Thread(target=physics, args=[torch.ones(2)], kwargs={"gain": value})
    thread.start()
    called.wait()
    twin = copy.deepcopy(physics)
    copied.set()
    thread.join()
    assert twin.function is not physics.function
    assert float(twin.function.gain) == 2.0
