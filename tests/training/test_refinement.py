"""The second phase: θ is held, held-out rows decide, and the best network is kept."""

from __future__ import annotations

import pytest
import torch
from small_fits import (
    decay,
    make_config,
    make_data,
    make_hybrid,
    make_members,
    make_penalties,
    make_starts,
)
from torch.testing import assert_close

from skhybrid.model.batch import Batch
from skhybrid.training import refinement
from skhybrid.training.problem import Problem
from skhybrid.training.refinement import N_FOLDS, Refinement, can_refine, refine


class Refined:
    """The result of a refinement, with its copies, their rows and their parameters."""

    def __init__(self, problem, config, monkeypatch, start=None) -> None:
        self.problem = problem
        hybrid = problem.hybrid
        self.start = start or make_starts(hybrid, 1)[0]
        self.phases: list[str] = []
        self.flats: list[torch.Tensor] = []
        train = refinement.train

        def spy(problem, members, config, *observers):
            self.folds, self.config = problem, config
            return train(problem, members, config, *observers)

        def watch(phase, copies):
            self.phases.append(phase)
            self.copies = copies
            self.flats.append(copies.flat.clone())

            def on_epoch(epoch, losses):
                self.flats.append(copies.flat.clone())
                return False

            return on_epoch

        with monkeypatch.context() as patch:
            patch.setattr(refinement, "train", spy)
            begin = Refinement(problem, config, self.start.weights, self.start.coordinates)
            ((self.kept, self.result),) = refine([begin], watch)

    def weights(self, epoch: int, member: int) -> dict[str, torch.Tensor]:
        shapes = {name: value.shape for name, value in self.start.weights.items()}
        return {
            block.name: block.view(self.flats[epoch])[member].reshape(shapes[block.name])
            for block in self.copies.blocks
            if block.name in shapes
        }

    def held_out_loss(self, epoch: int, member: int) -> float:
        """Compute the loss of a member over the rows that it holds out, by the formula."""
        x, y, weight = self.folds.validation
        weight = weight if weight is None else weight[member]
        hybrid = self.problem.hybrid
        prediction = hybrid(x, self.start.coordinates, self.weights(epoch, member))
        square = ((prediction - y) / hybrid.scales.target_scale) ** 2
        return float(square.mean() if weight is None else (square * weight).mean())


def overfitting(n_epochs: int = 60, **options):
    return make_config(learning_rate=0.05, n_epochs=n_epochs, rho=None, seed=2, **options)


@pytest.fixture
def problem():
    data = make_data()
    return Problem(make_hybrid(data), data)


@pytest.mark.parametrize("rho", [None, 0.05])
@pytest.mark.parametrize("perturb", ["nn", "all"])
def test_the_physics_is_held_bit_by_bit(problem, rho, perturb, monkeypatch):
    config = make_config(rho=rho, perturb=perturb, n_epochs=10, physics_learning_rate=0.5)
    refined = Refined(problem, config, monkeypatch)
    kept = refined.start.coordinates
    for block in refined.copies.blocks:
        values = torch.stack([block.view(flat) for flat in refined.flats])
        assert bool((values == values[0]).all()) == (block.name in kept)
    assert refined.phases == ["refine"]


def test_every_row_is_held_out_by_one_copy_and_trains_the_others(problem, monkeypatch):
    weight = torch.linspace(0.5, 1.5, 30, dtype=torch.float64)
    weighted = Problem(problem.hybrid, problem.data._replace(weight=weight))
    refined = Refined(weighted, overfitting(n_epochs=1), monkeypatch)
    inside, outside = refined.folds.data.weight, refined.folds.validation.weight
    assert inside.shape == outside.shape == (N_FOLDS + 1, 30)
    assert_close(inside[0], weight)
    assert not bool(outside[0].any())
    assert torch.equal((outside > 0).sum(0), torch.ones(30, dtype=torch.int64))
    assert torch.equal((outside > 0).sum(1)[1:], torch.full((N_FOLDS,), 6))
    assert torch.equal(inside[1:] > 0, outside[1:] == 0)
    for fold in range(1, N_FOLDS + 1):
        for part in (inside[fold], outside[fold]):
            ratio = (part / weight)[part > 0]
            assert_close(ratio, ratio[0].expand_as(ratio))
            assert float(part.mean()) == pytest.approx(1.0)


def test_the_epoch_with_the_lowest_mean_held_out_loss_is_kept(problem, monkeypatch):
    refined = Refined(problem, overfitting(), monkeypatch)
    means = [
        sum(refined.held_out_loss(epoch, member) for member in range(1, N_FOLDS + 1)) / N_FOLDS
        for epoch in range(61)
    ]
    best = means.index(min(means))
    assert 0 < best < 60
    assert refined.result.kept_epoch == [best] * (N_FOLDS + 1)
    kept = refined.kept
    assert_close(kept, refined.weights(best, 0), rtol=0, atol=0)


