"""A recorded step does what a step does; torch's compiler itself runs in test_regressor.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_fits import (
    decay,
    make_config,
    make_data,
    make_hybrid,
    make_members,
    make_penalties,
    make_starts,
)
from small_trajectories import SmallTrajectories
from torch import nn
from torch.testing import assert_close

from skhybrid.exceptions import CompilationWarning
from skhybrid.model.param import Param
from skhybrid.model.physics import Physics
from skhybrid.training import compiled_step
from skhybrid.training.compiled_step import AUTO_LEAST_STEPS, compiles
from skhybrid.training.loop import train
from skhybrid.training.members import Members
from skhybrid.training.objective import Objective
from skhybrid.training.problem import Problem
from skhybrid.training.step import Step

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture
def recorded(monkeypatch):
    """Let records run as they are, without the compiler; return what was recorded."""
    records = []

    def uncompiled(record, **options):
        records.append(record)
        return record

    monkeypatch.setattr(torch, "compile", uncompiled)
    monkeypatch.setattr(compiled_step, "_compiled", {})
    return records


def trained(hybrid, data, config, n_members):
    """Return results and parameters after training."""
    members = make_members(hybrid, make_starts(hybrid, n_members))
    results = train(Problem(hybrid, data), members, config)
    return results, members


def assert_same_training(hybrid, data, config, n_members):
    """Assert that recorded steps end where other steps do."""
    plain, expected = trained(hybrid, data, config, n_members)
    results, found = trained(hybrid, data, replace(config, compile=True), n_members)
    assert results.compiled
    assert not plain.compiled
    assert_close(results.curve, plain.curve, **CLOSE)
    assert_close(found.flat, expected.flat, **CLOSE)


@pytest.mark.parametrize(
    ("n_members", "options"),
    [
        (1, {}),
        (3, {}),
        (1, {"rho": None}),
        (3, {"perturbation": "global", "physics_learning_rate": 0.0}),
        (1, {"perturbation": "elementwise", "perturb": "all"}),
        (3, {"perturb": "all", "penalties": {"l2": 0.1}}),
        (1, {"penalties": {"functional_norm": 0.1, "orthogonality": 0.1}}),
        (1, {"follows_noise": True}),
        (3, {"follows_noise": True, "penalties": {"functional_norm": 0.1}}),
    ],
    ids=str,
)
def test_steps_are_the_same(recorded, n_members, options):
    data = make_data()
    options = {**options}
    penalties = make_penalties(n_members, **options.pop("penalties", {}))
    config = make_config(n_members, n_batches=2, n_epochs=4, penalties=penalties, **options)
    assert_same_training(make_hybrid(data), data, config, n_members)
    assert len(recorded) == 1


@pytest.mark.parametrize("network", ["of the user", "frozen"])
def test_other_networks(recorded, network):
    data = make_data()
    hybrid = make_hybrid(data)
    own = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    if network == "frozen":
        own[0].weight.requires_grad_(False)
    hybrid = hybrid.with_network(own)
    weights = {n: p.detach() for n, p in own.named_parameters() if p.requires_grad}
    start = replace(make_starts(make_hybrid(data), 1)[0], weights=weights)
    curves = []
    for compile in (False, True):
        members = make_members(hybrid, [start])
        results = train(Problem(hybrid, data), members, make_config(compile=compile))
        assert results.compiled == compile
        curves.append(results.curve)
    assert_close(*curves, **CLOSE)


@pytest.mark.parametrize(("n_members", "initial_state"), [(1, "learned"), (3, "given")])
def test_windows(recorded, n_members, initial_state):
    small = SmallTrajectories(initial_state=initial_state, method="euler", window=2)
    hybrid = small.hybrid()
    starts = small.starts(hybrid, n_members)
    ends = []
    for compile in (False, True):
        members = make_members(hybrid, starts)
        config = make_config(n_members, n_rows=len(small.data.y), compile=compile)
        results = train(Problem(hybrid, small.data), members, config)
        assert results.compiled == compile
        ends.append(members.flat)
    assert_close(*ends, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("reason", ["adaptive solver", "dropout"])
def test_models_that_cannot_be_recorded_are_trained_without_a_warning(reason, recorded):
    small = SmallTrajectories(method="dopri5" if reason == "adaptive solver" else "euler")
    hybrid = small.hybrid()
    starts = small.starts(hybrid, 1)
    if reason == "dropout":
        own = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.1), nn.Linear(4, 2)).double()
        hybrid = hybrid.with_network(own)
        weights = {name: each.detach() for name, each in own.named_parameters()}
        starts = [replace(starts[0], weights=weights)]
    config = make_config(n_rows=len(small.data.y), n_epochs=2, compile=True)
    assert not train(Problem(hybrid, small.data), make_members(hybrid, starts), config).compiled
    assert not recorded


def test_values_of_the_data_are_arguments_of_a_record(recorded):
    """Fits with other data of the same shape use the same compiled code."""
    for seed in range(3):
        data = make_data(seed=seed)
        trained(make_hybrid(data), data, make_config(compile=True), 1)
    assert len(recorded) == 1
    assert not [node for node in recorded[0].graph.nodes if node.op == "get_attr"]


def test_a_non_finite_gradient_moves_nothing(recorded):
    data = make_data()
    hybrid = make_hybrid(data)
    members = make_members(hybrid, make_starts(hybrid, 3))
    config = make_config(3, compile=True)
    objective = Objective(hybrid, members, config.penalties)
    objective.choose_evaluation(data)
    step = Step(objective, members, config)
    with torch.no_grad():
        members.blocks[0].view(members.flat)[1] = torch.nan
    before = members.flat.clone()
    _, finite = step(data, 1.0)
    assert finite.tolist() == [True, False, True]
    moved = [
        block.view(members.flat - before).abs().nan_to_num().sum(1) > 0 for block in members.blocks
    ]
    assert torch.stack(moved).all(dim=0).tolist() == [True, False, True]


def test_parameters_stay_within_their_limits(recorded):
    data = make_data()
    hybrid = make_hybrid(data, Physics(decay, rate=Param(0.8, bounds=(0.7, 0.81))))
    ends = []
    for compile in (False, True):
        (start,) = make_starts(hybrid, 1)
        weights = [{name: each.clone() for name, each in start.weights.items()}]
        members = Members(hybrid.network, weights, [start.coordinates], [hybrid.space.limits])
        train(Problem(hybrid, data), members, make_config(compile=compile, n_epochs=20))
        assert members.has_limits(members.blocks[0])
        ends.append(members.flat.clone())
    assert_close(*ends, **CLOSE)


def branching(time, heat, *, rate=0.8):
    return torch.exp(-rate * time) if float(rate) > 0 else time


def test_physics_that_cannot_be_recorded_is_trained_without_compilation():
    data = make_data()
    hybrid = make_hybrid(data, branching)
    with pytest.warns(CompilationWarning, match="compile=False"):
        results, members = trained(hybrid, data, make_config(compile=True), 1)
    plain, expected = trained(hybrid, data, make_config(), 1)
    assert not results.compiled
    assert torch.equal(results.curve, plain.curve)
    assert torch.equal(members.flat, expected.flat)


class OutsideTorch(torch.autograd.Function):
    """A decay in numpy, as of a simulator that is not written in torch."""

    @staticmethod
    def forward(time, rate):
        return torch.from_numpy(np.exp(-rate.numpy() * time.numpy()))

    @staticmethod
    def setup_context(context, inputs, output):
        context.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(context, gradient):
        time, output = context.saved_tensors
        return None, -(gradient * time * output).sum()


def outside_torch(time, heat, *, rate=0.8):
    return OutsideTorch.apply(time, rate)


def of_a_list(time, heat, *, rate=0.8):
    return torch.exp(-rate * time.new_tensor(time.tolist()))


def with_noise(time, heat, *, rate=0.8):
    return torch.exp(-rate * time) + 0.01 * torch.randn_like(time)


class Counting:
    """Physics that differs from call to call."""

    n_calls = 0

    def __call__(self, time, heat, *, rate=0.8):
        self.n_calls += 1
        return torch.exp(-rate * time) + 0.01 * self.n_calls


@pytest.mark.parametrize("physics", [outside_torch, of_a_list])
def test_values_outside_torch_are_not_kept_from_the_first_minibatch(recorded, physics):
    data = make_data()
    hybrid = make_hybrid(data, physics)
    with pytest.warns(CompilationWarning):
        results, members = trained(hybrid, data, make_config(compile=True), 1)
    _, expected = trained(hybrid, data, make_config(), 1)
    assert not results.compiled
    assert torch.equal(members.flat, expected.flat)


@pytest.mark.parametrize("physics", [with_noise, Counting()])
def test_physics_that_changes_between_calls_is_not_compiled(recorded, physics):
    data = make_data()
    hybrid = make_hybrid(data, Physics(physics))
    with pytest.warns(CompilationWarning, match="random numbers"):
        results, _ = trained(hybrid, data, make_config(compile=True), 1)
    assert not results.compiled


def test_a_compiler_that_fails_is_told(monkeypatch):
    def failing(*arguments, **options):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", failing)
    monkeypatch.setattr(compiled_step, "_compiled", {})
    data = make_data()
    with pytest.warns(CompilationWarning, match="no compiler here"):
        results, _ = trained(make_hybrid(data), data, make_config(compile=True), 1)
    assert not results.compiled


def test_losses_with_too_many_operations_are_not_compiled(monkeypatch):
    monkeypatch.setattr(compiled_step, "MAX_OPERATIONS", 3)
    data = make_data()
    with pytest.warns(CompilationWarning, match="more than 3 operations"):
        results, _ = trained(make_hybrid(data), data, make_config(compile=True), 1)
    assert not results.compiled


@pytest.mark.parametrize(
    ("setting", "n_steps", "has_compiler", "expected"),
    [
        (False, 10**9, True, False),
        (True, 1, True, True),
        (True, 1, False, True),
        ("auto", AUTO_LEAST_STEPS, True, True),
        ("auto", AUTO_LEAST_STEPS - 1, True, False),
        ("auto", AUTO_LEAST_STEPS, False, False),
    ],
)
def test_auto_decides_by_steps_and_compiler(monkeypatch, setting, n_steps, has_compiler, expected):
    monkeypatch.setattr(compiled_step, "has_compiler", lambda: has_compiler)
    assert compiles(setting, n_steps) is expected
