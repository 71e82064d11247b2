"""What an error costs: values, derivatives, spreads and units."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_fits import make_data, make_hybrid
from torch.testing import assert_close

from skhybrid.training.losses import LEAST_SPREAD, NORMAL_MEDIAN, Loss, loss_of_centre

ROBUST = [Loss("huber"), Loss("huber", 2.5), Loss("absolute_error")]


@pytest.fixture
def errors():
    return torch.randn(2001, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_squares_are_the_mean_of_squares(errors):
    weight = errors.abs()
    assert_close(Loss().mean(errors, None, (3,)), errors.square().mean())
    assert_close(Loss().mean(errors, weight, (3,)), (errors.square() * weight).mean())


def test_huber_is_quadratic_inside_and_linear_outside():
    error, spread = torch.tensor([-3.0, -0.5, 0.0, 1.0, 4.0]), torch.tensor(1.0)
    costs = Loss("huber", 1.0).costs(error, spread)
    assert_close(costs, torch.tensor([5.0, 0.25, 0.0, 1.0, 7.0]))
    assert_close(Loss("huber", 1.0).costs(2.0 * error, 2.0 * spread), 4.0 * costs)


@pytest.mark.parametrize("loss", ROBUST)
def test_slopes_are_derivatives(loss, errors):
    error = errors.clone().requires_grad_()
    spread = loss.spread(error, None, (3,))
    (gradient,) = torch.autograd.grad(loss.costs(error, spread).sum(), error)
    assert_close(loss.slopes(errors, spread), gradient)


def test_normal_errors_cost_about_their_variance(errors):
    scaled = 0.3 * errors
    assert float(Loss("absolute_error").mean(scaled, None, (3,))) == pytest.approx(0.09, rel=0.05)
    assert 0.6 * 0.09 < float(Loss("huber").mean(scaled, None, (3,))) < 0.09


def test_each_target_has_its_own_spread(errors):
    spread = Loss("huber").spread(errors * torch.tensor([1.0, 10.0, 100.0]), None, (3,))
    assert spread.shape == (1, 3)
    assert_close(
        spread / spread[0, 0], torch.tensor([[1.0, 10.0, 100.0]]).double(), rtol=0.1, atol=0.0
    )
    assert Loss("huber").spread(errors, None, ()).shape == (1, 1)


def test_outliers_hardly_change_the_spread(errors):
    outlying = errors.clone()
    outlying[:200] = 1e6
    before, after = (Loss("huber").spread(each, None, (3,)) for each in (errors, outlying))
    assert bool((after / before < 1.2).all())


def test_weights_count_like_repeated_rows(errors):
    few, counts = errors[:20], torch.arange(20) % 4
    weight = counts[:, None].expand(-1, 3).double()
    repeated = few.repeat_interleave(counts, dim=0)
    for loss in ROBUST:
        assert_close(loss.spread(few, weight, (3,)), loss.spread(repeated, None, (3,)))


def test_members_have_their_own_spreads(errors):
    members = torch.stack([errors, 5.0 * errors])
    weight = torch.rand(errors.shape, generator=torch.Generator().manual_seed(1)).double()
    for loss in ROBUST:
        together = loss.mean(members, weight, (3,), 1)
        alone = torch.stack([loss.mean(each, weight, (3,)) for each in members])
        assert_close(together, alone)
        mapped = torch.vmap(lambda e, loss=loss: loss.mean(e, weight, (3,)))(members)
        assert_close(mapped, alone)


def test_exact_errors_have_a_spread():
    spread = Loss("huber").spread(torch.zeros(5), None, ())
    assert float(spread) == pytest.approx(LEAST_SPREAD)
    assert float(Loss("huber").mean(torch.zeros(5), None, ())) == 0.0


@pytest.mark.parametrize("loss", ROBUST)
def test_pseudo_errors_give_the_variance_of_the_estimate(loss):
    """For a location: their mean square is n times the variance over samples."""
    rng = np.random.default_rng(0)
    samples = torch.tensor(rng.standard_t(3, size=(400, 200)))
    pseudo = torch.stack([loss.pseudo_errors(each, None, ()) for each in samples])
    claimed = float(pseudo.square().mean())
    centres = samples.median(dim=1).values
    if loss.kind == "huber":
        for _ in range(30):
            spread = (samples - centres[:, None]).abs().median(dim=1).values / NORMAL_MEDIAN
            step = loss.slopes(samples - centres[:, None], spread[:, None]).mean(dim=1)
            centres = centres + 0.5 * step
    assert claimed == pytest.approx(200.0 * float(centres.var()), rel=0.25)


def test_the_centre_of_a_constant_target_costs_something():

    data = make_data()
    hybrid = make_hybrid(data)
    assert loss_of_centre(hybrid, data, Loss()) == 1.0
    constant = data._replace(y=torch.full_like(data.y, float(hybrid.scales.target_mean)))
    assert loss_of_centre(hybrid, constant, Loss("huber")) > 0.0