def test_the_copies_start_equal_and_become_different(problem, monkeypatch):
    refined = Refined(problem, overfitting(n_epochs=3), monkeypatch)
    for block in refined.copies.blocks:
        first, last = block.view(refined.flats[0]), block.view(refined.flats[-1])
        assert bool((first == first[0]).all())
        if block.name == "0.weight":
            assert len({tuple(row.tolist()) for row in last}) == N_FOLDS + 1


def test_the_kept_member_sees_all_rows(problem, monkeypatch):
    refined = Refined(problem, overfitting(n_epochs=8), monkeypatch)
    alone = make_members(problem.hybrid, [refined.start])
    config = overfitting(n_epochs=8, physics_learning_rate=0.0)
    refinement.train(problem, alone, config)
    assert_close(refined.weights(8, 0), alone.member_weights(0), rtol=1e-10, atol=1e-10)


def test_the_start_is_kept_if_refining_can_only_overfit(monkeypatch):
    # The physics with a network that answers zero is the truth; neighbours have opposite noise.
    x, _, _ = make_data()
    level = torch.tensor([1.5, 0.5], dtype=torch.float64)
    noise = 0.3 * (-1.0) ** x[:, 0].argsort().argsort()
    data = Batch(x, decay(x[:, 0], x[:, 1], rate=0.8, level=level) + noise, None)
    hybrid = make_hybrid(data)
    (start,) = make_starts(hybrid, 1)
    for part in (start.coordinates, {n: start.weights[n] for n in ("2.weight", "2.bias")}):
        for value in part.values():
            value.zero_()
    refined = Refined(Problem(hybrid, data), overfitting(), monkeypatch, start)
    assert refined.result.kept_epoch == [0] * (N_FOLDS + 1)
    assert_close(refined.kept, start.weights, rtol=0, atol=0)
    # The training loss fell in the meantime.
    assert float(refined.result.curve[-1][0]) < 0.9 * float(refined.result.curve[0][0])


def test_validation_rows_replace_the_folds(problem, monkeypatch):
    validation = make_data(40, seed=9)
    judged = Problem(problem.hybrid, problem.data, validation)
    refined = Refined(judged, overfitting(), monkeypatch)
    assert refined.copies.n_members == 1
    assert refined.folds is judged
    losses = [refined.held_out_loss(epoch, 0) for epoch in range(61)]
    best = losses.index(min(losses))
    assert 0 < best < 60
    assert refined.result.kept_epoch == [best]
    assert float(refined.result.validation_losses) == pytest.approx(min(losses), rel=1e-10)
    assert_close(refined.kept, refined.weights(best, 0), rtol=0, atol=0)


def test_every_copy_has_the_configuration_of_the_single_member(problem, monkeypatch):
    config = make_config(rho=0.2, n_epochs=1, penalties=make_penalties(l2=0.3))
    used = Refined(problem, config, monkeypatch).config
    assert used.rho.tolist() == [0.2] * 6
    assert used.learning_rate.tolist() == [0.01] * 6
    assert used.penalties.l2.tolist() == [0.3] * 6
    assert not bool(used.physics_learning_rate.any())


def test_two_targets_with_missing_values(problem, monkeypatch):
    x, y, _ = problem.data
    both = torch.stack([y, y.square()], dim=1)
    weight = torch.ones_like(both)
    weight[::4, 1] = 0.0
    data = Batch(x, both, weight / weight.mean())

    def physics(time, heat, *, rate=0.8):
        return torch.exp(-rate * time)[..., None].expand(*time.shape, 2)

    refined = Refined(Problem(make_hybrid(data, physics), data), overfitting(5), monkeypatch)
    outside = refined.folds.validation.weight
    assert outside.shape == (N_FOLDS + 1, 30, 2)
    assert torch.equal((outside > 0).sum(0), (weight > 0).long())
    assert bool(torch.isfinite(refined.result.losses).all())


def test_few_rows_cannot_be_refined():
    assert not can_refine(24)
    assert can_refine(25)


@pytest.mark.parametrize("n_groups", [7, 23])
def test_rows_of_a_group_are_held_out_together(n_groups):
    data = make_data(100)
    groups = 3 * (torch.arange(100) % n_groups)
    problem = refinement.with_fold_weights(Problem(make_hybrid(data), data, None, groups), seed=0)
    held_out = problem.validation.weight[1:] > 0
    assert_close(held_out.sum(0), torch.ones(100, dtype=torch.long))
    assert_close(problem.data.weight[1:] > 0, ~held_out)
    for group in groups.unique():
        inside = held_out[:, groups == group]
        assert bool((inside == inside[:, :1]).all())
    sizes = [len(groups[fold].unique()) for fold in held_out]
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == n_groups
