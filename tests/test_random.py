"""Seeding that leaves no trace."""

import torch

from skhybrid._random import seeded


def test_the_same_seed_draws_the_same_and_the_global_state_stays():
    before = torch.random.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        second = torch.rand(4)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert torch.equal(torch.random.get_rng_state(), before)
