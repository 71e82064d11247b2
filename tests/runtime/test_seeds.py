"""Seeds that leave torch's generators unchanged."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from skhybrid.runtime.seeds import draws_globally, seeded


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


def test_other_threads_wait_so_that_the_numbers_depend_on_the_seed_alone():
    def draw(seed):
        with seeded(seed):
            first = torch.rand(4)
            time.sleep(0.002)
            return torch.cat([first, torch.rand(4)])

    expected = [draw(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = [*pool.map(draw, range(6))]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_seed_inside_does_not_change_the_numbers_outside():
    with seeded(3):
        undisturbed = torch.rand(4), torch.rand(4)
    with seeded(3):
        first = torch.rand(4)
        with seeded(4):
            torch.rand(4)
        second = torch.rand(4)
    torch.testing.assert_close((first, second), undisturbed, rtol=0, atol=0)


def test_draws_from_the_global_generator_are_noticed():
    state = torch.get_rng_state()
    assert draws_globally(lambda: torch.rand(1))
    assert not draws_globally(lambda: torch.rand(1, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), state)
