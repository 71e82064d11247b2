"""The training loop: gradients per step, optimiser steps, and many members in one batch."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from small_fits import (
    make_config,
    make_data,
    make_hybrid,
    make_members,
    make_penalties,
    make_starts,
    parameters,
)
from small_trajectories import SmallTrajectories
from torch import nn
from torch.testing import assert_close

from skhybrid.model.batch import Batch
from skhybrid.training.loop import train
from skhybrid.training.objective import Objective
from skhybrid.training.problem import Problem
from skhybrid.training.result import Start, Status


@pytest.fixture
def data():
    return make_data()


class Counted(nn.Module):
    """A network that counts its calls."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.n_calls = 0

    def forward(self, x):
        self.n_calls += 1
        return self.network(x)


# Gradients per step


@pytest.mark.parametrize("n_batches", [1, 3])
@pytest.mark.parametrize("n_members", [1, 4])
@pytest.mark.parametrize(("rho", "passes"), [(0.05, 2), (None, 1)])
def test_a_step_evaluates_the_network_twice_with_sam_and_once_without(
    data, n_batches, n_members, rho, passes
):
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, n_members)
    hybrid = hybrid.with_network(Counted(hybrid.network))
    starts = [
        Start({f"network.{name}": value for name, value in s.weights.items()}, s.coordinates)
        for s in starts
    ]
    counts = []

    def on_epoch(epoch, losses):
        counts.append(hybrid.network.n_calls)
        return False

    config = make_config(n_members, rho=rho, n_batches=n_batches, n_epochs=4)
    train(Problem(hybrid, data), make_members(hybrid, starts), config, on_epoch)
    per_epoch = [later - before for before, later in pairwise(counts)]
    assert per_epoch == [passes * n_batches] * 3


@pytest.mark.parametrize("evaluations", [1, 2])
def test_minibatches_are_drawn_every_epoch_and_both_passes_see_the_same_rows(data, evaluations):
    """With a structure of ours, the physics is evaluated once for both passes."""
    seen = []

    def recording(time, heat, *, rate=0.8):
        seen.append(time.tolist())
        return torch.exp(-rate * time)

    hybrid = make_hybrid(data, recording)
    if evaluations == 2:
        hybrid = replace(hybrid, structure=lambda x, physics, nn: physics(x) + nn(x))
    config = make_config(n_batches=4, n_epochs=2)
    epochs = []

    def on_epoch(epoch, losses):
        epochs.append(seen.copy())
        seen.clear()
        return False

    train(Problem(hybrid, data), make_members(hybrid, make_starts(hybrid, 1)), config, on_epoch)
    orders = []
    assert epochs[0].pop(0) == data.x[:, 0].tolist()  # the loss of the start
    for passes in epochs:
        assert len(passes) == 4 * evaluations
        assert passes[::evaluations] == passes[evaluations - 1 :: evaluations]
        order = [row for rows in passes[::evaluations] for row in rows]
        assert len(order) == len(set(order)) == 28
        assert set(order) <= set(data.x[:, 0].tolist())
        orders.append(order)
    assert orders[0] != orders[1]


# Steps


def test_without_sam_it_equals_torchs_adam_with_a_half_cosine(data):
    hybrid = make_hybrid(data)
    (start,) = make_starts(hybrid, 1)
    config = make_config(
        rho=None,
        learning_rate=0.02,
        physics_learning_rate=0.1,
        n_epochs=12,
        penalties=make_penalties(l2=0.03),
    )
    members = make_members(hybrid, [start])
    result = train(Problem(hybrid, data), members, config)

    weights = {name: w.clone().requires_grad_() for name, w in start.weights.items()}
    coordinates = {name: z.clone().requires_grad_() for name, z in start.coordinates.items()}
    oracle = torch.optim.Adam(
        [
            {"params": list(weights.values()), "lr": 0.02},
            {"params": list(coordinates.values()), "lr": 0.1},
        ]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        oracle, lambda step: 0.5 * (1 + math.cos(math.pi * step / 12))
    )
    for epoch in range(12):
        oracle.zero_grad()
        error = (hybrid(data.x, coordinates, weights) - data.y) / hybrid.scales.target_scale
        loss = error.square().mean()
        penalty = 0.03 * sum(w.square().sum() for w in weights.values() if w.ndim > 1)
        (loss + penalty).backward()
        oracle.step()
        schedule.step()
        with torch.no_grad():
            penalty = 0.03 * sum(w.square().sum() for w in weights.values() if w.ndim > 1)
        assert float(result.curve[epoch]) == pytest.approx(
            float(loss.detach() + penalty), rel=1e-10
        )
    assert_close(members.member_weights(0), {n: w.detach() for n, w in weights.items()})
    assert_close(members.member_coordinates(0), {n: z.detach() for n, z in coordinates.items()})


