"""Generators of a fit: each thread has its own, and they can be saved."""

from __future__ import annotations

import threading

import torch

from skhybrid.runtime.draws import current_draws, drawing


def draw():
    return torch.rand(4, generator=current_draws().generator("cpu"))


def test_the_same_seed_draws_the_same_and_the_global_state_stays():
    state = torch.get_rng_state()
    with drawing(3):
        first = draw()
    with drawing(3):
        torch.testing.assert_close(draw(), first, rtol=0, atol=0)
    with drawing(4):
        assert not torch.equal(draw(), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_block_inside_does_not_change_the_numbers_outside():
    assert current_draws() is None
    with drawing(3):
        expected = draw(), draw()
    with drawing(3):
        first = draw()
        with drawing(4):
            draw()
        torch.testing.assert_close((first, draw()), expected, rtol=0, atol=0)
    assert current_draws() is None


def test_other_threads_have_none():
    found = []
    with drawing(3):
        worker = threading.Thread(target=lambda: found.append(current_draws()))
        worker.start()
        worker.join()
    assert found == [None]


def test_a_saved_state_goes_on_with_the_same_numbers():
    with drawing(3) as draws:
        draw()
        state = draws.state()
        expected = draw()
    with drawing(8) as draws:
        draw()
        draws.restore(state)
        torch.testing.assert_close(draw(), expected, rtol=0, atol=0)
