"""Sharpness-aware minimisation, compared with a published implementation and with its formulas."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import pytorch_optimizer
import torch
from small_fits import (
    make_config,
    make_data,
    make_hybrid,
    make_members,
    make_penalties,
    make_starts,
)
from small_trajectories import SmallTrajectories
from torch.testing import assert_close

from skhybrid.training.adam import Adam
from skhybrid.training.loop import train
from skhybrid.training.members import BIAS, FIRST_STATE, PHYSICS, WEIGHT, Members
from skhybrid.training.objective import Objective
from skhybrid.training.problem import Problem
from skhybrid.training.sam import SAM

HIDDEN = (16, 16)


@pytest.fixture
def data():
    return make_data()


class Gradient:
    """Steepest descent, with the interface of Adam."""

    def __init__(self, parameters: torch.Tensor, learning_rate: torch.Tensor) -> None:
        self.parameters, self.learning_rate = parameters, learning_rate

    def step(self, gradient: torch.Tensor) -> None:
        self.parameters -= self.learning_rate * gradient


class Published:
    """The same model in plain torch, trained with the SAM of pytorch_optimizer.

    The physics and the scales are written out. ``coordinates`` are the scaled physics parameters.
    """

    def __init__(self, data, start, base, rho, adaptive, learning_rate, physics) -> None:
        self.x, self.y, _ = data
        self.network = torch.nn.Sequential(
            torch.nn.Linear(2, 16),
            torch.nn.SiLU(),
            torch.nn.Linear(16, 16),
            torch.nn.SiLU(),
            torch.nn.Linear(16, 1),
        ).double()
        self.network.load_state_dict(start.weights)
        self.coordinates = {
            name: value.clone().requires_grad_() for name, value in start.coordinates.items()
        }
        learned = list(self.network.parameters())
        if physics:
            learned = [*self.coordinates.values(), *learned]
        self.optimizer = pytorch_optimizer.SAM(
            learned, base, rho=rho, adaptive=adaptive, lr=learning_rate
        )

    def loss(self) -> torch.Tensor:
        time = self.x[:, 0]
        physics = self.y.mean()
        if self.coordinates:
            rate = 0.8 + 0.8 * self.coordinates["rate"]
            start = torch.tensor([1.5, 0.5], dtype=torch.float64)
            level = start + start * self.coordinates["level"]
            physics = level[0] * torch.exp(-rate * time) + level[1]
        standard = (self.x - self.x.mean(0)) / self.x.std(0)
        prediction = physics + self.y.std() * self.network(standard)[:, 0]
        return ((prediction - self.y) / self.y.std()).square().mean()

    def step(self) -> None:
        def closure():
            self.optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            return loss

        closure()
        self.optimizer.step(closure)

    def parameters(self) -> tuple[dict, dict]:
        weights = {name: p.detach() for name, p in self.network.named_parameters()}
        return weights, {name: value.detach() for name, value in self.coordinates.items()}


def step(objective, members, sam, base, data) -> None:
    members.backward(objective(data))
    sam.ascend()
    members.backward(objective(data))
    sam.descend()
    base.step(members.gradient)


def norm_in_float64(groups, device=None, *, weight_adaptive):
    squares = [
        (p.grad * p.abs() if group["adaptive"] else p.grad).square().sum()
        for group in groups
        for p in group["params"]
    ]
    return torch.stack(squares).sum().reshape(1)


@pytest.mark.parametrize("physics", [True, False], ids=["physics", "network alone"])
@pytest.mark.parametrize("base", ["adam", "gradient"])
@pytest.mark.parametrize(
    ("perturbation", "adaptive", "rho"), [("global", False, 0.3), ("elementwise", True, 0.5)]
)
def test_equals_the_step_of_pytorch_optimizer(
    data, perturbation, adaptive, rho, base, physics, monkeypatch
):
    # The published step rounds the norm of the gradient to float32 for every dtype.
    module = sys.modules[pytorch_optimizer.SAM.__module__]
    monkeypatch.setattr(module, "get_global_gradient_norm", norm_in_float64)
    compare_with_published(data, perturbation, adaptive, rho, base, physics, tolerance=1e-12)


@pytest.mark.parametrize(("perturbation", "adaptive"), [("global", False), ("elementwise", True)])
def test_equals_the_unpatched_step_of_pytorch_optimizer_up_to_its_rounding(
    data, perturbation, adaptive
):
    compare_with_published(data, perturbation, adaptive, 0.3, "gradient", True, tolerance=1e-9)


def compare_with_published(data, perturbation, adaptive, rho, base, physics, tolerance) -> None:
    hybrid = make_hybrid(data, hidden=HIDDEN, **({} if physics else {"physics": None}))
    (start,) = make_starts(hybrid, 1, HIDDEN)
    members = make_members(hybrid, [start])
    objective = Objective(hybrid, members, make_penalties())
    radius = torch.tensor([rho], dtype=torch.float64)
    sam = SAM(members, radius, perturbation, "all")
    ours, theirs = {"adam": (Adam, torch.optim.Adam), "gradient": (Gradient, torch.optim.SGD)}[base]
    optimizer = ours(members.flat, torch.full_like(members.flat, 0.01))
    published = Published(data, start, theirs, rho, adaptive, 0.01, physics)
    with torch.no_grad():
        assert_close(objective(data), published.loss(), rtol=1e-13, atol=1e-13)
    for _ in range(8):
        step(objective, members, sam, optimizer, data)
        published.step()
        weights, coordinates = published.parameters()
        limits = {"rtol": tolerance, "atol": tolerance}
        assert_close(members.member_weights(0), weights, **limits)
        assert_close(members.member_coordinates(0), coordinates, **limits)


def perturb(
    hybrid, starts, data, perturbation, rho=0.05, perturb="nn"
) -> tuple[Members, dict, dict, SAM]:
    """Return members after the ascent, the gradient and the move of every block, and the SAM."""
    members = make_members(hybrid, starts)
    members.backward(Objective(hybrid, members, make_penalties(len(starts)))(data))
    before = members.flat.clone()
    rho = torch.as_tensor(rho, dtype=torch.float64).expand(len(starts))
    sam = SAM(members, rho, perturbation, perturb)
    sam.ascend()
    move = members.flat.detach() - before
    gradients = {b.name: b.view(members.gradient).clone() for b in members.blocks}
    return members, gradients, {b.name: b.view(move) for b in members.blocks}, sam


@pytest.mark.parametrize("n_members", [1, 3])
def test_layer_moves_every_matrix_by_its_own_length_and_no_bias(data, n_members):
    hybrid = make_hybrid(data, hidden=HIDDEN)
    starts = make_starts(hybrid, n_members, HIDDEN)
    members, gradients, moves, _ = perturb(hybrid, starts, data, "layer", rho=0.07)
    for block in members.blocks:
        for member, start in enumerate(starts):
            move, gradient = moves[block.name][member], gradients[block.name][member]
            if block.role != WEIGHT:
                assert bool((move == 0.0).all())
                continue
            length = 0.07 * start.weights[block.name].norm()
            assert_close(move, length * gradient / gradient.norm(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("perturb_what", ["nn", "all"])
@pytest.mark.parametrize("perturbation", ["layer", "global", "elementwise"])
def test_physics_parameters_move_only_if_all_parameters_do(data, perturbation, perturb_what):
    hybrid = make_hybrid(data)
    members, _, moves, _ = perturb(
        hybrid, make_starts(hybrid, 2), data, perturbation, perturb=perturb_what
    )
    for block in members.blocks:
        if block.role == PHYSICS:
            assert bool((moves[block.name] != 0.0).all()) == (perturb_what == "all")
        if block.role == BIAS:
            assert bool((moves[block.name] != 0.0).any()) == (perturbation != "layer")


def test_layer_moves_scaled_physics_parameters_by_rho(data):
    hybrid = make_hybrid(data)
    _, gradients, moves, _ = perturb(
        hybrid, make_starts(hybrid, 2), data, "layer", rho=[0.02, 0.3], perturb="all"
    )
    for name in ("rate", "level"):
        assert_close(
            moves[name].norm(dim=1),
            torch.tensor([0.02, 0.3], dtype=torch.float64),
            rtol=1e-9,
            atol=0,
        )
        assert bool(((moves[name] * gradients[name]).sum(1) > 0).all())


@pytest.mark.parametrize("perturbation", ["global", "elementwise"])
@pytest.mark.parametrize("perturb_what", ["nn", "all"])
def test_the_move_of_all_perturbed_blocks_has_length_rho(data, perturbation, perturb_what):
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 2)
    members, _, moves, _ = perturb(
        hybrid, starts, data, perturbation, rho=[0.1, 0.4], perturb=perturb_what
    )
    for member, rho in enumerate([0.1, 0.4]):
        square = 0.0
        for block in members.blocks:
            part = starts[member].coordinates if block.role == PHYSICS else starts[member].weights
            unit = part[block.name].abs().reshape(-1) if perturbation == "elementwise" else 1.0
            square += float((moves[block.name][member] / unit).square().sum())
        assert square**0.5 == pytest.approx(rho, rel=1e-9)


@pytest.mark.parametrize("perturbation", ["layer", "global", "elementwise"])
def test_every_members_perturbation_is_the_same_as_alone(data, perturbation):
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 3)
    radii = [0.01, 0.1, 0.5]
    _, _, moves, _ = perturb(hybrid, starts, data, perturbation, radii, "all")
    for member, start in enumerate(starts):
        _, _, alone, _ = perturb(hybrid, [start], data, perturbation, radii[member], "all")
        for name, move in alone.items():
            assert_close(moves[name][member], move[0], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("perturbation", ["layer", "global", "elementwise"])
@pytest.mark.parametrize("n_members", [1, 3])
def test_descend_restores_every_bit(data, perturbation, n_members):
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, n_members)
    before = make_members(hybrid, starts).flat.clone()
    members, _, _, sam = perturb(hybrid, starts, data, perturbation, rho=3.7, perturb="all")
    assert not torch.equal(members.flat, before)
    sam.descend()
    assert torch.equal(members.flat, before)


@pytest.mark.parametrize("perturbation", ["layer", "global", "elementwise"])
def test_a_member_without_radius_or_gradient_does_not_move(data, perturbation):
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 3)
    members = make_members(hybrid, starts)
    members.stop(torch.tensor([False, True, False]))
    members.backward(Objective(hybrid, members, make_penalties(3))(data))
    before = members.flat.clone()
    SAM(members, torch.tensor([0.0, 0.1, 0.1]), perturbation, "all").ascend()
    moved = [False] * 3
    for block in members.blocks:
        change = block.view(members.flat - before)
        moved = [was or bool((row != 0).any()) for was, row in zip(moved, change, strict=True)]
    assert moved == [False, False, True]


def test_first_states_get_the_gradient_of_the_unperturbed_loss():
    small = SmallTrajectories(initial_state="learned")
    hybrid = small.hybrid()
    starts = small.starts(hybrid, 2)
    config = make_config(
        2,
        rho=0.5,
        learning_rate=[0.01, 0.02],
        physics_learning_rate=0.0,
        n_epochs=1,
        n_rows=len(small.data.y),
    )
    for perturb in ("nn", "all"):
        members = make_members(hybrid, starts)
        members.backward(Objective(hybrid, members, make_penalties(2))(small.data))
        states = next(block for block in members.blocks if block.role == FIRST_STATE)
        others = [block for block in members.blocks if block.role == WEIGHT]
        plain = members.gradient.clone()
        before = members.flat.clone()
        train(Problem(hybrid, small.data), members, replace(config, perturb=perturb))
        assert_close(states.view(members.gradient), states.view(plain), rtol=1e-12, atol=1e-15)
        assert all(
            float((block.view(members.gradient) - block.view(plain)).abs().max()) > 1e-6
            for block in others
        )
        # The length of Adam's first step is the learning rate, against the sign of the gradient.
        moved = states.view(members.flat) - states.view(before)
        rates = torch.tensor([[0.01], [0.02]], dtype=torch.float64)
        clear = states.view(plain).abs() > 1e-5
        expected = -rates * states.view(plain).sign()
        assert_close(moved[clear], expected[clear], rtol=1e-3, atol=0.0)
