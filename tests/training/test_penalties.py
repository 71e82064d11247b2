"""Penalties: values compared with formulas, gradients, and a weight for every member."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
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
from torch.testing import assert_close

from skhybrid.training.loop import train
from skhybrid.training.members import GROUP, WEIGHT
from skhybrid.training.objective import Objective
from skhybrid.training.penalties import (
    ON_CONTRIBUTION,
    Penalties,
    SquaredNorms,
    functional_norm,
    orthogonality,
)
from skhybrid.training.problem import Problem

TIME = torch.linspace(0.0, 2.0, 25, dtype=torch.float64)


def physics(coordinates):
    """Level and rate; their sensitivities are exp(-rate t) and -level t exp(-rate t)."""
    return coordinates["level"] * torch.exp(-coordinates["rate"] * TIME)


def at(level=1.5, rate=0.7):
    return {
        "level": torch.tensor(level, dtype=torch.float64, requires_grad=True),
        "rate": torch.tensor(rate, dtype=torch.float64, requires_grad=True),
    }


def sensitivities(level=1.5, rate=0.7):
    time = TIME.numpy()
    return np.stack([np.exp(-rate * time), -level * time * np.exp(-rate * time)], axis=1)


def some_rows(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(TIME), generator=generator, dtype=torch.float64)


def test_l2_value_and_gradient_of_each_member():
    hybrid = make_hybrid(make_data(), hidden=(4, 3))
    starts = make_starts(hybrid, 3, (4, 3))
    members = make_members(hybrid, starts)
    strength = [0.0, 0.1, 2.0]
    l2 = SquaredNorms(members, {WEIGHT: torch.tensor(strength)})
    generator = torch.Generator().manual_seed(0)
    members.gradient.copy_(torch.randn(members.flat.shape, generator=generator))
    before = members.gradient.clone()
    l2.add_gradient()
    for member, start in enumerate(starts):
        matrices = [w.numpy() for w in start.weights.values() if w.ndim == 2]
        assert len(matrices) == 3
        expected = strength[member] * sum(np.sum(w**2) for w in matrices)
        assert float(l2()[member]) == pytest.approx(expected, rel=1e-6)
        for block in members.blocks:
            added = block.view(members.gradient - before)[member]
            expected = torch.zeros_like(added)
            if block.role == WEIGHT:
                expected = 2.0 * strength[member] * start.weights[block.name].reshape(-1)
            assert_close(added, expected, rtol=1e-6, atol=1e-12)


def test_a_strength_of_zero_for_all_members_is_no_norm():
    assert make_penalties(2).on_parameters == {}
    both = make_penalties(2, l2=[0.0, 1.0], groups=0.5).on_parameters
    assert {role: each.tolist() for role, each in both.items()} == {
        WEIGHT: [0.0, 1.0],
        GROUP: [0.5, 0.5],
    }


def test_without_l2_the_gradient_and_the_penalty_are_zero():
    hybrid = make_hybrid(make_data())
    members = make_members(hybrid, make_starts(hybrid, 1))
    l2 = SquaredNorms(members, {})
    l2.add_gradient()
    assert l2() == 0.0
    assert not bool(members.gradient.any())


def test_the_gradient_of_l2_is_taken_at_the_unperturbed_weights():
    data = make_data()
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


def test_functional_norm_is_the_mean_square():
    contribution = some_rows().reshape(5, 5)
    expected = np.mean(contribution.numpy() ** 2)
    assert float(functional_norm(contribution, None, {})) == pytest.approx(expected)


def test_orthogonality_is_the_mean_square_of_the_projection():
    contribution = some_rows()
    basis, _ = np.linalg.qr(sensitivities())
    expected = np.mean((basis @ (basis.T @ contribution.numpy())) ** 2)
    assert float(orthogonality(contribution, physics, at())) == pytest.approx(expected, rel=1e-3)


def test_orthogonality_of_a_contribution_orthogonal_to_the_physics_is_zero():
    basis, _ = np.linalg.qr(sensitivities())
    rows = some_rows().numpy()
    orthogonal = torch.tensor(rows - basis @ (basis.T @ rows))
    assert float(orthogonality(orthogonal, physics, at())) == pytest.approx(0.0, abs=1e-12)
    assert float(orthogonal.square().mean()) > 0.1


@pytest.mark.parametrize("mixture", [(1.0, 0.0), (0.0, 1.0), (0.8, -2.0)])
def test_orthogonality_of_a_contribution_in_the_span_of_the_physics_is_its_mean_square(mixture):
    within = torch.tensor(sensitivities() @ np.array(mixture))
    expected = float(within.square().mean())
    assert float(orthogonality(within, physics, at())) == pytest.approx(expected, rel=1e-4)


def test_orthogonality_is_defined_for_redundant_and_unused_parameters():
    def redundant(coordinates):
        once = coordinates["a"] + coordinates["b"] + 0.0 * coordinates["c"]
        return once * TIME

    coordinates = {name: torch.tensor(1.0, dtype=torch.float64) for name in "abc"}
    penalty = orthogonality(3.0 * TIME, redundant, coordinates)
    assert float(penalty) == pytest.approx(float((3.0 * TIME).square().mean()), rel=1e-4)
    assert float(orthogonality(TIME, lambda at: 0.0 * at["a"] * TIME, coordinates)) == 0.0


def test_orthogonality_has_a_gradient_for_the_contribution_but_not_for_the_physics():
    coordinates = at()
    contribution = some_rows().requires_grad_()
    orthogonality(contribution, physics, coordinates).backward()
    assert coordinates["level"].grad is None
    assert coordinates["rate"].grad is None
    basis, _ = np.linalg.qr(sensitivities())
    expected = 2.0 * basis @ (basis.T @ contribution.detach().numpy()) / len(TIME)
    assert_close(contribution.grad, torch.tensor(expected), rtol=1e-2, atol=1e-4)


def test_orthogonality_with_two_targets_and_without_parameters():
    def both(coordinates):
        return torch.stack([physics(coordinates), 0.0 * TIME], dim=1)

    contribution = torch.stack([some_rows(0), some_rows(1)], dim=1)
    single = orthogonality(some_rows(0), physics, at())
    assert float(orthogonality(contribution, both, at())) == pytest.approx(float(single) / 2)
    assert float(orthogonality(some_rows(), physics, {})) == 0.0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("structure", ["additive", "multiplicative", "serial"])
def test_penalties_have_a_weight_for_every_member(structure, weighted):
    data = make_data()
    weight = None
    if weighted:
        weight = torch.linspace(0.0, 2.0, len(data.y), dtype=torch.float64)
    data = data._replace(weight=weight)
    hybrid = make_hybrid(data, structure="additive")
    starts = make_starts(hybrid, 3)
    if structure == "multiplicative":
        hybrid = make_hybrid(data, structure=structure)
    elif structure == "serial":
        hybrid = replace(
            hybrid,
            structure=lambda x, physics, nn: physics(x) * (1 + nn(x, scale=1.0)) + nn(x),
        )
    members = make_members(hybrid, starts)
    norms, overlaps = [0.0, 0.3, 1.0], [2.0, 0.0, 0.5]
    penalties = make_penalties(3, functional_norm=norms, orthogonality=overlaps)
    losses = Objective(hybrid, members, penalties)(data).detach()
    plain = Objective(hybrid, members, make_penalties(3)).data_losses(data)
    for member, start in enumerate(starts):
        with torch.no_grad():
            prediction = hybrid(data.x, start.coordinates, start.weights)
        unit = 1.0 / hybrid.scales.target_scale * (1.0 if weight is None else weight.sqrt())
        known = hybrid.physics_part(data.x, start.coordinates)
        contribution = ((prediction - known) * unit).numpy()
        time = data.x[:, 0].numpy()
        rate = 0.8 + 0.8 * float(start.coordinates["rate"])
        level = 1.5 + 1.5 * float(start.coordinates["level"][0])
        columns = [-0.8 * level * time * np.exp(-rate * time), 1.5 * np.exp(-rate * time)]
        columns = np.stack([*columns, np.full_like(time, 0.5)], axis=1)
        unit = unit.numpy()[:, None] if weighted else float(unit)
        basis, _ = np.linalg.qr(columns * unit)
        if weighted:
            assert np.all(contribution[weight.numpy() == 0] == 0)
        expected = (
            float(plain[member])
            + norms[member] * np.mean(contribution**2)
            + overlaps[member] * np.mean((basis @ (basis.T @ contribution)) ** 2)
        )
        assert float(losses[member]) == pytest.approx(expected, rel=1e-3)


def test_expand_and_the_presence_of_penalties():
    penalties = make_penalties(l2=1.0, functional_norm=2.0)
    several = penalties.expand(3)
    assert several.l2.tolist() == [1.0] * 3
    assert several.functional_norm.tolist() == [2.0] * 3
    assert several.orthogonality.tolist() == [0.0] * 3
    assert several.on_contribution == ("functional_norm",)
    assert make_penalties(2, orthogonality=[0.0, 0.1]).on_contribution == ("orthogonality",)
    nothing = make_penalties(2, l2=1.0)
    assert nothing.on_contribution == ()


def test_every_penalty_is_applied():
    """A field without a function would be accepted and ignored."""
    assert {field.name for field in fields(Penalties)} == {"l2", "groups", *ON_CONTRIBUTION}
