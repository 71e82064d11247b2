"""First guesses of the hidden states of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skhybrid.data.latent_state_guesses import guess_states
from skhybrid.model.physics import Physics


def oscillator(t, state, *, omega2=1.0):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -omega2 * position], dim=-1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_guessed_states_change_as_the_physics_predicts(seed):
    # Steps are long: states that change little in one step also fit without physics.
    step = 0.8
    time = step * np.arange(21)
    phase = np.random.default_rng(seed).uniform(0.0, 6.0, (4, 1))
    slow = np.stack([np.cos(time - step + phase), np.cos(time + phase)], axis=2)
    times = np.tile(time[:-1], (4, 1))
    guess = guess_states(slow, times, np.full((4, 20), step), Physics(oscillator), 2, 1)
    states = slow @ guess.numpy()
    rate = (states[:, 2:, 0] - states[:, :-2, 0]) / (2 * step)
    assert np.corrcoef(rate.ravel(), states[:, 1:-1, 1].ravel())[0, 1] > 0.999


def test_guess_is_zero_without_physics_and_with_physics_that_fails():
    def failing(t, state, *, omega2=1.0):
        raise RuntimeError

    slow = np.random.default_rng(0).normal(size=(3, 5, 4))
    times, steps = np.zeros((3, 4)), np.ones((3, 4))
    for physics in (None, Physics(failing)):
        assert not guess_states(slow, times, steps, physics, 2, 2).any()