def test_a_learning_rate_of_zero_holds_the_physics_or_the_network(data):
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 3)
    members = make_members(hybrid, starts)
    config = make_config(
        3,
        learning_rate=[0.01, 0.0, 0.01],
        physics_learning_rate=[0.0, 0.05, 0.05],
        penalties=make_penalties(3, l2=0.1),
    )
    train(Problem(hybrid, data), members, config)
    for member, (weights_move, physics_moves) in enumerate(
        [(True, False), (False, True), (True, True)]
    ):
        found, start = parameters(members, member), starts[member]
        assert torch.equal(found["0.weight"], start.weights["0.weight"]) != weights_move
        assert torch.equal(found["rate"], start.coordinates["rate"]) != physics_moves


@pytest.mark.parametrize("n_batches", [1, 3])
def test_the_curve_includes_penalties_and_the_loss_does_not(data, n_batches):
    hybrid = make_hybrid(data)
    members = make_members(hybrid, make_starts(hybrid, 2))
    penalties = make_penalties(2, l2=[0.1, 0.0], functional_norm=0.2)
    config = make_config(
        2, learning_rate=0.0, physics_learning_rate=0.0, penalties=penalties, n_batches=n_batches
    )
    result = train(Problem(hybrid, data), members, config)
    objective = Objective(hybrid, members, penalties)
    squares = sum(members.weights[name].square().sum((1, 2)) for name in ("0.weight", "2.weight"))
    expected = (objective(data) + torch.tensor([0.1, 0.0]) * squares).detach()
    assert len(result.curve) == result.n_epochs == 5
    for losses in result.curve:
        assert_close(losses, expected, rtol=1e-6, atol=0)
    assert_close(result.losses, objective.data_losses(data))
    assert result.validation_losses is None
    assert result.status == [Status.FINISHED] * 2
    assert result.stopped_epoch == result.kept_epoch == [5, 5]


def test_training_lowers_the_loss_and_finds_the_physics():
    data = make_data(60)
    hybrid = make_hybrid(data)
    members = make_members(hybrid, make_starts(hybrid, 1))
    before = float(Objective(hybrid, members, make_penalties()).data_losses(data))
    result = train(
        Problem(hybrid, data), members, make_config(n_rows=60, n_batches=2, n_epochs=150)
    )
    assert float(result.losses) < 0.2 * before
    rate = 0.8 + 0.8 * float(members.member_coordinates(0)["rate"])
    assert rate == pytest.approx(1.2, abs=0.15)


# Many members in one batch


@pytest.mark.parametrize("n_batches", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str
)
@pytest.mark.parametrize("perturbation", ["layer", "global", "elementwise"])
def test_members_in_one_batch_end_where_each_ends_alone(dtype, tolerance, n_batches, perturbation):
    data = make_data(dtype=dtype)
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 4)
    own = {
        "rho": [0.0, 0.02, 0.1, 0.3],
        "learning_rate": [0.01, 0.003, 0.01, 0.02],
        "physics_learning_rate": [0.05, 0.1, 0.0, 0.02],
    }
    strengths = {
        "l2": [0.0, 0.01, 0.0, 0.1],
        "functional_norm": [0.0, 0.0, 0.2, 0.1],
        "orthogonality": [0.0, 0.3, 0.0, 0.1],
    }
    common = {
        "perturbation": perturbation,
        "perturb": "all",
        "n_batches": n_batches,
        "n_epochs": 6,
        "seed": 11,
    }
    members = make_members(hybrid, starts)
    penalties = make_penalties(4, **strengths, dtype=dtype)
    result = train(
        Problem(hybrid, data), members, make_config(4, **own, penalties=penalties, **common)
    )
    for member, start in enumerate(starts):
        alone = make_members(hybrid, [start])
        penalties = {name: value[member] for name, value in strengths.items()}
        config = make_config(
            **{name: value[member] for name, value in own.items()},
            penalties=make_penalties(**penalties, dtype=dtype),
            **common,
        )
        single = train(Problem(hybrid, data), alone, config)
        assert_close(
            parameters(members, member), parameters(alone, 0), rtol=tolerance, atol=tolerance
        )
        assert_close(result.losses[[member]], single.losses, rtol=10 * tolerance, atol=0)
        assert not torch.equal(
            members.member_weights(member)["0.weight"], start.weights["0.weight"]
        )


