"""Rates of stages together and one after the other."""

import pytest
import torch

from skhybrid.model.stages_differ import StagesDiffer, require_same_rates

N_MEMBERS, N, N_STATES = 2, 5, 3


def make_rates():
    """Return rates whose second member is a million times as fast."""
    rates = torch.randn(N_MEMBERS, N, N_STATES, generator=torch.Generator().manual_seed(0))
    return rates * torch.tensor([1.0, 1e6]).reshape(-1, 1, 1)


@pytest.mark.parametrize("value", [0.0, torch.nan, torch.inf, -torch.inf])
def test_rates_up_to_rounding(value):
    rates = make_rates()
    rates[1, 2] = value
    require_same_rates(rates * (1.0 + 1e-6), rates)
    rates[:, :, 0] = 0.0
    require_same_rates(rates * (1.0 + 1e-6), rates)


@pytest.mark.parametrize("value", [0.0, torch.nan, torch.inf])
@pytest.mark.parametrize("member", range(N_MEMBERS))
def test_another_rate_of_one_member(member, value):
    """Neither a fast member nor a rate that is not finite hides it."""
    rates = make_rates()
    rates[1, 2] = value
    found = rates.clone()
    found[member, 0, 1] *= 1.01
    with pytest.raises(StagesDiffer, match="other rates"):
        require_same_rates(found, rates)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_rates_that_are_finite_only_in_one_way(value):
    rates = make_rates()
    other = rates.clone()
    other[0, 0, 0] = value
    for pair in ((rates, other), (other, rates)):
        with pytest.raises(StagesDiffer):
            require_same_rates(*pair)
