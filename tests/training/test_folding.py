"""Members folded into rows: the same losses and gradients as side by side, or not folded."""

from __future__ import annotations

import pytest
import torch
from small_fits import decay, make_data, make_hybrid, make_members, make_penalties, make_starts
from torch import nn
from torch.testing import assert_close

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import make_pendulum, make_reaction_diffusion
from skhybrid.training import objective as objective_module
from skhybrid.training.members import Block
from skhybrid.training.members_as_rows import MembersAsRows, agree
from skhybrid.training.minibatches import OwnRows, PerMemberBatches, rows_of
from skhybrid.training.objective import Objective

CLOSE = {"rtol": 1e-11, "atol": 1e-13}


def two_targets(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    return torch.stack([level[0] * torch.exp(-rate * time), heat + level[1]], dim=-1)


def in_matrices(x, *, slope=((0.5, 0.2), (1.0, -1.0))):
    return (x @ slope)[:, 0]


def with_elements(time, heat, *, slope=((0.5, 0.2), (1.0, -1.0))):
    return slope[0, 1] * time + slope[1][0] * heat


def less_the_mean(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    """Physics that mixes rows: of a batch of several members it would mix those."""
    return decay(time - time.mean(), heat, rate=rate, level=level)


def summed_over_rows(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    """Physics in which the parameter of all rows would come to be added up."""
    return decay(time, heat, rate=rate.sum(), level=level)


def for_a_number(time, heat, *, rate=0.8, level=(1.5, 0.5)):
    if rate.ndim > 0:
        raise ValueError("rate must be a number")
    return decay(time, heat, rate=rate, level=level)


def never_finite(time, heat, *, rate=0.8):
    return torch.sqrt(-1.0 - rate.abs() * time)


def is_folded(objective: Objective) -> bool:
    return isinstance(objective._training_loss, MembersAsRows)


def is_apart(objective: Objective) -> bool:
    """Whether the physics alone is evaluated for every member by itself."""
    return is_folded(objective) and objective._training_loss._physics_apart


def chosen_for(hybrid, starts, data, **penalties) -> Objective:
    """Return the loss of members with these starts, evaluated in the way that is chosen for it."""
    members = make_members(hybrid, starts)
    objective = Objective(hybrid, members, make_penalties(members.n_members, **penalties))
    objective.choose_evaluation(data)
    return objective


def both_ways(hybrid, members, data, batch, **settings) -> list[tuple]:
    """Return losses, gradients and losses over all rows, vectorised and then folded."""
    results = []
    for folded in (False, True):
        objective = Objective(hybrid, members, make_penalties(members.n_members), **settings)
        if folded:
            objective.choose_evaluation(batch)
            assert is_folded(objective)
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
    apart, folded = both_ways(hybrid, members, data, batch, weight_per_member=per_member)
    assert_close(folded, apart, **CLOSE)


@pytest.mark.parametrize("lengths", [(20, 20), (20, 13)])
@pytest.mark.parametrize("physics", [decay, less_the_mean])
def test_members_with_rows_and_scales_of_their_own(physics, lengths):
    """As the folds of a search have; the shorter rows are padded."""
    several = [make_data(n, seed=seed) for seed, n in enumerate(lengths)]
    hybrids = [make_hybrid(data, physics) for data in several]
    streams = PerMemberBatches(several, [0, 0], [2, 1])
    frames = [
        hybrids[0].member_constants(),
        hybrids[0].member_constants(),
        hybrids[1].member_constants(),
    ]
    stacked = {
        "scales": {k: torch.stack([f["scales"][k] for f in frames]) for k in frames[0]["scales"]},
        "space": {
            name: {k: torch.stack([f["space"][name][k] for f in frames]) for k in parts}
            for name, parts in frames[0]["space"].items()
        },
    }
    members = make_members(hybrids[0], make_starts(hybrids[0], 3))
    settings = {
        "member_constants": stacked,
        "row_axes": streams.row_axes,
        "weight_per_member": streams.weight is not None,
    }
    batch = streams.rows(slice(0, 15))
    apart, folded = both_ways(hybrids[0], members, streams, batch, **settings)
    assert_close(folded, apart, **CLOSE)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)),
        nn.Sequential(nn.Linear(2, 5), nn.LayerNorm(5), nn.Linear(5, 1)),
    ],
)
def test_networks_of_ones_own(module):
    data = make_data()
    hybrid = make_hybrid(data)
    hybrid.network = module.double()
    weights = [
        {name: p.detach() * (1.0 + 0.1 * member) for name, p in module.named_parameters()}
        for member in range(3)
    ]
    starts = make_starts(hybrid, 3)
    starts = [type(s)(w, s.coordinates) for s, w in zip(starts, weights, strict=True)]
    members = make_members(hybrid, starts)
    apart, folded = both_ways(hybrid, members, data, data)
    assert_close(folded, apart, **CLOSE)


