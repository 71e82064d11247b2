"""The training loop: its passes, its members side by side, and what goes wrong on the way."""

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
    per_member,
)
from small_trajectories import SmallTrajectories
from torch import nn
from torch.testing import assert_close

from skhybrid.model.batch import Batch
from skhybrid.training.early_stopping import Patience
from skhybrid.training.loop import _Step, train
from skhybrid.training.members import FIRST_STATE, WEIGHT
from skhybrid.training.objective import Objective
from skhybrid.training.problem import Problem
from skhybrid.training.result import Start, Status


@pytest.fixture
def data():
    return make_data()


class Counted(nn.Module):
    """A network that counts how often it is called."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.n_calls = 0

    def forward(self, x):
        self.n_calls += 1
        return self.network(x)


def parameters(members, member):
    return members.member_weights(member), members.member_coordinates(member)


# Passes


@pytest.mark.parametrize("n_batches", [1, 3])
@pytest.mark.parametrize("n_members", [1, 4])
@pytest.mark.parametrize(("rho", "passes"), [(0.05, 2), (None, 1)])
def test_a_step_evaluates_the_network_twice_with_sam_and_once_without(
    data, n_batches, n_members, rho, passes
):
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, n_members)
    hybrid.network = Counted(hybrid.network)
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


def test_minibatches_are_drawn_anew_and_both_passes_see_the_same_rows(data):
    seen = []

    def recording(time, heat, *, rate=0.8):
        seen.append(time.tolist())
        return torch.exp(-rate * time)

    hybrid = make_hybrid(data, recording)
    config = make_config(n_batches=4, n_epochs=2)
    epochs = []

    def on_epoch(epoch, losses):
        epochs.append(seen.copy())
        seen.clear()
        return False

    train(Problem(hybrid, data), make_members(hybrid, make_starts(hybrid, 1)), config, on_epoch)
    orders = []
    for passes in epochs:
        assert len(passes) == 8
        assert passes[::2] == passes[1::2]
        order = [row for rows in passes[::2] for row in rows]
        assert len(order) == len(set(order)) == 28
        assert set(order) <= set(data.x[:, 0].tolist())
        orders.append(order)
    assert orders[0] != orders[1]


# Steps


def test_without_sam_it_is_torchs_adam_with_a_half_cosine(data):
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


def test_the_gradient_of_l2_is_taken_at_the_unperturbed_weights(data):
    hybrid = make_hybrid(data)
    (start,) = make_starts(hybrid, 1)
    members = make_members(hybrid, [start])
    flat = data._replace(weight=torch.zeros_like(data.y))
    config = make_config(rho=0.5, n_epochs=1, penalties=make_penalties(l2=0.1))
    ends = []
    for rho in (0.5, None):
        members = make_members(hybrid, [start])
        radius = None if rho is None else per_member(rho, 1)
        train(Problem(hybrid, flat), members, replace(config, rho=radius))
        ends.append(members.member_weights(0))
    assert_close(ends[0], ends[1], rtol=0, atol=0)
    assert not torch.equal(ends[0]["0.weight"], start.weights["0.weight"])


def test_a_rate_of_zero_holds_the_physics_or_the_network(data):
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
        weights, coordinates = parameters(members, member)
        start = starts[member]
        assert torch.equal(weights["0.weight"], start.weights["0.weight"]) != weights_move
        assert torch.equal(coordinates["rate"], start.coordinates["rate"]) != physics_moves


@pytest.mark.parametrize("n_batches", [1, 3])
def test_the_curve_is_the_mean_loss_with_penalties_and_the_loss_is_without(data, n_batches):
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


# Members side by side


@pytest.mark.parametrize("n_batches", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str
)
@pytest.mark.parametrize("perturbation", ["layer", "global", "elementwise"])
def test_members_side_by_side_end_where_each_ends_alone(dtype, tolerance, n_batches, perturbation):
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
        torch.rand(seed)  # the global generator has no say
        train(Problem(hybrid, data), members, make_config(n_members, n_batches=3, seed=seed))
        ends.append(members.flat.clone())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


# What goes wrong

FAST, SLOW = 0.3, 0.01


def logarithm(time, heat, *, gain=1.0):
    """Undefined as soon as the gain is negative, which is where the data of ``doomed`` push it."""
    return torch.log(gain) * torch.exp(-time)


@pytest.fixture
def doomed(data):
    shifted = data._replace(y=data.y - 20.0)
    return Problem(make_hybrid(shifted, logarithm), shifted)


def run(problem, starts, rates, on_epoch=None, **options):
    """Train with these physics rates; return members, result and z of every member and epoch."""
    members = make_members(problem.hybrid, starts)
    history = [members.flat.clone()]

    def record(epoch, losses):
        history.append(members.flat.clone())
        return on_epoch is not None and on_epoch(epoch, losses)

    config = make_config(len(starts), physics_learning_rate=rates, **options)
    result = train(problem, members, config, record)
    n_members = len(starts)
    return members, result, [flat[:n_members] for flat in history]


def defined(coordinate) -> bool:
    return float(coordinate) > -1.0


@pytest.mark.parametrize("n_batches", [1, 3])
def test_a_member_whose_loss_becomes_non_finite_is_restored_and_frozen(doomed, n_batches):
    starts = make_starts(doomed.hybrid, 3)
    n_epochs = 12 if n_batches == 1 else 5
    rates = [SLOW, FAST, SLOW]
    options = {"n_batches": n_batches, "n_epochs": n_epochs}
    members, result, history = run(doomed, starts, rates, **options)
    broken = result.stopped_epoch[1]
    assert result.status == [Status.FINISHED, Status.NON_FINITE, Status.FINISHED]
    assert 1 < broken < n_epochs
    assert result.stopped_epoch == [n_epochs, broken, n_epochs]
    assert not math.isfinite(float(result.curve[broken - 1][1]))
    # What is kept is what it had after the last epoch that ended inside.
    last_good = max(epoch for epoch in range(broken) if defined(history[epoch][1]))
    assert result.kept_epoch == [n_epochs, last_good, n_epochs]
    for epoch in range(broken, n_epochs + 1):
        assert float(history[epoch][1]) == float(history[last_good][1])
    assert bool(torch.isfinite(result.losses).all())
    assert bool(members.finite().all())
    # The others never noticed.
    others, without, _ = run(doomed, [starts[0], starts[2]], [SLOW, SLOW], **options)
    for ours, theirs in ((0, 0), (2, 1)):
        assert_close(parameters(members, ours), parameters(others, theirs), rtol=0, atol=1e-12)
    assert_close(result.losses[[0, 2]], without.losses, rtol=1e-10, atol=0)
    assert without.status == [Status.FINISHED] * 2


def test_a_single_member_is_restored_too(doomed):
    (start,) = make_starts(doomed.hybrid, 1)
    members, result, history = run(doomed, [start], FAST, n_epochs=12)
    assert result.status == [Status.NON_FINITE]
    assert result.n_epochs == result.stopped_epoch[0] < 12
    assert result.kept_epoch == [result.n_epochs - 2]
    assert float(members.member_coordinates(0)["gain"]) == float(history[result.kept_epoch[0]])
    assert bool(torch.isfinite(result.losses).all())


def test_a_last_step_out_of_the_domain_is_taken_back(doomed):
    (start,) = make_starts(doomed.hybrid, 1)
    latest = []

    def leaves_the_domain(epoch, losses):
        latest.append(float(losses))
        return not defined(members_now().member_coordinates(0)["gain"])

    members = make_members(doomed.hybrid, [start])

    def members_now():
        return members

    config = make_config(physics_learning_rate=FAST, n_epochs=12)
    result = train(doomed, members, config, leaves_the_domain)
    assert all(math.isfinite(loss) for loss in latest)
    assert result.status == [Status.NON_FINITE]
    assert result.stopped_epoch == [result.n_epochs]
    assert result.kept_epoch == [result.n_epochs - 1]
    assert defined(members.member_coordinates(0)["gain"])
    assert bool(torch.isfinite(result.losses).all())


def test_all_members_broken_stops_the_loop(doomed):
    starts = make_starts(doomed.hybrid, 3)
    _, result, _ = run(doomed, starts, [FAST, 2 * FAST, FAST], n_epochs=50)
    assert result.status == [Status.NON_FINITE] * 3
    assert result.n_epochs == max(result.stopped_epoch) < 50
    assert len(set(result.stopped_epoch)) > 1
    assert len(result.curve) == result.n_epochs


def test_a_member_that_starts_badly_has_failed_and_keeps_its_start(doomed):
    starts = make_starts(doomed.hybrid, 2)
    outside = {"gain": torch.tensor(-2.0, dtype=torch.float64)}
    starts[1] = replace(starts[1], coordinates=outside)
    members, result, _ = run(doomed, starts, SLOW)
    assert result.status == [Status.FINISHED, Status.FAILED]
    assert [status.usable for status in result.status] == [True, False]
    assert result.stopped_epoch == [5, 1]
    assert result.kept_epoch == [5, 0]
    assert_close(parameters(members, 1), (starts[1].weights, outside), rtol=0, atol=0)
    assert math.isfinite(float(result.losses[0]))
    assert not math.isfinite(float(result.losses[1]))


def test_a_perturbation_out_of_the_domain_breaks_its_own_member_only(data):
    # The loss grows towards a smaller gain, so that is where the perturbation leads.
    shifted = data._replace(y=data.y + 20.0)
    problem = Problem(make_hybrid(shifted, logarithm), shifted)
    starts = make_starts(problem.hybrid, 2)
    members, result, _ = run(problem, starts, SLOW, rho=[0.05, 5.0], perturb="all")
    assert result.status[0] is Status.FINISHED
    assert result.status[1] is Status.FAILED
    assert bool(members.finite().all())


@pytest.mark.parametrize("penalty", ["l2", "functional_norm", "orthogonality"])
def test_a_broken_member_does_no_harm_through_a_penalty(doomed, penalty):
    starts = make_starts(doomed.hybrid, 2)
    config = {"n_epochs": 12, "penalties": make_penalties(2, **{penalty: 0.1})}
    members, result, _ = run(doomed, starts, [SLOW, FAST], **config)
    assert result.status == [Status.FINISHED, Status.NON_FINITE]
    assert bool(members.finite().all())
    config["penalties"] = make_penalties(1, **{penalty: 0.1})
    alone, _, _ = run(doomed, starts[:1], SLOW, **config)
    assert_close(parameters(members, 0), parameters(alone, 0), rtol=0, atol=1e-10)


# Stopping and keeping


def test_on_epoch_is_told_the_losses_and_stops_training(data):
    hybrid = make_hybrid(data)
    members = make_members(hybrid, make_starts(hybrid, 2))
    told = []

    def on_epoch(epoch, losses):
        told.append((epoch, losses))
        return epoch == 3

    result = train(Problem(hybrid, data), members, make_config(2, n_epochs=9), on_epoch)
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert all(torch.equal(x, y) for (_, x), y in zip(told, result.curve, strict=True))
    assert result.status == [Status.CALLBACK_STOPPED] * 2
    assert result.n_epochs == 3
    assert result.stopped_epoch == result.kept_epoch == [3, 3]


def held_out(data, n_members, **options):
    """Train with rows held out; return the result and the validation losses at every epoch."""
    hybrid = make_hybrid(data)
    problem = Problem(hybrid, make_data(12, seed=3), make_data(40, seed=4))
    members = make_members(hybrid, make_starts(hybrid, n_members))
    judge = Objective(hybrid, members, make_penalties(n_members))
    losses, flats = [judge.data_losses(problem.validation)], [members.flat.clone()]

    def on_epoch(epoch, _):
        losses.append(judge.data_losses(problem.validation))
        flats.append(members.flat.clone())
        return False

    config = make_config(n_members, learning_rate=0.1, rho=None, n_rows=12, n_epochs=60, **options)
    result = train(problem, members, config, on_epoch)
    return members, result, torch.stack(losses), flats


def test_each_member_ends_with_its_own_best_parameters(data):
    members, result, losses, flats = held_out(data, 3, keep_best="each")
    best = losses.argmin(dim=0).tolist()
    assert result.kept_epoch == best
    assert len(set(best)) > 1
    assert max(best) < 60
    assert_close(result.validation_losses, losses.amin(dim=0), rtol=1e-12, atol=0)
    for block in members.blocks:
        for member, epoch in enumerate(best):
            kept = block.view(members.flat)[member]
            assert torch.equal(kept, block.view(flats[epoch])[member])


def test_together_members_end_at_the_epoch_with_the_lowest_mean(data):
    members, result, losses, flats = held_out(data, 3, keep_best="together")
    best = int(losses.mean(dim=1).argmin())
    assert result.kept_epoch == [best] * 3
    assert 0 < best < 60
    assert torch.equal(members.flat, flats[best])


def test_without_keeping_the_last_parameters_are_the_result(data):
    members, result, losses, flats = held_out(data, 2)
    assert result.kept_epoch == [60, 60]
    assert torch.equal(members.flat, flats[-1])
    assert_close(result.validation_losses, losses[-1])


def test_patience_stops_training(data):
    patience = Patience(4, tolerance=1e9)
    _, result, _, flats = held_out(data, 2, patience=patience, keep_best="each")
    assert result.status == [Status.EARLY_STOPPED] * 2
    assert result.n_epochs == 5
    assert result.stopped_epoch == [5, 5]
    assert len(flats) == 5


# Learned first states


def test_first_states_get_the_gradient_of_the_unperturbed_loss():
    small = SmallTrajectories(initial_state="learned")
    hybrid = small.hybrid()
    starts = small.starts(hybrid, 2)
    config = make_config(2, rho=0.5, learning_rate=[0.01, 0.02], physics_learning_rate=0.0)
    for perturb in ("nn", "all"):
        members = make_members(hybrid, starts)
        objective = Objective(hybrid, members, make_penalties(2))
        step = _Step(objective, members, replace(config, perturb=perturb))
        members.backward(objective(small.data))
        states = next(block for block in members.blocks if block.kind == FIRST_STATE)
        others = [block for block in members.blocks if block.kind == WEIGHT]
        plain = members.gradient.clone()
        before = members.flat.clone()
        step(small.data, 1.0)
        assert_close(states.view(members.gradient), states.view(plain), rtol=1e-12, atol=1e-15)
        assert all(
            float((block.view(members.gradient) - block.view(plain)).abs().max()) > 1e-6
            for block in others
        )
        # The first step of Adam is the learning rate long, against the sign of the gradient.
        moved = states.view(members.flat) - states.view(before)
        rates = torch.tensor([[0.01], [0.02]], dtype=torch.float64)
        clear = states.view(plain).abs() > 1e-5
        expected = -rates * states.view(plain).sign()
        assert_close(moved[clear], expected[clear], rtol=1e-3, atol=0.0)


def test_members_with_first_states_train_as_they_would_alone():
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
def test_solvers_that_branch_are_trained_one_by_one_without_a_warning():
    small = SmallTrajectories(method="dopri5")
    hybrid = small.hybrid()
    starts = small.starts(hybrid, 2)
    together = make_members(hybrid, starts)
    train(Problem(hybrid, small.data), together, make_config(2, n_epochs=2))
    for member, start in enumerate(starts):
        alone = make_members(hybrid, [start])
        train(Problem(hybrid, small.data), alone, make_config(1, n_epochs=2))
        assert_close(parameters(together, member), parameters(alone, 0), rtol=1e-6, atol=1e-8)
