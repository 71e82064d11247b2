"""Training with held-out rows: which parameters are kept, and when a fit stops early."""

from __future__ import annotations

import torch
from small_fits import (
    make_config,
    make_data,
    make_hybrid,
    make_members,
    make_penalties,
    make_starts,
)
from torch.testing import assert_close

from skhybrid.training.early_stopping import Patience
from skhybrid.training.loop import train
from skhybrid.training.objective import Objective
from skhybrid.training.problem import Problem
from skhybrid.training.result import Status


def train_with_held_out_rows(n_members, **options):
    """Train with held-out rows; return also the held-out losses and parameters of every epoch."""
    hybrid = make_hybrid(make_data())
    problem = Problem(hybrid, make_data(12, seed=3), make_data(40, seed=4))
    members = make_members(hybrid, make_starts(hybrid, n_members))
    objective = Objective(hybrid, members, make_penalties(n_members))
    losses, flats = [objective.data_losses(problem.validation)], [members.flat.clone()]

    def on_epoch(epoch, _):
        losses.append(objective.data_losses(problem.validation))
        flats.append(members.flat.clone())
        return False

    config = make_config(n_members, learning_rate=0.1, rho=None, n_rows=12, n_epochs=60, **options)
    result = train(problem, members, config, on_epoch)
    return members, result, torch.stack(losses), flats


def test_each_member_ends_with_its_own_best_parameters():
    members, result, losses, flats = train_with_held_out_rows(3, keep_best="each")
    best = losses.argmin(dim=0).tolist()
    assert result.kept_epoch == best
    assert len(set(best)) > 1
    assert max(best) < 60
    assert_close(result.validation_losses, losses.amin(dim=0), rtol=1e-12, atol=0)
    for block in members.blocks:
        for member, epoch in enumerate(best):
            kept = block.view(members.flat)[member]
            assert torch.equal(kept, block.view(flats[epoch])[member])


def test_together_members_end_at_the_epoch_with_the_lowest_mean():
    members, result, losses, flats = train_with_held_out_rows(3, keep_best="together")
    best = int(losses.mean(dim=1).argmin())
    assert result.kept_epoch == [best] * 3
    assert 0 < best < 60
    assert torch.equal(members.flat, flats[best])


def test_without_keeping_the_last_parameters_are_the_result():
    members, result, losses, flats = train_with_held_out_rows(2)
    assert result.kept_epoch == [60, 60]
    assert torch.equal(members.flat, flats[-1])
    assert_close(result.validation_losses, losses[-1])


def test_patience_stops_training():
    patience = Patience(4, tolerance=1e9)
    _, result, _, flats = train_with_held_out_rows(2, patience=patience, keep_best="each")
    assert result.status == [Status.EARLY_STOPPED] * 2
    assert result.n_epochs == 5
    assert result.stopped_epoch == [5, 5]
    assert len(flats) == 5