def test_layers_that_are_frozen_are_those_of_all_members():
    data = make_data()
    hybrid = make_hybrid(data)
    hybrid.network[0].weight.requires_grad_(False)
    hybrid.network[2].bias.requires_grad_(False)
    starts = make_starts(hybrid, 3)
    members = make_members(hybrid, starts)
    assert "0.weight" not in members.weights
    apart, folded = both_ways(hybrid, members, data, data)
    assert_close(folded, apart, **CLOSE)


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
def test_physics_that_needs_its_rows_apart(physics):
    data = make_data()
    hybrid = make_hybrid(data, physics)
    if physics.function is in_matrices:
        hybrid.physics_columns = None
    starts = make_starts(hybrid, 3)
    assert is_apart(chosen_for(hybrid, starts, data))
    apart, folded = both_ways(hybrid, make_members(hybrid, starts), data, data)
    assert_close(folded, apart, **CLOSE)


def test_members_with_the_same_parameters_do_not_hide_what_mixes_them():
    """All members may start alike; the comparison is made where they differ."""
    data = make_data()
    hybrid = make_hybrid(data, summed_over_rows)
    assert is_apart(chosen_for(hybrid, make_starts(hybrid, 1) * 3, data))


def test_where_there_is_no_finite_loss_nothing_is_told():
    data = make_data()
    hybrid = make_hybrid(data, never_finite)
    assert not is_folded(chosen_for(hybrid, make_starts(hybrid, 3), data))


def test_what_is_random_or_penalised_is_not_folded():
    data = make_data()
    hybrid = make_hybrid(data)
    assert not is_folded(chosen_for(hybrid, make_starts(hybrid, 2), data, functional_norm=0.1))
    first, activation, last = hybrid.network
    hybrid.network = nn.Sequential(first, activation, nn.Dropout(0.5), last)
    starts = [
        type(start)({n.replace("2.", "3."): w for n, w in start.weights.items()}, start.coordinates)
        for start in make_starts(make_hybrid(data), 2)
    ]
    assert not is_folded(chosen_for(hybrid, starts, data))