def test_a_member_that_sees_some_rows_ends_where_training_on_these_rows_does(data):
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 2)
    mask = torch.zeros(2, 30, dtype=torch.float64)
    mask[0, :20] = 1.5
    mask[1, 5:] = 1.2
    members = make_members(hybrid, starts)
    result = train(
        Problem(hybrid, data._replace(weight=mask)), members, make_config(2, n_epochs=10)
    )
    for member, rows in enumerate([slice(0, 20), slice(5, 30)]):
        alone = make_members(hybrid, [starts[member]])
        few = Batch(data.x[rows], data.y[rows], None)
        single = train(Problem(hybrid, few), alone, make_config(n_epochs=10))
        assert_close(parameters(members, member), parameters(alone, 0), rtol=1e-10, atol=1e-10)
        assert float(result.losses[member]) == pytest.approx(float(single.losses), rel=1e-9)


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_same_seed_gives_the_same_bits_and_another_seed_other_minibatches(data, n_members):
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, n_members)
    ends = []
    for seed in (5, 5, 6):
        members = make_members(hybrid, starts)
        torch.rand(seed)  # the global generator has no influence
        train(Problem(hybrid, data), members, make_config(n_members, n_batches=3, seed=seed))
        ends.append(members.flat.clone())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


# Stopping


def test_on_epoch_receives_the_losses_and_can_stop_training(data):
    hybrid = make_hybrid(data)
    members = make_members(hybrid, make_starts(hybrid, 2))
    received = []

    def on_epoch(epoch, losses):
        received.append((epoch, losses))
        return epoch == 3

    result = train(Problem(hybrid, data), members, make_config(2, n_epochs=9), on_epoch)
    assert [epoch for epoch, _ in received] == [1, 2, 3]
    assert all(torch.equal(x, y) for (_, x), y in zip(received, result.curve, strict=True))
    assert result.status == [Status.CALLBACK_STOPPED] * 2
    assert result.n_epochs == 3
    assert result.stopped_epoch == result.kept_epoch == [3, 3]


# Interrupts


class Interrupted:
    """Physics that raises an interrupt at an evaluation in the epoch after ``n_epochs``."""

    def __init__(self, n_epochs: int, evaluation: int) -> None:
        self.n_epochs = n_epochs
        self.n_left = math.inf
        self.evaluation = evaluation

    def __call__(self, time, heat, *, rate=0.8):
        self.n_left -= 1
        if self.n_left == 0:
            raise KeyboardInterrupt
        return torch.exp(-rate * time)

    def on_epoch(self, epoch, losses):
        if epoch == self.n_epochs:
            self.n_left = self.evaluation
        return False


