"""Losses that become non-finite: the member is restored and stopped, the others go on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from small_fits import (
    is_defined,
    logarithm,
    make_config,
    make_data,
    make_doomed_problem,
    make_hybrid,
    make_members,
    make_penalties,
    make_starts,
    parameters,
)
from torch.testing import assert_close

from skhybrid.training.loop import train
from skhybrid.training.problem import Problem
from skhybrid.training.result import Status

FAST, SLOW = 0.3, 0.01


@pytest.fixture
def doomed():
    return make_doomed_problem()


def run(problem, starts, rates, on_epoch=None, **options):
    """Train with these physics learning rates; return members, results and z after every epoch."""
    members = make_members(problem.hybrid, starts)
    history = [members.flat.clone()]

    def record(epoch, losses):
        history.append(members.flat.clone())
        return on_epoch is not None and on_epoch(epoch, losses)

    config = make_config(len(starts), physics_learning_rate=rates, **options)
    result = train(problem, members, config, record)
    n_members = len(starts)
    return members, result, [flat[:n_members] for flat in history]


@pytest.mark.parametrize("n_batches", [1, 3])
def test_a_member_with_a_non_finite_loss_is_restored_and_stopped(doomed, n_batches):
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
    # It keeps its parameters after the last epoch that ended where the physics is defined.
    last_good = max(epoch for epoch in range(broken) if is_defined(history[epoch][1]))
    assert result.kept_epoch == [n_epochs, last_good, n_epochs]
    for epoch in range(broken, n_epochs + 1):
        assert float(history[epoch][1]) == float(history[last_good][1])
    assert bool(torch.isfinite(result.losses).all())
    assert bool(members.finite().all())
    # The other members are not affected.
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


def test_a_last_step_to_a_non_finite_loss_is_undone(doomed):
    (start,) = make_starts(doomed.hybrid, 1)
    latest = []
    members = make_members(doomed.hybrid, [start])

    def is_undefined(epoch, losses):
        latest.append(float(losses))
        return not is_defined(members.member_coordinates(0)["gain"])

    config = make_config(physics_learning_rate=FAST, n_epochs=12)
    result = train(doomed, members, config, is_undefined)
    assert all(math.isfinite(loss) for loss in latest)
    assert result.status == [Status.NON_FINITE]
    assert result.stopped_epoch == [result.n_epochs]
    assert result.kept_epoch == [result.n_epochs - 1]
    assert is_defined(members.member_coordinates(0)["gain"])
    assert bool(torch.isfinite(result.losses).all())


def test_training_stops_when_all_members_are_non_finite(doomed):
    starts = make_starts(doomed.hybrid, 3)
    _, result, _ = run(doomed, starts, [FAST, 2 * FAST, FAST], n_epochs=50)
    assert result.status == [Status.NON_FINITE] * 3
    assert result.n_epochs == max(result.stopped_epoch) < 50
    assert len(set(result.stopped_epoch)) > 1
    assert len(result.curve) == result.n_epochs


def test_a_member_that_is_non_finite_at_its_start_has_failed_and_keeps_it(doomed):
    starts = make_starts(doomed.hybrid, 2)
    outside = {"gain": torch.tensor(-2.0, dtype=torch.float64)}
    starts[1] = replace(starts[1], coordinates=outside)
    members, result, _ = run(doomed, starts, SLOW)
    assert result.status == [Status.FINISHED, Status.FAILED]
    assert [status.usable for status in result.status] == [True, False]
    assert result.stopped_epoch == [5, 1]
    assert result.kept_epoch == [5, 0]
    assert_close(parameters(members, 1), starts[1].weights | outside, rtol=0, atol=0)
    assert math.isfinite(float(result.losses[0]))
    assert not math.isfinite(float(result.losses[1]))


def test_a_perturbation_to_a_non_finite_loss_affects_only_its_own_member():
    data = make_data()
    # The loss grows towards a smaller gain, so the perturbation goes there.
    shifted = data._replace(y=data.y + 20.0)
    problem = Problem(make_hybrid(shifted, logarithm), shifted)
    starts = make_starts(problem.hybrid, 2)
    members, result, _ = run(problem, starts, SLOW, rho=[0.05, 5.0], perturb="all")
    assert result.status[0] is Status.FINISHED
    assert result.status[1] is Status.FAILED
    assert bool(members.finite().all())


@pytest.mark.parametrize("penalty", ["l2", "functional_norm", "orthogonality"])
def test_a_non_finite_member_does_not_affect_the_others_through_a_penalty(doomed, penalty):
    starts = make_starts(doomed.hybrid, 2)
    config = {"n_epochs": 12, "penalties": make_penalties(2, **{penalty: 0.1})}
    members, result, _ = run(doomed, starts, [SLOW, FAST], **config)
    assert result.status == [Status.FINISHED, Status.NON_FINITE]
    assert bool(members.finite().all())
    config["penalties"] = make_penalties(1, **{penalty: 0.1})
    alone, _, _ = run(doomed, starts[:1], SLOW, **config)
    assert_close(parameters(members, 0), parameters(alone, 0), rtol=0, atol=1e-10)
