"""Losses and gradients without autograd for the network equal those with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_fits import decay, make_data, make_hybrid, make_members, make_penalties, make_starts
from torch import nn
from torch.testing import assert_close

from skhybrid.model.physics import Physics
from skhybrid.training.direct_gradient import DirectGradient
from skhybrid.training.losses import Loss
from skhybrid.training.members import BIAS, PHYSICS, WEIGHT
from skhybrid.training.objective import Objective

CLOSE = {
    torch.float64: {"rtol": 1e-10, "atol": 1e-12},
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
}


def two_targets(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    return torch.stack([level[0] * torch.exp(-rate * time), heat + level[1]], dim=-1)


def not_learned(time, heat):
    return torch.exp(-0.8 * time)


def make_objective(
    n_members=1, *, physics=decay, structure="additive", hidden=(8,), weights=None, **options
):
    """Return an objective that has chosen its evaluation, and a minibatch."""
    dtype = options.pop("dtype", torch.float64)
    data = make_data(dtype=dtype)
    if physics is two_targets:
        data = data._replace(y=torch.stack([data.y, 2.0 * data.y + 1.0], dim=-1))
    if weights is not None:
        of_members = (n_members,) if weights == "per member" else ()
        generator = torch.Generator().manual_seed(2)
        weight = torch.rand(*of_members, *data.y.shape, generator=generator, dtype=dtype)
        data = data._replace(weight=weight)
    hybrid = make_hybrid(data, physics, hidden, structure)
    if structure == "serial":  # the network also reads the physics
        hybrid = with_physics_as_input(hybrid, data, hidden)
    members = make_members(hybrid, make_starts(hybrid, n_members, hidden))
    per_member = weights == "per member"
    loss = options.pop("loss", Loss())
    penalties = make_penalties(n_members, **options)
    objective = Objective(hybrid, members, penalties, weight_per_member=per_member, loss=loss)
    objective.choose_evaluation(data)
    return objective, data


def with_physics_as_input(hybrid, data, hidden):
    """Return the model with scales and a network for further inputs."""
    n_extra = hybrid.n_network_outputs
    scales = hybrid.scales
    more = {
        name: torch.cat([getattr(scales, name), torch.full((n_extra,), value, dtype=data.x.dtype)])
        for name, value in {
            "feature_offset": 0.3,
            "feature_factor": 0.7,
            "feature_low": -9.0,
            "feature_high": 9.0,
        }.items()
    }
    hybrid = hybrid.at(hybrid.space, replace(scales, **more))
    return hybrid.with_network(hybrid.new_network(hidden, seed=0))


def expected_of(objective, data):
    """Return losses and gradients by autograd."""
    losses = objective(data)
    objective.members.backward(losses)
    return losses.detach(), objective.members.gradient.clone()


@pytest.mark.parametrize("weights", [None, "shared", "per member"])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("physics", [decay, two_targets, not_learned, None])
@pytest.mark.parametrize("structure", ["additive", "multiplicative", "serial"])
def test_equals_autograd(structure, physics, n_members, weights):
    objective, data = make_objective(
        n_members, physics=physics, structure=structure, weights=weights
    )
    assert objective.is_direct
    expected = expected_of(objective, data)
    objective.members.gradient.zero_()
    losses, _ = objective.gradient(data)
    assert_close(losses.reshape(-1), expected[0].reshape(-1), **CLOSE[torch.float64])
    assert_close(objective.members.gradient, expected[1], **CLOSE[torch.float64])


@pytest.mark.parametrize("loss", [Loss("huber"), Loss("absolute_error")], ids=str)
@pytest.mark.parametrize("weights", [None, "per member"])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("physics", [decay, two_targets])
def test_equals_autograd_for_robust_losses(physics, n_members, weights, loss):
    objective, data = make_objective(n_members, physics=physics, weights=weights, loss=loss)
    assert objective.is_direct
    expected = expected_of(objective, data)
    objective.members.gradient.zero_()
    losses, _ = objective.gradient(data)
    assert_close(losses.reshape(-1), expected[0].reshape(-1), **CLOSE[torch.float64])
    assert_close(objective.members.gradient, expected[1], **CLOSE[torch.float64])


@pytest.mark.parametrize("hidden", [(), (5,), (20, 17)])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_autograd_for_other_networks_and_dtypes(n_members, hidden, dtype):
    objective, data = make_objective(n_members, hidden=hidden, dtype=dtype)
    assert objective.is_direct
    losses, gradient = expected_of(objective, data)
    assert_close(objective.gradient(data)[0].reshape(-1), losses.reshape(-1), **CLOSE[dtype])
    assert_close(objective.members.gradient, gradient, **CLOSE[dtype])


def in_late_rows(time, heat, *, rate=0.8):
    known = torch.exp(-rate * time)
    return known if float(time[0]) > 0 else known.detach()


def test_a_minibatch_without_gradient_of_theta_does_not_keep_the_last_one():
    objective, data = make_objective(physics=in_late_rows)
    objective.gradient(data)
    early = data._replace(x=-data.x)
    _, expected = expected_of(objective, early)
    objective.gradient(data)
    objective.gradient(early)
    assert_close(objective.members.gradient, expected, **CLOSE[torch.float64])


def of_double_precision(time, heat, *, rate=0.8):
    return torch.exp(-rate * time) + torch.zeros(1, dtype=torch.float64)


@pytest.mark.parametrize("structure", ["additive", "multiplicative", "serial"])
def test_physics_of_another_dtype(structure):
    objective, data = make_objective(
        physics=of_double_precision, structure=structure, dtype=torch.float32
    )
    losses, gradient = expected_of(objective, data)
    assert_close(objective.gradient(data)[0], losses, **CLOSE[torch.float32])
    assert_close(objective.members.gradient, gradient, **CLOSE[torch.float32])


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_second_pass_does_not_evaluate_the_physics_again(n_members):
    calls = []

    def counted(time, heat, *, rate=0.8, level=(1.5, 0.5)):
        calls.append(1)
        return decay(time, heat, rate=rate, level=level)

    objective, data = make_objective(n_members, physics=counted)
    members = objective.members
    calls.clear()
    members.gradient.zero_()
    objective.gradient(data, [WEIGHT])
    untouched = [b for b in members.blocks if b.role in (PHYSICS, BIAS)]
    assert not any(block.view(members.gradient).any() for block in untouched)
    with torch.no_grad():
        for block in members.blocks:
            if block.role == WEIGHT:
                block.view(members.flat).mul_(1.1)
    losses, _ = objective.gradient(data, again=True)
    assert len(calls) == 1
    gradient = members.gradient.clone()
    expected = expected_of(objective, data)
    assert_close(losses.reshape(-1), expected[0].reshape(-1), **CLOSE[torch.float64])
    assert_close(gradient, expected[1], **CLOSE[torch.float64])


def test_a_member_that_is_not_finite_leaves_the_others_as_they_are():
    objective, data = make_objective(3)
    members = objective.members
    _, expected = expected_of(objective, data)
    with torch.no_grad():
        for block in members.blocks:
            block.view(members.flat)[1] = torch.nan
    losses, _ = objective.gradient(data)
    assert torch.isfinite(losses).tolist() == [True, False, True]
    for block in members.blocks:
        found, before = block.view(members.gradient), block.view(expected)
        assert_close(found[[0, 2]], before[[0, 2]], **CLOSE[torch.float64])
    assert members.drop_non_finite().tolist() == [True, False, True]


def test_stopped_members_have_a_gradient_of_zero():
    objective, data = make_objective(3)
    members = objective.members
    members.stop(torch.tensor([False, True, False]))
    objective.gradient(data)
    moving = [block.view(members.gradient).abs().sum(1) > 0 for block in members.blocks]
    assert torch.stack(moving).all(dim=0).tolist() == [True, False, True]


def own_structure(x, physics, nn):
    return physics(x) + nn(x)


@pytest.mark.parametrize("reason", ["penalty", "structure", "network", "frozen"])
def test_other_models_use_autograd(reason):
    data = make_data()
    hybrid = make_hybrid(data, Physics(decay))
    penalties = make_penalties(functional_norm=0.1 if reason == "penalty" else 0.0)
    if reason == "structure":
        hybrid = replace(hybrid, structure=own_structure)
    if reason == "network":
        hybrid = hybrid.with_network(nn.Sequential(*hybrid.network))
    if reason == "frozen":
        hybrid.network[0].bias.requires_grad_(False)
    weights = {n: p for n, p in hybrid.network.named_parameters() if p.requires_grad}
    start = make_starts(make_hybrid(data), 1)[0]
    members = make_members(hybrid, [replace(start, weights=weights)])
    objective = Objective(hybrid, members, penalties)
    objective.choose_evaluation(data)
    assert not objective.is_direct
    assert reason == "penalty" or not DirectGradient.possible(hybrid, members)
    losses, gradient = expected_of(objective, data)
    assert_close(objective.gradient(data)[0], losses)
    assert_close(members.gradient, gradient)