def test_to_choose_leaves_parameters_and_random_numbers_as_they_were():
    data = make_data()
    hybrid = make_hybrid(data)
    members = make_members(hybrid, make_starts(hybrid, 2))
    before, state = members.flat.clone(), torch.get_rng_state()
    Objective(hybrid, members, make_penalties(2)).choose_evaluation(data)
    assert torch.equal(members.flat, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("change", ["loss", "gradient", "finite"])
def test_a_difference_in_losses_or_gradients_is_told(change):
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


# Models of differential equations, by way of the estimator


def fit_both_ways(monkeypatch, physics, data, **settings) -> tuple[list[HybridRegressor], list]:
    """Return fits of two restarts, one with members apart and one with members folded."""
    settings = {"dtype": "float64", "n_restarts": 2, "max_epochs": 2, "random_state": 0, **settings}
    chosen, models = [], []
    choose, fold = Objective.choose_evaluation, Objective._fold_if_same

    def watched(self, batch):
        choose(self, batch)
        if self.members.n_members > 1:
            chosen.append(is_folded(self))

    monkeypatch.setattr(Objective, "choose_evaluation", watched)
    for folded in (False, True):
        monkeypatch.setattr(
            Objective, "_fold_if_same", fold if folded else lambda self, *expected: None
        )
        models.append(HybridRegressor(physics, **settings).fit(data.data, data.target))
    monkeypatch.undo()
    return models, chosen[len(chosen) // 2 :]


def assert_same_fit(models):
    apart, folded = models
    assert folded.loss_curve_ == pytest.approx(apart.loss_curve_, rel=1e-8)
    for name, value in apart.physics_params_.items():
        assert folded.physics_params_[name] == pytest.approx(value, rel=1e-8)


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
    """To try whether it can be folded says nothing, whatever torch thinks of that."""
    data = make_pendulum(4, random_state=0)
    structure = ODE(dt=data.dt, window=3)
    models, chosen = fit_both_ways(monkeypatch, linear, data, structure=structure)
    assert all(chosen)
    apart, folded = models
    assert folded.loss_curve_ == pytest.approx(apart.loss_curve_, rel=1e-8)
    assert_close(folded.physics_params_["rates"], apart.physics_params_["rates"], rtol=1e-8, atol=0)


def test_fields(monkeypatch):
    data = make_reaction_diffusion(1, random_state=0)
    data.data, data.target = data.data[:, :8], data.target[:, :8]
    models, chosen = fit_both_ways(
        monkeypatch,
        data.physics,
        data,
        structure=ODE(dt=data.dt, window=2),
        nn=(4,),
        max_epochs=1,
        refine_rho=None,
    )
    assert all(chosen)
    assert_same_fit(models)


def test_first_states_that_are_learned_are_not_folded(monkeypatch):
    data = make_pendulum(3, noise=0.02, random_state=0)
    structure = ODE(dt=data.dt, window=4, initial_state="learned")
    models, chosen = fit_both_ways(monkeypatch, data.physics, data, structure=structure)
    assert not any(chosen)
    assert_same_fit(models)


def test_fixed_parameters_stay_as_they_are(monkeypatch):
    data = make_pendulum(4, random_state=0)

    def pendulum(t, state, *, omega2=0.5, shift=(0.0, 0.1)):
        angle, velocity = state.unbind(-1)
        return torch.stack([velocity, shift[1] - omega2 * torch.sin(angle)], dim=-1)

    physics = Physics(pendulum, shift=Param((0.0, 0.1), fixed=True))
    structure = ODE(dt=data.dt, window=3)
    models, chosen = fit_both_ways(monkeypatch, physics, data, structure=structure)
    assert all(chosen)
    assert_same_fit(models)


# Rows that members hold out


def held_out_by_three(data, *, targets=1):
    """Return rows with weights of three members: none, some, and others, of different numbers."""
    generator = torch.Generator().manual_seed(4)
    weight = torch.rand(3, *data.y.shape, generator=generator, dtype=torch.float64)
    number = torch.arange(len(data.y))
    chosen = torch.stack([number < 0, number % 4 == 1, number % 5 == 0])
    weight = weight * (chosen if targets == 1 else chosen[..., None])
    if targets > 1:
        weight[1, 1, 0] = 0.0  # one target of a row that has a weight for the other
    return data._replace(weight=weight)


@pytest.mark.parametrize("rows_at_once", [1, 4, 10_000])
@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("streams", [False, True])
def test_losses_of_the_rows_held_out_need_no_others(streams, targets, rows_at_once, monkeypatch):
    data, physics = make_data(), decay
    if targets == 2:
        data, physics = data._replace(y=torch.stack([data.y, data.y.square()], 1)), two_targets
    hybrid = make_hybrid(data, physics)
    members = make_members(hybrid, make_starts(hybrid, 3))
    held_out = held_out_by_three(data, targets=targets)
    settings = {"weight_per_member": True}
    if streams:
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
    own = objective.without_others(held_out)
    assert isinstance(own, OwnRows)
    assert own.n_rows == 8
    monkeypatch.setattr(objective_module, "EVALUATION_NUMBERS", rows_at_once)
    losses = objective.data_losses(own)
    assert_close(losses, objective.data_losses(held_out), **CLOSE)
    assert float(losses[0]) == 0.0 < float(losses[1:].min())


@pytest.mark.parametrize("reason", ["most rows", "no weights", "not folded"])
def test_all_rows_are_looked_at_where_the_others_cannot_be_left_out(reason):
    data = make_data()
    hybrid = make_hybrid(data, never_finite if reason == "not folded" else decay)
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
    assert objective.without_others(held_out) is held_out
