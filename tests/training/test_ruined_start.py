"""First epochs in which θ jumps off its start."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_fits import make_config, make_data, make_hybrid, make_members, make_starts

from skhybrid import HybridRegressor
from skhybrid.training import ruined_start
from skhybrid.training.members import PHYSICS
from skhybrid.training.ruined_start import (
    MAX_RETURNS,
    MULTIPLE,
    RATE_FACTOR,
    WATCHED_EPOCHS,
    RuinedStart,
)
from skhybrid.training.step import Step

N_MEMBERS = 3


def watched(start_losses):
    """Return members, their optimiser step and a watch over starts with these losses."""
    data = make_data()
    hybrid = make_hybrid(data)
    members = make_members(hybrid, make_starts(hybrid, N_MEMBERS))
    objective = SimpleNamespace(
        data_losses=lambda data: torch.tensor(start_losses), whole_loss=lambda: None
    )
    rates = {"learning_rate": 1.0, "physics_learning_rate": 1.0}
    step = Step(objective, members, make_config(N_MEMBERS, follows_noise=True, **rates))
    return members, step, RuinedStart(objective, data, members, step)


def jump(members, step):
    """Move all parameters by one step."""
    step.adam.step(torch.ones_like(members.flat))


def values(members, flat, member):
    return torch.cat([block.view(flat)[member] for block in members.blocks])


def test_only_members_whose_loss_jumps_return_to_their_start():
    members, step, start = watched([0.1, 0.1, 0.1])
    before = members.flat.clone()
    jump(members, step)
    after = members.flat.clone()
    limit = MULTIPLE * 0.1 + 1.0
    start.check(torch.tensor([limit + 0.01, limit - 0.01, np.inf]))
    assert torch.equal(values(members, members.flat, 0), values(members, before, 0))
    for member in (1, 2):  # a loss that is not finite is for another guard
        assert torch.equal(values(members, members.flat, member), values(members, after, member))
    for block in members.blocks:
        slower = RATE_FACTOR if block.role == PHYSICS else 1.0
        rates = block.view(step.adam.learning_rate)
        assert rates[0].tolist() == pytest.approx([slower] * rates.shape[1])
        assert (rates[1:] == 1.0).all()


def test_a_member_that_returned_has_no_memory_of_its_jump():
    members, step, start = watched([0.1, 0.1, 0.1])
    jump(members, step)
    start.check(torch.tensor([5.0, 0.1, 0.1]))
    before = members.flat.clone()
    step.adam.step(torch.zeros_like(members.flat))
    assert torch.equal(values(members, members.flat, 0), values(members, before, 0))
    assert not torch.equal(values(members, members.flat, 1), values(members, before, 1))


def test_the_radius_of_a_member_that_returned_forgets_its_losses():
    _, step, start = watched([0.1, 0.1, 0.1])
    for _ in range(50):
        step.radius.update(torch.tensor([1e-6, 1e-6, 1e-6]), 0.0)
    start.check(torch.tensor([5.0, 0.1, 0.1]))
    assert step.radius.state()[0] == 1.0
    assert (step.radius.state()[1:] < 0.1).all()


def test_later_epochs_and_further_jumps_are_left_alone():
    members, step, start = watched([0.1, 0.1, 0.1])
    for _ in range(WATCHED_EPOCHS):
        start.check(torch.tensor([0.1, 0.1, 9.0]))
    jump(members, step)
    moved = members.flat.clone()
    start.check(torch.tensor([9.0, 9.0, 0.1]))
    assert torch.equal(members.flat, moved)
    rate = members.blocks[0].view(step.adam.learning_rate)[2]
    assert members.blocks[0].role == PHYSICS
    assert rate.tolist() == pytest.approx([RATE_FACTOR**MAX_RETURNS])


def barrier(temperature, *, height=60.0, prefactor=1e9):
    return prefactor * torch.exp(-height / (8.314e-3 * temperature))


def fit_barrier(**settings):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(280.0, 320.0, 150), rng.uniform(0.0, 1.0, 150)])
    y = barrier(torch.tensor(X[:, 0])).numpy() * (1.0 + 0.2 * np.sin(6.0 * X[:, 1]))
    model = HybridRegressor(
        barrier, nn=(8,), nn_features=[1], structure="multiplicative", random_state=0, **settings
    )
    return model.fit(X, y)


def test_a_fit_survives_a_rate_that_jumps_off_its_start(monkeypatch):
    settings = {"physics_learning_rate": 3.0, "max_epochs": 60}
    model = fit_barrier(**settings)
    assert abs(model.physics_params_["height"] - 60.0) < 2.0
    assert max(model.loss_curve_[:3]) > 1.3 > max(model.loss_curve_[10:])
    monkeypatch.setattr(ruined_start, "MAX_RETURNS", 0)
    assert abs(fit_barrier(**settings).physics_params_["height"] - 60.0) > 4.0
