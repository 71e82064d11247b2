"""Seeds that leave torch's generators unchanged."""

from __future__ import annotations

import pytest
import torch

from skhybrid.runtime.seeds import seeded


def test_the_same_seed_draws_the_same_and_the_global_state_stays():
    before = torch.random.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        second = torch.rand(4)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_global_state_is_restored_after_an_error():
    before = torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt), seeded(3):
        torch.rand(4)
        raise KeyboardInterrupt
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_overlapping_blocks_restore_the_global_state_in_any_order(first_to_end):
    # Two fits in threads that run at the same time overlap like this.
    before = torch.random.get_rng_state()
    both = [seeded(3), seeded(4)]
    for each in both:
        each.__enter__()
    torch.rand(4)
    both.pop(first_to_end).__exit__(None, None, None)
    torch.rand(4)
    both.pop().__exit__(None, None, None)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("alone", [False, True])
def test_a_seed_inside_does_not_change_the_numbers_outside(alone):
    with seeded(3):
        undisturbed = torch.rand(4), torch.rand(4)
    with seeded(3):
        first = torch.rand(4)
        with seeded(4, alone=alone):
            torch.rand(4)
        second = torch.rand(4)
    torch.testing.assert_close((first, second), undisturbed, rtol=0, atol=0)
