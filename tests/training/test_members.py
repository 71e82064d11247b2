"""Members: one flat vector, its views, and separate gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_fits import make_data, make_hybrid, make_members, make_penalties, make_starts
from torch import nn
from torch.testing import assert_close

from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.network_parts import NetworkParts, build_parts
from skhybrid.model.networks import build_network
from skhybrid.training.members import BIAS, FIRST_STATE, GROUP, PHYSICS, WEIGHT, Members
from skhybrid.training.objective import Objective
from skhybrid.training.sam import SAM


@pytest.fixture
def data():
    return make_data()


@pytest.fixture
def hybrid(data):
    return make_hybrid(data)


def test_blocks_follow_each_other_and_know_their_role(hybrid):
    members = make_members(hybrid, make_starts(hybrid, 3))
    roles = {block.name: block.role for block in members.blocks}
    assert roles == {
        "rate": PHYSICS,
        "level": PHYSICS,
        "0.weight": WEIGHT,
        "0.bias": BIAS,
        "2.weight": WEIGHT,
        "2.bias": BIAS,
    }
    edges = [(block.start, block.stop) for block in members.blocks]
    assert edges == [(0, 3), (3, 9), (9, 57), (57, 81), (81, 105), (105, 108)]
    assert members.flat.shape == members.gradient.shape == (108,)


@pytest.mark.parametrize("n_members", [1, 3])
def test_values_equal_the_starts_and_are_views_of_the_flat_vector(hybrid, n_members):
    starts = make_starts(hybrid, n_members)
    members = make_members(hybrid, starts)
    for member, start in enumerate(starts):
        assert_close(members.member_weights(member), start.weights, rtol=0, atol=0)
        assert_close(members.member_coordinates(member), start.coordinates, rtol=0, atol=0)
    with torch.no_grad():
        members.flat += 1.0
    for member, start in enumerate(starts):
        moved = {name: value + 1.0 for name, value in start.weights.items()}
        assert_close(members.member_weights(member), moved)
        moved = {name: value + 1.0 for name, value in start.coordinates.items()}
        assert_close(members.member_coordinates(member), moved)


def test_parameters_of_one_member_are_copies(hybrid):
    for n_members in (1, 2):
        members = make_members(hybrid, make_starts(hybrid, n_members))
        before = members.member_weights(0), members.member_coordinates(0)
        kept = [{name: value.clone() for name, value in part.items()} for part in before]
        assert not any(value.requires_grad for part in before for value in part.values())
        with torch.no_grad():
            members.flat.zero_()
        assert_close(list(before), kept, rtol=0, atol=0)


def test_the_module_of_a_single_member_holds_its_parameters(hybrid):
    members = make_members(hybrid, make_starts(hybrid, 1))
    with torch.no_grad():
        members.flat.fill_(0.25)
    assert all(bool((p == 0.25).all()) for p in hybrid.network.parameters())


def test_the_module_of_several_members_does_not_change(hybrid):
    before = [p.detach().clone() for p in hybrid.network.parameters()]
    members = make_members(hybrid, make_starts(hybrid, 2))
    with torch.no_grad():
        members.flat.fill_(0.25)
    assert_close([p.detach() for p in hybrid.network.parameters()], before, rtol=0, atol=0)


def test_each_members_gradient_is_its_own(hybrid, data):
    starts = make_starts(hybrid, 3)
    members = make_members(hybrid, starts)
    members.backward(Objective(hybrid, members, make_penalties(3))(data))
    together = {block.name: block.view(members.gradient).clone() for block in members.blocks}
    for member, start in enumerate(starts):
        alone = make_members(hybrid, [start])
        alone.backward(Objective(hybrid, alone, make_penalties())(data))
        for block in alone.blocks:
            expected = block.view(alone.gradient)[0]
            assert float(expected.abs().max()) > 1e-6
            assert_close(together[block.name][member], expected, rtol=1e-10, atol=1e-14)


def test_a_parameter_that_the_loss_does_not_read_has_a_gradient_of_zero(hybrid):
    members = make_members(hybrid, make_starts(hybrid, 2))
    members.gradient.fill_(7.0)
    members.backward(members.coordinates["rate"].square())
    rate = members.blocks[0].view(members.gradient)
    assert_close(rate[:, 0], 2.0 * members.coordinates["rate"].detach())
    assert bool((members.gradient[2:] == 0.0).all())


def test_stopped_members_have_a_gradient_of_zero_even_for_a_non_finite_loss(hybrid):
    members = make_members(hybrid, make_starts(hybrid, 3))
    with torch.no_grad():
        members.coordinates["rate"][1] = float("nan")
    members.stop(torch.tensor([False, True, False]))
    members.backward(members.coordinates["rate"].square())
    rate = members.blocks[0].view(members.gradient)[:, 0]
    assert rate[1] == 0.0
    assert bool((rate[[0, 2]] != 0.0).all())


def test_finite_says_which_members_are_finite(hybrid):
    members = make_members(hybrid, make_starts(hybrid, 3))
    assert members.finite().tolist() == [True, True, True]
    with torch.no_grad():
        members.weights["2.bias"][0] = float("inf")
        members.coordinates["level"][2, 1] = float("nan")
    assert members.finite().tolist() == [False, True, False]


def test_per_parameter_fills_the_blocks_of_the_given_roles(hybrid):
    members = make_members(hybrid, make_starts(hybrid, 2))
    flat = members.per_parameter(torch.tensor([3.0, 5.0]), [PHYSICS, BIAS])
    for block in members.blocks:
        values = block.view(flat)
        expected = [3.0, 5.0] if block.role in (PHYSICS, BIAS) else [0.0, 0.0]
        assert_close(values, torch.tensor(expected, dtype=values.dtype)[:, None].expand_as(values))


@pytest.mark.parametrize("chosen", [[True, False], [False, True], [True, True], [False, False]])
def test_copy_where_copies_the_chosen_members(hybrid, chosen):
    members = make_members(hybrid, make_starts(hybrid, 2))
    target = torch.zeros_like(members.flat)
    members.copy_where(target, torch.ones_like(target), torch.tensor(chosen))
    for block in members.blocks:
        for member, copied in enumerate(chosen):
            assert bool((block.view(target)[member] == float(copied)).all())


def test_frozen_parameters_of_the_network_are_left_out(data):
    hybrid = make_hybrid(data)
    hybrid.network[0].weight.requires_grad_(False)
    members = make_members(hybrid, make_starts(hybrid, 2))
    assert "0.weight" not in members.weights
    assert {"0.bias", "2.weight"} <= set(members.weights)
    losses = Objective(hybrid, members, make_penalties(2))(data)
    assert losses.shape == (2,)


def test_physics_alone_and_network_alone():
    start = {"rate": torch.tensor(0.5)}
    assert Members(None, [{}], [start]).flat.tolist() == [0.5]
    network = nn.Linear(1, 1)
    weights = {name: p.detach().clone() for name, p in network.named_parameters()}
    assert Members(network, [weights, weights], [{}, {}]).flat.shape == (4,)


def test_learned_first_states_have_their_own_role():
    starts = [
        {FIRST_STATES: torch.full((3, 2), float(m)), "rate": torch.tensor(0.5 + m)}
        for m in range(2)
    ]
    members = Members(None, [{}, {}], starts)
    roles = {block.name: block.role for block in members.blocks}
    assert roles == {FIRST_STATES: FIRST_STATE, "rate": PHYSICS}
    assert members.coordinates[FIRST_STATES].shape == (2, 3, 2)
    assert_close(members.member_coordinates(1)[FIRST_STATES], starts[1][FIRST_STATES])
    flat = members.per_parameter(torch.tensor([3.0, 5.0]), [FIRST_STATE])
    assert flat.tolist() == [3.0] * 6 + [5.0] * 6 + [0.0, 0.0]


def test_blocks_of_a_role_may_keep_their_gradient():
    starts = [{FIRST_STATES: torch.ones(3, 2), "rate": torch.tensor(0.5)}]
    members = Members(None, [{}], starts)

    def loss(factor):
        squares = [value.square().sum() for value in members.coordinates.values()]
        return factor * torch.stack(squares).sum()

    members.backward(loss(1.0))
    members.backward(loss(10.0), keep=FIRST_STATE)
    blocks = {block.role: block.view(members.gradient).flatten() for block in members.blocks}
    assert blocks[FIRST_STATE].tolist() == [2.0] * 6
    assert blocks[PHYSICS].tolist() == [10.0]
    members.backward(loss(10.0))
    assert blocks[FIRST_STATE].tolist() == [20.0] * 6


@pytest.mark.parametrize("n_members", [1, 2])
def test_physics_parameters_are_projected_onto_their_limits(n_members):
    starts = [{"a": torch.tensor([-2.0, 0.5]), "b": torch.tensor(9.0)}] * n_members
    none = torch.tensor(torch.inf)
    limits = [
        {"a": (torch.tensor([-1.0, -1.0]), torch.tensor([member + 0.1, 1.0])), "b": (-none, none)}
        for member in range(n_members)
    ]
    members = Members(None, [{}] * n_members, starts, limits)
    members.flat += 1.5
    members.project()
    for member in range(n_members):
        found = members.member_coordinates(member)
        torch.testing.assert_close(found["a"], torch.tensor([min(-0.5, member + 0.1), 1.0]))
        assert found["b"] == 10.5


def test_values_of_groups_learn_like_physics_parameters_and_are_not_perturbed():
    table = make_group_network()
    weights = {name: each.detach().clone() for name, each in table.named_parameters()}
    members = Members(table, [weights], [{"rate": torch.zeros(())}])
    roles = {block.name: block.role for block in members.blocks}
    assert roles["tables.0.values"] == GROUP
    members.gradient.fill_(1.0)
    for perturbation in ("layer", "global", "elementwise"):
        sam = SAM(members, torch.tensor([0.1]), perturbation, "all")
        before = {block.name: block.view(members.flat).clone() for block in members.blocks}
        sam.ascend()
        moved = {
            block.name
            for block in members.blocks
            if not torch.equal(block.view(members.flat), before[block.name])
        }
        sam.descend()
        assert "tables.0.values" not in moved
        assert "correction.0.weight" in moved


def make_group_network():
    """Return a correction of one input beside a table of two groups, with values."""
    parts = NetworkParts(2, (0,), (), (("rate", ()),), ((1, (0.0, 1.0), ("rate",)),))
    network = build_parts(
        parts, lambda n_in, n_out, seed: build_network((3,), n_in, n_out, seed=seed), 2, 1, -1, 0
    )
    network.set_groups({"rate": np.array([[1.0], [3.0]])})
    return network