def train_interrupted(data, n_members, *, stop=False, n_held_out=0, on_interrupt=None, **options):
    """Train until an interrupt in the fourth epoch, or stop after the third."""
    physics = Interrupted(3, evaluation=4)  # the second pass of the second minibatch

    def law(time, heat, *, rate=0.8):
        return physics(time, heat, rate=rate)

    # With a user's structure, both passes evaluate the physics.
    hybrid = replace(make_hybrid(data, law), structure=lambda x, physics, nn: physics(x) + nn(x))
    members = make_members(hybrid, make_starts(hybrid, n_members))
    problem = Problem(hybrid, data, make_data(n_held_out, seed=4) if n_held_out else None)
    config = make_config(n_members, n_batches=3, n_epochs=9, learning_rate=0.1, **options)
    on_epoch = (lambda epoch, losses: epoch == 3) if stop else physics.on_epoch
    return members, train(problem, members, config, on_epoch, on_interrupt)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_held_out": 12, "keep_best": "each"},
        {"n_held_out": 12, "keep_best": "together"},
        {"perturb": "all", "perturbation": "global"},
    ],
    ids=str,
)
def test_an_interrupt_leaves_the_unperturbed_parameters_of_the_last_whole_epoch(
    data, n_members, options
):
    told = []
    members, result = train_interrupted(
        data, n_members, on_interrupt=lambda n: told.append(n) or True, **options
    )
    stopped, expected = train_interrupted(data, n_members, stop=True, **options)
    assert told == [3]
    assert result.status == [Status.INTERRUPTED] * n_members
    assert result.n_epochs == len(result.curve) == 3
    assert result.stopped_epoch == [3] * n_members
    assert result.kept_epoch == expected.kept_epoch
    assert torch.equal(members.flat, stopped.flat)
    assert torch.equal(result.curve, expected.curve)
    assert torch.equal(result.losses, expected.losses)
    if expected.validation_losses is not None:
        assert torch.equal(result.validation_losses, expected.validation_losses)


@pytest.mark.parametrize("on_interrupt", [None, lambda n_epochs: False])
def test_an_interrupt_is_raised_unless_somebody_keeps_the_parameters(data, on_interrupt):
    with pytest.raises(KeyboardInterrupt):
        train_interrupted(data, 2, on_interrupt=on_interrupt)


def test_a_callback_that_interrupts_the_last_epoch_keeps_it(data):
    def on_epoch(epoch, losses):
        if epoch == 5:
            raise KeyboardInterrupt
        return False

    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, 2)
    members, whole = make_members(hybrid, starts), make_members(hybrid, starts)
    problem, config = Problem(hybrid, data), make_config(2)
    result = train(problem, members, config, on_epoch, lambda n: True)
    train(problem, whole, config)
    assert result.n_epochs == 5
    assert torch.equal(members.flat, whole.flat)


def test_an_epoch_that_was_not_evaluated_is_evaluated_after_an_interrupt(data):
    # With 400 epochs, held-out rows are evaluated every fourth epoch.
    hybrid = make_hybrid(data)
    problem = Problem(hybrid, data, make_data(40, seed=4))

    def interrupt(epoch, losses):
        if epoch == 6:
            raise KeyboardInterrupt
        return False

    rates = {"learning_rate": 0.001, "physics_learning_rate": 0.001}
    config = make_config(n_epochs=400, keep_best="each", rho=None, **rates)
    members = make_members(hybrid, make_starts(hybrid, 1))
    result = train(problem, members, config, interrupt, lambda n: True)
    assert result.kept_epoch == [6]


# Learned first states


def test_members_with_learned_first_states_train_as_alone():
    small = SmallTrajectories(initial_state="learned")
    hybrid = small.hybrid()
    starts = small.starts(hybrid, 3)
    together = make_members(hybrid, starts)
    train(Problem(hybrid, small.data), together, make_config(3))
    for member, start in enumerate(starts):
        alone = make_members(hybrid, [start])
        train(Problem(hybrid, small.data), alone, make_config(1))
        assert_close(parameters(together, member), parameters(alone, 0), rtol=1e-8, atol=1e-10)


@pytest.mark.filterwarnings("error")
def test_adaptive_solvers_are_trained_one_by_one_without_a_warning():
    small = SmallTrajectories(method="dopri5")
    hybrid = small.hybrid()
    starts = small.starts(hybrid, 2)
    together = make_members(hybrid, starts)
    train(Problem(hybrid, small.data), together, make_config(2, n_epochs=2))
    for member, start in enumerate(starts):
        alone = make_members(hybrid, [start])
        train(Problem(hybrid, small.data), alone, make_config(1, n_epochs=2))
        assert_close(parameters(together, member), parameters(alone, 0), rtol=1e-6, atol=1e-8)
