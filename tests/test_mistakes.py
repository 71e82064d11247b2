"""Mistakes in the user's functions: the error names the part, whatever the start."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_rivers import (
    COOLING,
    FIRST,
    FLOW,
    HEATED,
    HEATING,
    RIVER,
    RNG,
    Layer,
    cooling,
    make,
    make_records,
    refuse,
)
from torch import nn

from skhybrid import ODE, HybridSearchCV, LatentODE, Physics
from skhybrid.exceptions import (
    NetworkError,
    PhysicsError,
    SerialMembersWarning,
    StructureError,
    TrainingError,
)

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::skhybrid.exceptions.{name}")
    for name in ("CollapseWarning", "ColumnBindingWarning", "PhysicsInitWarning")
]

# Every mistake is tried with a network, from both starts, and without one.
STARTS = pytest.mark.parametrize("start", [{}, {"physics_init": "given"}, {"nn": None}], ids=str)


def raising(error):
    def torn(slope, *, gain=1.5):
        raise error

    return torn


@STARTS
@pytest.mark.parametrize(
    "error",
    [KeyError("k"), IndexError("i"), AttributeError("a"), OSError("o"), AssertionError("s")],
    ids=lambda error: type(error).__name__,
)
def test_any_error_of_the_physics_is_named(error, start):
    name = type(error).__name__
    refuse(make(raising(error), **start), PhysicsError, f"'torn' failed at gain=1.5: {name}")


@STARTS
def test_an_interrupt_of_the_physics_passes(start):
    with pytest.raises(KeyboardInterrupt):
        make(raising(KeyboardInterrupt()), **start).fit(RIVER, FLOW)


@STARTS
def test_an_error_of_the_structure_is_named(start):
    def mixed(x, physics, nn):
        return physics(x) + nn(x) + {}["mixed"]

    refuse(make(structure=mixed, **start), StructureError, "structure 'mixed' failed: KeyError")


@STARTS
@pytest.mark.parametrize("method", ["rk4", "dopri5", "bdf"])
def test_an_error_of_a_right_hand_side_is_named(start, method):
    def torn(t, state, *, rate=0.4):
        return -rate * state[:, [7]]

    model = make(torn, structure=ODE(dt=0.1, method=method), **start)
    message = r"'torn' failed at rate=0.4\d*: IndexError"
    refuse(model, PhysicsError, message, FIRST, COOLING)


@STARTS
def test_an_error_of_join_is_named(start):
    def join(t, state, physics, nn):
        return physics(t, state) + {}["k"]

    model = make(cooling, structure=ODE(dt=0.1, join=join), **start)
    refuse(model, StructureError, "join failed: KeyError: 'k'", FIRST, COOLING)


@STARTS
@pytest.mark.parametrize(
    ("observe", "message"),
    [
        (lambda state: {}["k"], "observe failed: KeyError"),
        (lambda state, heat: {}["k"], "observe failed: KeyError"),
        (lambda state: None, "observe must return a torch.Tensor; it returned None"),
        (lambda state, heat: None, "observe must return a torch.Tensor; it returned None"),
        (lambda state: state / 0.0 * 0.0, "observe or its derivative is not finite at the first"),
        (lambda state, heat: state * np.nan, "observe is not finite at rate=0.2"),
        (lambda state: state[:, :1], "observe returned shape"),
    ],
)
def test_faults_of_observe_are_named(start, observe, message):
    model = make_records(observe=observe, n_states=2, settings=start)
    refuse(model, PhysicsError, message, HEATING, HEATED)


def test_a_guess_at_which_observe_is_finite_helps():
    ode = {"observe": lambda state: torch.log(state), "n_states": 2}
    refuse(make_records(**ode), PhysicsError, "Give a state_guess", HEATING, np.log(HEATED))
    make_records(**ode, state_guess=[1.0, 1.0]).fit(HEATING, np.log(HEATED))
    ode["observe"] = torch.log
    refuse(make_records(**ode), PhysicsError, "signature of observe=.*lambda", HEATING, HEATED)


@pytest.mark.parametrize(
    ("way", "error", "message"),
    [
        ("raises", NetworkError, r"nn failed on inputs of shape \(25, 2\).*KeyError: 'layer'"),
        ("nothing", NetworkError, "nn must return a torch.Tensor; it returned None"),
        ("in place", TrainingError, "gradient of the loss failed.*Operations in place"),
    ],
)
def test_faults_of_a_module_are_named(way, error, message):
    refuse(make(nn=Layer(2, 1, way)), error, message)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("way", "message"), [("raises", "failed on inputs.*KeyError"), ("nothing", "returned None")]
)
def test_faults_of_coders_are_named(part, way, message):
    coders = {"encoder": (8,), "decoder": (8,), part: Layer(18 if part == "encoder" else 2, 2, way)}
    structure = LatentODE(**coders, n_states=2, dt=0.1, window=4)
    images = RNG.uniform(size=(4, 10, 3, 3))
    refuse(
        make(cooling, structure=structure),
        NetworkError,
        f"{part} .*{message}",
        images[:, :2],
        images[:, 2:],
    )


def test_errors_in_training_and_prediction_are_named():
    calls = []

    def late(slope, *, gain=1.0):
        calls.append(0)
        if len(calls) == 60:
            raise LookupError("late")
        return gain * slope

    model = make(late, physics_init="given", max_epochs=40)
    refuse(model, PhysicsError, r"'late' failed at gain=[12]\.\d+: LookupError: late")

    def small(slope, *, gain=1.0):
        if len(slope) < 4:
            raise OSError("few rows")
        return gain * slope

    model = make(small).fit(RIVER, FLOW)
    for predict in (model.predict, model.predict_parts):
        with pytest.raises(PhysicsError, match=r"'small' failed at gain=.*OSError: few rows"):
            predict(RIVER[:3])


def test_any_error_under_vmap_lets_restarts_be_trained_one_by_one():
    def looked_up(slope, *, gain=1.0):
        if torch._C._functorch.is_batchedtensor(gain):
            raise KeyError("batched")
        return gain * slope

    model = make(looked_up, n_restarts=2, refine_rho=None)
    with pytest.warns(SerialMembersWarning, match="'looked_up' failed: KeyError: 'batched'"):
        model.fit(RIVER, FLOW)


def test_a_search_names_the_fault_of_a_candidate():
    grid = {"nn": [(4,), (10**12,)]}
    search = HybridSearchCV(make(), grid, cv=2, error_score="raise")
    with pytest.raises(NetworkError, match=r"hidden sizes \(1000000000000,\) has 4e\+12 param"):
        search.fit(RIVER, FLOW)


# Signatures


@pytest.mark.parametrize(
    ("physics", "message"),
    [
        (lambda state, t, *, rate=1.0: state, r"takes \(state, t\).*def f\(t, state"),
        (lambda x, u, time, *, k=1.0: x, r"takes \(x, u, time\).*def f\(time, x, u"),
    ],
)
def test_the_time_comes_first(physics, message):
    refuse(make_records(physics), PhysicsError, message, HEATING, HEATED)


def test_an_argument_that_is_not_used_may_come_first():
    make(lambda _, t, *, rate=0.1: -rate * t, structure=ODE(dt=0.1)).fit(FIRST, COOLING)


class Kettle:
    def cool(self, t, state, *, rate=0.1):
        return -rate * state

    def warm(t, state, *, rate=0.1):
        return rate * state


class Module(nn.Module):
    def forward(t, state):
        return state


def test_methods_need_their_object():
    make(Kettle().cool, structure=ODE(dt=0.1)).fit(FIRST, COOLING)
    with pytest.raises(PhysicsError, match=r"argument self.*Pass .* Kettle\(\.\.\.\)\.cool"):
        Physics(Kettle.cool)
    with pytest.raises(PhysicsError, match="warm is a method without the argument self"):
        Physics(Kettle().warm)
    with pytest.raises(PhysicsError, match=r"Module\.forward is a method without"):
        Physics(Module())


def test_an_untrained_network_may_let_a_rollout_grow():
    """One short epidemic: the susceptible are not observed."""
    counts = np.array([12.0, 40.0, 110.0, 190.0, 240.0, 210.0, 150.0, 90.0, 60.0, 30.0])
    ode = ODE(dt=1.0, observe=lambda state: state[:, 1:], n_states=2)
    model = make(None, structure=ode, nn=(16,), max_epochs=20)
    model.fit([[600.0, 4.0]], counts[None, :, None])
    prediction = model.predict([[600.0, 4.0]])[0, :, 0]
    assert np.sqrt(np.mean((prediction - counts) ** 2)) < 240.0
