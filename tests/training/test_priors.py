"""What priors add to the gradients of training."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from small_fits import decay, make_data, make_hybrid, make_members, make_starts
from torch.testing import assert_close

from skhybrid.model.param import Param
from skhybrid.model.physics import Physics
from skhybrid.training.priors import Prior, PriorGradient, combine_priors

RATE = Param(0.8, bounds=(0.0, None), prior=("lognormal", 1.1, 1.5))
LEVEL = Param((1.5, 0.5), prior=((1.0, 0.4), 0.2))


def make_prior(n_members=1, n_observed=10, **params):
    """Return a model, its members and its prior."""
    data = make_data()
    physics = Physics(decay, **(params or {"rate": RATE, "level": LEVEL}))
    hybrid = make_hybrid(data, physics)
    members = make_members(hybrid, make_starts(hybrid, n_members))
    prior = Prior.of(hybrid.physics, hybrid.space, n_observed, n_members, data.y)
    return hybrid, members, prior


def minus_log_prior(hybrid, coordinates):
    """Return twice the negative logarithm of the prior density, but for a constant."""
    values = hybrid.space.values(coordinates)
    normal = ((values["level"] - torch.tensor([1.0, 0.4])) / 0.2).square().sum()
    log_factor = torch.tensor(1.5, dtype=torch.float64).log()
    return normal + ((values["rate"].log() - torch.tensor(1.1).double().log()) / log_factor) ** 2


def test_no_prior_without_a_prior():
    assert make_prior(rate=Param(0.8))[2] is None
    assert make_prior(rate=Param(0.8, fixed=True, prior=(1.0, 0.1)))[2] is None
    assert Prior.of(None, make_prior()[0].space, 10, 1, torch.zeros(())) is None


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_gradient_is_that_of_the_prior_with_the_weight_of_the_noise(n_members):
    hybrid, members, prior = make_prior(n_members)
    losses = torch.linspace(0.1, 0.3, n_members, dtype=torch.float64)
    members.gradient.zero_()
    PriorGradient(members, prior).add(losses, torch.ones(n_members, dtype=torch.bool))
    for member in range(n_members):
        own = {
            name: each.clone().requires_grad_()
            for name, each in members.member_coordinates(member).items()
        }
        added = losses[member] / 10 * minus_log_prior(hybrid, own)
        expected = dict(zip(own, torch.autograd.grad(added, [*own.values()]), strict=True))
        for name in own:
            found = members.gradient_of(name)
            found = found[member] if n_members > 1 else found
            assert_close(found, expected[name], check_dtype=False)
    for name in members.weights:
        assert not members.gradient_of(name).any()


def test_members_with_a_non_finite_gradient_or_loss_do_not_move():
    _, members, prior = make_prior(3)
    members.gradient.zero_()
    losses, finite = torch.tensor([0.1, torch.nan, 0.1]).double(), torch.tensor([False, True, True])
    PriorGradient(members, prior).add(losses, finite)
    moved = members.gradient_of("rate") != 0.0
    assert moved.tolist() == [False, False, True]


def test_stopped_members_do_not_move():
    _, members, prior = make_prior(2)
    members.stop(torch.tensor([True, False]))
    members.gradient.zero_()
    PriorGradient(members, prior).add(torch.ones(2).double(), torch.ones(2, dtype=torch.bool))
    assert (members.gradient_of("rate") != 0.0).tolist() == [False, True]


def test_combined_priors_are_those_of_their_members():
    one = make_prior(n_observed=10)[2]
    other = make_prior(n_observed=20, rate=Param(0.8, prior=(0.9, 0.1)))[2]
    both = combine_priors([one, other])
    assert both.per_value.tolist() == [0.1, 0.05]
    z = torch.zeros(2, 1, dtype=torch.float64)
    slopes = both.terms["rate"].slope(z)
    assert_close(slopes[:1], one.terms["rate"].slope(z[:1]))
    assert_close(slopes[1:], other.terms["rate"].slope(z[1:]))
    assert not both.terms["level"].slope(torch.zeros(2, 2).double())[1].any()


def test_the_scale_of_a_parameter_is_at_most_the_width_of_its_prior():
    hybrid, _, _ = make_prior()
    narrow = Physics(decay, rate=Param(0.8, prior=(0.8, 1e-3)))
    assert float(hybrid.space.scales["rate"]) <= 0.8 * float(torch.tensor(1.5).log()) + 1e-12
    assert float(make_hybrid(make_data(), narrow).space.scales["rate"]) == pytest.approx(1e-3)


@pytest.mark.parametrize("most_noise", [torch.inf, 0.2])
def test_the_objective_has_the_gradient_of_training(most_noise):
    hybrid, members, prior = make_prior(3)
    prior = replace(prior, most_noise=torch.full((3,), most_noise, dtype=torch.float64))
    for member in range(3):
        here, loss = members.member_coordinates(member), 0.1 + 0.1 * member
        distance = float(minus_log_prior(hybrid, here))
        step = 1e-6
        slope = [prior.objective(member, loss + each, here) for each in (step, -step)]
        # Training adds the noise times the slope of the distance over N to that of the loss.
        noise = min(loss, most_noise)
        assert (slope[0] - slope[1]) / (2.0 * step) == pytest.approx(1.0 / noise, rel=1e-4)
        base = prior.objective(member, 0.1, here)
        assert base == pytest.approx(math.log(0.1) + distance / 10)
    assert prior.objective(0, 0.0, here) == -math.inf
