"""Members evaluated as rows have the same losses and gradients as with vmap."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_fits import decay, make_data, make_hybrid, make_members, make_penalties, make_starts
from torch import nn
from torch.testing import assert_close

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import make_pendulum, make_reaction_diffusion
from skhybrid.training.members import Block
from skhybrid.training.members_as_rows import MembersAsRows, agree
from skhybrid.training.minibatches import PerMemberBatches, rows_of
from skhybrid.training.objective import Objective

CLOSE = {"rtol": 1e-11, "atol": 1e-13}


def two_targets(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    return torch.stack([level[0] * torch.exp(-rate * time), heat + level[1]], dim=-1)


def in_matrices(x, *, slope=((0.5, 0.2), (1.0, -1.0))):
    return (x @ slope)[:, 0]


def with_elements(time, heat, *, slope=((0.5, 0.2), (1.0, -1.0))):
    return slope[0, 1] * time + slope[1][0] * heat


def less_the_mean(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    """Physics that mixes rows: in a batch of several members it would mix the members."""
    return decay(time - time.mean(), heat, rate=rate, level=level)


def summed_over_rows(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    """Physics that sums the parameter: with one value per row it would sum all rows."""
    return decay(time, heat, rate=rate.sum(), level=level)


def for_a_number(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    if rate.ndim > 0:
        raise ValueError("rate must be a number")
    return decay(time, heat, rate=rate, level=level)


def never_finite(time, heat, *, rate=0.8):
    return torch.sqrt(-1.0 - rate.abs() * time)


def uses_rows(objective: Objective) -> bool:
    return isinstance(objective._training_loss, MembersAsRows)


def uses_physics_per_member(objective: Objective) -> bool:
    """Whether only the physics is evaluated separately for every member."""
    return uses_rows(objective) and objective._training_loss.uses_vmap


def choose(hybrid, starts, data, **penalties) -> Objective:
    """Return the loss of members with these starts, with its evaluation chosen."""
    members = make_members(hybrid, starts)
    objective = Objective(hybrid, members, make_penalties(members.n_members, **penalties))
    objective.choose_evaluation(data)
    return objective


def both_ways(hybrid, members, data, batch, **settings) -> list[tuple]:
    """Return losses, gradients and losses over all rows: by vmap, then as rows."""
    results = []
    for as_rows in (False, True):
        objective = Objective(hybrid, members, make_penalties(members.n_members), **settings)
        if as_rows:
            objective.choose_evaluation(batch)
            assert uses_rows(objective)
        losses = objective(batch)
        members.backward(losses)
        all_rows = objective.data_losses(data)
        results.append((losses.detach(), members.gradient.clone(), all_rows))
    return results


@pytest.mark.parametrize("weights", ["none", "shared", "per member"])
@pytest.mark.parametrize("physics", [decay, two_targets, with_elements, None])
@pytest.mark.parametrize("structure", ["additive", "multiplicative"])
def test_rows_that_all_members_see(physics, structure, weights):
    data = make_data()
    if physics is two_targets:
        data = data._replace(y=torch.stack([data.y, 5.0 * data.y.square()], dim=1))
    hybrid = make_hybrid(data, physics, structure=structure)
    generator = torch.Generator().manual_seed(3)
    weight = torch.rand(3, *data.y.shape, generator=generator, dtype=torch.float64)
    per_member = weights == "per member"
    data = data._replace(weight={"none": None, "shared": weight[0]}.get(weights, weight))
    members = make_members(hybrid, make_starts(hybrid, 3))
    batch = rows_of(data, slice(0, 7))
    by_vmap, as_rows = both_ways(hybrid, members, data, batch, weight_per_member=per_member)
    assert_close(as_rows, by_vmap, **CLOSE)


@pytest.mark.parametrize("lengths", [(20, 20), (20, 13)])
@pytest.mark.parametrize("physics", [decay, less_the_mean])
def test_members_with_their_own_rows_and_scales(physics, lengths):
    """Folds of a search have their own rows and scales; the shorter source is padded."""
    several = [make_data(n, seed=seed) for seed, n in enumerate(lengths)]
    hybrids = [make_hybrid(data, physics) for data in several]
    per_member = PerMemberBatches(several, [0, 0], [2, 1])
    constants = [hybrids[i].member_constants() for i in (0, 0, 1)]
    stacked = {
        "scales": {
            k: torch.stack([each["scales"][k] for each in constants])
            for k in constants[0]["scales"]
        },
        "space": {
            name: {k: torch.stack([each["space"][name][k] for each in constants]) for k in parts}
            for name, parts in constants[0]["space"].items()
        },
    }
    members = make_members(hybrids[0], make_starts(hybrids[0], 3))
    settings = {
        "member_constants": stacked,
        "row_axes": per_member.row_axes,
        "weight_per_member": per_member.weight is not None,
    }
    batch = per_member.rows(slice(0, 15))
    by_vmap, as_rows = both_ways(hybrids[0], members, per_member, batch, **settings)
    assert_close(as_rows, by_vmap, **CLOSE)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)),
        nn.Sequential(nn.Linear(2, 5), nn.LayerNorm(5), nn.Linear(5, 1)),
    ],
)
def test_own_networks(module):
    data = make_data()
    hybrid = make_hybrid(data).with_network(module.double())
    weights = [
        {name: p.detach() * (1.0 + 0.1 * member) for name, p in module.named_parameters()}
        for member in range(3)
    ]
    starts = make_starts(hybrid, 3)
    starts = [type(s)(w, s.coordinates) for s, w in zip(starts, weights, strict=True)]
    members = make_members(hybrid, starts)
    by_vmap, as_rows = both_ways(hybrid, members, data, data)
    assert_close(as_rows, by_vmap, **CLOSE)


def test_frozen_layers_are_shared_by_all_members():
    data = make_data()
    hybrid = make_hybrid(data)
    hybrid.network[0].weight.requires_grad_(False)
    hybrid.network[2].bias.requires_grad_(False)
    starts = make_starts(hybrid, 3)
    members = make_members(hybrid, starts)
    assert "0.weight" not in members.weights
    by_vmap, as_rows = both_ways(hybrid, members, data, data)
    assert_close(as_rows, by_vmap, **CLOSE)


LEVEL_IS_KNOWN = {"level": Param((1.5, 0.5), fixed=True)}


@pytest.mark.parametrize(
    "physics",
    [
        Physics(summed_over_rows),
        Physics(summed_over_rows, **LEVEL_IS_KNOWN),
        Physics(for_a_number),
        Physics(for_a_number, **LEVEL_IS_KNOWN),
        Physics(in_matrices),
    ],
    ids=repr,
)
def test_physics_that_needs_the_rows_of_one_member(physics):
    data = make_data()
    hybrid = make_hybrid(data, physics)
    if physics.function is in_matrices:
        hybrid = replace(hybrid, physics_columns=None)
    starts = make_starts(hybrid, 3)
    assert uses_physics_per_member(choose(hybrid, starts, data))
    by_vmap, as_rows = both_ways(hybrid, make_members(hybrid, starts), data, data)
    assert_close(as_rows, by_vmap, **CLOSE)


def test_members_with_equal_parameters_do_not_hide_that_rows_are_mixed():
    """All members may start equal; they are compared where they differ."""
    data = make_data()
    hybrid = make_hybrid(data, summed_over_rows)
    assert uses_physics_per_member(choose(hybrid, make_starts(hybrid, 1) * 3, data))


def test_without_a_finite_loss_members_are_not_evaluated_as_rows():
    data = make_data()
    hybrid = make_hybrid(data, never_finite)
    assert not uses_rows(choose(hybrid, make_starts(hybrid, 3), data))


def test_random_or_penalised_models_are_not_evaluated_as_rows():
    data = make_data()
    hybrid = make_hybrid(data)
    assert not uses_rows(choose(hybrid, make_starts(hybrid, 2), data, functional_norm=0.1))
    first, activation, last = hybrid.network
    hybrid = hybrid.with_network(nn.Sequential(first, activation, nn.Dropout(0.5), last))
    starts = [
        type(start)({n.replace("2.", "3."): w for n, w in start.weights.items()}, start.coordinates)
        for start in make_starts(make_hybrid(data), 2)
    ]
    assert not uses_rows(choose(hybrid, starts, data))


def test_choosing_changes_neither_parameters_nor_the_random_state():
    data = make_data()
    hybrid = make_hybrid(data)
    members = make_members(hybrid, make_starts(hybrid, 2))
    before, state = members.flat.clone(), torch.get_rng_state()
    Objective(hybrid, members, make_penalties(2)).choose_evaluation(data)
    assert torch.equal(members.flat, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("change", ["loss", "gradient", "finite"])
def test_a_difference_in_losses_or_gradients_is_noticed(change):
    losses = torch.tensor([1.0, 2.0, torch.nan])
    gradient = torch.tensor([1e-6, 2e-6, torch.nan, 5.0, -3.0, torch.nan])
    blocks = [Block("first", "physics", 0, 3, 3), Block("second", "weight", 3, 6, 3)]
    assert agree((losses * (1 + 1e-6), gradient * (1 - 1e-6)), (losses, gradient), blocks)
    other = losses.clone(), gradient.clone()
    if change == "loss":
        other[0][1] *= 1.01
    elif change == "gradient":
        other[1][0] *= 1.01
    else:
        other[0][2] = 1.0
    assert not agree(other, (losses, gradient), blocks)


def test_an_infinite_gradient_hides_no_difference():
    losses = torch.tensor([1.0, 2.0, 3.0])
    gradient = torch.tensor([1.0, 2.0, torch.inf])
    blocks = [Block("only", "physics", 0, 3, 3)]
    assert agree((losses, gradient.clone()), (losses, gradient), blocks)
    assert not agree((losses, gradient * 1.01), (losses, gradient), blocks)


@pytest.mark.parametrize("n_members", [1, 2])
def test_gradients_that_are_not_finite_say_nothing(n_members):
    losses = torch.ones(n_members)
    gradient = torch.full((n_members,), torch.nan)
    blocks = [Block("only", "physics", 0, n_members, n_members)]
    assert not agree((losses, gradient), (losses, gradient), blocks)


# Models of differential equations, fitted with the estimator


def fit_both_ways(monkeypatch, physics, data, **settings) -> tuple[list[HybridRegressor], list]:
    """Fit two restarts by vmap, then as rows; return both, and whether rows were chosen."""
    settings = {"dtype": "float64", "n_restarts": 2, "max_epochs": 2, "random_state": 0, **settings}
    chosen, models = [], []
    choose_evaluation, use_rows = Objective.choose_evaluation, Objective._use_rows_if_same

    def watched(self, batch):
        choose_evaluation(self, batch)
        if self.members.n_members > 1:
            chosen.append(uses_rows(self))

    monkeypatch.setattr(Objective, "choose_evaluation", watched)
    for as_rows in (False, True):
        monkeypatch.setattr(
            Objective, "_use_rows_if_same", use_rows if as_rows else lambda self, *expected: None
        )
        models.append(HybridRegressor(physics, **settings).fit(data.data, data.target))
    monkeypatch.undo()
    return models, chosen[len(chosen) // 2 :]


def assert_same_fit(models):
    by_vmap, as_rows = models
    assert as_rows.loss_curve_ == pytest.approx(by_vmap.loss_curve_, rel=1e-8)
    for name, value in by_vmap.physics_params_.items():
        assert as_rows.physics_params_[name] == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize(
    "structure",
    [
        {"window": 3},
        {"window": 3, "join": "multiply"},
        {"window": 3, "method": "midpoint"},
        {"window": 3, "correct": "output"},
    ],
    ids=str,
)
def test_windows(structure, monkeypatch):
    data = make_pendulum(4, random_state=0)
    structure = ODE(dt=data.dt, **structure)
    models, chosen = fit_both_ways(monkeypatch, data.physics, data, structure=structure)
    assert chosen
    assert all(chosen)
    assert_same_fit(models)


def linear(t, state, *, rates=((0.0, 1.0), (-0.5, 0.0))):
    return state @ rates.T


@pytest.mark.filterwarnings("error:The use of `x.T`")
def test_windows_of_a_system_with_a_matrix(monkeypatch):
    """Trying to evaluate it as rows gives no warning, although torch has one."""
    data = make_pendulum(4, random_state=0)
    structure = ODE(dt=data.dt, window=3)
    models, chosen = fit_both_ways(monkeypatch, linear, data, structure=structure)
    assert all(chosen)
    by_vmap, as_rows = models
    assert as_rows.loss_curve_ == pytest.approx(by_vmap.loss_curve_, rel=1e-8)
    found, expected = (model.physics_params_["rates"] for model in (as_rows, by_vmap))
    assert_close(found, expected, rtol=1e-8, atol=0)


def test_fields(monkeypatch):
    data = make_reaction_diffusion(1, n_times=3, random_state=0)
    data.data, data.target = data.data[..., :8, :8], data.target[..., :8, :8]
    models, chosen = fit_both_ways(
        monkeypatch,
        data.physics,
        data,
        structure=ODE(dt=data.dt, window=2),
        nn=(4,),
        max_epochs=1,
        refine_rho=None,
    )
    assert chosen
    assert all(chosen)
    assert_same_fit(models)


def test_learned_first_states(monkeypatch):
    data = make_pendulum(3, noise=0.02, random_state=0)
    structure = ODE(dt=data.dt, window=4, initial_state="learned")
    models, chosen = fit_both_ways(monkeypatch, data.physics, data, structure=structure)
    assert chosen
    assert all(chosen)
    assert_same_fit(models)


def test_fixed_parameters_are_not_repeated(monkeypatch):
    data = make_pendulum(4, random_state=0)

    def pendulum(t, state, *, omega2=0.5, shift=(0.0, 0.1)):
        angle, velocity = state.unbind(-1)
        return torch.stack([velocity, shift[1] - omega2 * torch.sin(angle)], dim=-1)

    physics = Physics(pendulum, shift=Param((0.0, 0.1), fixed=True))
    structure = ODE(dt=data.dt, window=3)
    models, chosen = fit_both_ways(monkeypatch, physics, data, structure=structure)
    assert all(chosen)
    assert_same_fit(models)
