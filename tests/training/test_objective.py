"""The loss of every member: values, weights, chunks, and members evaluated one by one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from small_fits import decay, make_data, make_hybrid, make_members, make_penalties, make_starts
from torch.testing import assert_close

from skhybrid.exceptions import PhysicsError, SerialMembersWarning
from skhybrid.model.batch import Batch
from skhybrid.training import objective as objective_module
from skhybrid.training.minibatches import PerMemberBatches, WeightedRows, rows_of
from skhybrid.training.objective import Objective


def with_two_targets(data: Batch) -> Batch:
    return data._replace(y=torch.stack([data.y, 5.0 * data.y.square()], dim=1))


def two_targets(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    first = level[0] * torch.exp(-rate * time)
    return torch.stack([first, heat + level[1]], dim=-1)


def never_finite(time, heat, *, rate=0.8):
    return torch.sqrt(-1.0 - rate.abs() * time)


def with_a_branch(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    """The decay of the other tests, with a branch that vmap cannot vectorise."""
    fall = torch.exp(-rate * time)
    return level[0] * fall + level[1] if bool(fall.max() > 0) else 0.0 * fall


def by_hand(hybrid, start, data, weight=None) -> float:
    with torch.no_grad():
        prediction = hybrid(data.x, start.coordinates, start.weights).numpy()
    error = (prediction - data.y.numpy()) / hybrid.scales.target_scale.numpy()
    return float(np.mean(error**2 * (1.0 if weight is None else weight.numpy())))


CLOSE = {"rtol": 1e-11, "atol": 1e-13}


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("targets", [1, 2])
def test_losses_are_mean_squares_in_units_of_the_targets_standard_deviation(n_members, targets):
    data = make_data()
    hybrid = make_hybrid(data)
    if targets == 2:
        data = with_two_targets(data)
        hybrid = make_hybrid(data, two_targets)
    starts = make_starts(hybrid, n_members)
    objective = Objective(hybrid, make_members(hybrid, starts), make_penalties(n_members))
    expected = [by_hand(hybrid, start, data) for start in starts]
    assert objective(data).reshape(-1).tolist() == pytest.approx(expected, rel=1e-12)
    assert objective.data_losses(data).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("per_member", [False, True])
def test_weights_for_all_members_and_for_each(n_members, per_member):
    data = make_data()
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, n_members)
    generator = torch.Generator().manual_seed(3)
    weight = torch.rand(n_members, *data.y.shape, generator=generator, dtype=torch.float64)
    given = weight if per_member else weight[0]
    objective = Objective(
        hybrid,
        make_members(hybrid, starts),
        make_penalties(n_members),
        weight_per_member=per_member,
    )
    expected = [
        by_hand(hybrid, start, data, weight[member if per_member else 0])
        for member, start in enumerate(starts)
    ]
    weighted = data._replace(weight=given)
    assert objective(weighted).reshape(-1).tolist() == pytest.approx(expected, rel=1e-12)
    assert objective.data_losses(weighted).tolist() == pytest.approx(expected, rel=1e-12)


def test_masked_targets_have_no_influence():
    data = with_two_targets(make_data())
    hybrid = make_hybrid(data, two_targets)
    members = make_members(hybrid, make_starts(hybrid, 2))
    objective = Objective(hybrid, members, make_penalties(2))
    weight = torch.ones_like(data.y)
    weight[::3, 0] = 0.0
    weight[1, :] = 0.0
    results = []
    for filler in (0.0, 1e3):
        masked = data._replace(y=torch.where(weight == 0, filler, data.y), weight=weight)
        members.backward(objective(masked))
        results.append((objective(masked).detach(), members.gradient.clone()))
    assert_close(results[0], results[1], rtol=0, atol=0)
    assert bool((results[0][0] > 0).all())


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("targets_at_once", [1, 7, 30, 31])
def test_data_losses_over_several_chunks(n_members, weighted, targets_at_once, monkeypatch):
    data = make_data()
    hybrid = make_hybrid(data)
    starts = make_starts(hybrid, n_members)
    weight = torch.linspace(0.0, 2.0, 30, dtype=torch.float64) if weighted else None
    objective = Objective(hybrid, make_members(hybrid, starts), make_penalties(n_members))
    monkeypatch.setattr(objective_module, "MAX_TARGETS_AT_ONCE", targets_at_once)
    expected = [by_hand(hybrid, start, data, weight) for start in starts]
    losses = objective.data_losses(data._replace(weight=weight))
    assert losses.tolist() == pytest.approx(expected, rel=1e-12)
    assert not losses.requires_grad


def test_data_losses_exclude_penalties():
    data = make_data()
    hybrid = make_hybrid(data)
    members = make_members(hybrid, make_starts(hybrid, 2))
    penalties = make_penalties(2, functional_norm=1.0, orthogonality=1.0)
    penalised = Objective(hybrid, members, penalties)
    plain = Objective(hybrid, members, make_penalties(2))
    assert_close(penalised.data_losses(data), plain.data_losses(data))
    assert bool((penalised(data) > plain(data) + 1e-3).all())


@pytest.mark.parametrize("penalty", [0.0, 0.5])
@pytest.mark.parametrize("per_member", [False, True])
def test_physics_that_branches_on_its_data_is_evaluated_one_by_one(penalty, per_member):
    data = make_data()
    weight = torch.linspace(0.1, 1.9, 30, dtype=torch.float64)
    data = data._replace(weight=torch.stack([weight, weight.flip(0)]) if per_member else weight)
    penalties = make_penalties(2, functional_norm=[0.0, penalty])
    results = []
    for physics in (None, with_a_branch):
        hybrid = make_hybrid(data, **({"physics": physics} if physics else {}))
        members = make_members(hybrid, make_starts(hybrid, 2))
        objective = Objective(hybrid, members, penalties, weight_per_member=per_member)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            objective.choose_evaluation(rows_of(data, slice(0, 10)))
            losses = objective(data)
            members.backward(losses)
        expected = [SerialMembersWarning] if physics else []
        assert [warning.category for warning in caught] == expected
        results.append((losses.detach(), members.gradient.clone(), objective.data_losses(data)))
    assert_close(results[0], results[1], rtol=1e-10, atol=1e-13)


def test_one_by_one_without_penalties_the_physics_is_evaluated_once_per_member():
    calls = []

    def counted(time, heat, *, rate=0.8, level=(1.5, 0.5)):
        calls.append(1)
        return with_a_branch(time, heat, rate=rate, level=level)

    data = make_data()
    hybrid = make_hybrid(data, counted)
    members = make_members(hybrid, make_starts(hybrid, 3))
    objective = Objective(hybrid, members, make_penalties(3))
    with pytest.warns(SerialMembersWarning, match="one after the other"):
        objective.choose_evaluation(data)
    calls.clear()
    objective(data)
    assert len(calls) == 3


def test_a_single_member_does_not_need_vmap():
    data = make_data()
    hybrid = make_hybrid(data, with_a_branch)
    starts = make_starts(hybrid, 1)
    objective = Objective(hybrid, make_members(hybrid, starts), make_penalties())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        objective.choose_evaluation(data)
        loss = float(objective(data).detach())
    assert loss == pytest.approx(by_hand(hybrid, starts[0], data))


def test_an_error_in_the_physics_itself_is_raised():
    def broken(time, heat, *, rate=0.8, level=(1.5, 0.5)):
        raise RuntimeError("no such decay")

    data = make_data()
    hybrid = make_hybrid(data, broken)
    objective = Objective(hybrid, make_members(hybrid, make_starts(hybrid, 2)), make_penalties(2))
    message = r"physics 'broken' failed at rate=0.8\d*, .*RuntimeError: no such decay"
    with pytest.raises(PhysicsError, match=message):
        objective.choose_evaluation(data)


# Held-out rows


def held_out_by_three(data, *, targets=1):
    """Return rows with weights for three members, which hold out no, some and other rows."""
    generator = torch.Generator().manual_seed(4)
    weight = torch.rand(3, *data.y.shape, generator=generator, dtype=torch.float64)
    number = torch.arange(len(data.y))
    held_out = torch.stack([number < 0, number % 4 == 1, number % 5 == 0])
    weight = weight * (held_out if targets == 1 else held_out[..., None])
    if targets > 1:
        weight[1, 1, 0] = 0.0  # a row with a weight for only one of its targets
    return data._replace(weight=weight)


@pytest.mark.parametrize("targets_at_once", [1, 4, 10_000])
@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("several", [False, True])
def test_held_out_losses_need_only_the_rows_with_a_weight(
    several, targets, targets_at_once, monkeypatch
):
    data, physics = make_data(), decay
    if targets == 2:
        data, physics = data._replace(y=torch.stack([data.y, data.y.square()], 1)), two_targets
    hybrid = make_hybrid(data, physics)
    members = make_members(hybrid, make_starts(hybrid, 3))
    held_out = held_out_by_three(data, targets=targets)
    settings = {"weight_per_member": True}
    if several:
        shorter = held_out_by_three(make_data(17), targets=1)
        if targets == 2:
            shorter = held_out_by_three(
                shorter._replace(y=torch.stack([shorter.y] * 2, 1), weight=None), targets=2
            )
        first = held_out._replace(weight=held_out.weight[:2])
        last = shorter._replace(weight=shorter.weight[2:])
        held_out = PerMemberBatches([first, last], [0, 0], [2, 1])
        settings["row_axes"] = held_out.row_axes
    objective = Objective(hybrid, members, make_penalties(3), **settings)
    objective.choose_evaluation(rows_of(held_out, slice(0, 9)))
    own = objective.weighted_rows(held_out)
    assert isinstance(own, WeightedRows)
    assert own.n_rows == 8
    monkeypatch.setattr(objective_module, "MAX_TARGETS_AT_ONCE", targets_at_once)
    losses = objective.data_losses(own)
    assert_close(losses, objective.data_losses(held_out), **CLOSE)
    assert float(losses[0]) == 0.0 < float(losses[1:].min())


@pytest.mark.parametrize("reason", ["most rows", "no weights", "not as rows"])
def test_all_rows_are_evaluated_if_the_others_cannot_be_left_out(reason):
    data = make_data()
    hybrid = make_hybrid(data, never_finite if reason == "not as rows" else decay)
    members = make_members(hybrid, make_starts(hybrid, 3))
    held_out = held_out_by_three(data)
    if reason == "most rows":
        held_out = held_out._replace(weight=torch.ones_like(held_out.weight))
    elif reason == "no weights":
        held_out = data
    objective = Objective(
        hybrid, members, make_penalties(3), weight_per_member=held_out.weight is not None
    )
    objective.choose_evaluation(held_out)
    assert objective.weighted_rows(held_out) is held_out
