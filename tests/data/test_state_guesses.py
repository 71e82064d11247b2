"""First guesses of states, and noise of observed states."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.data.state_guesses import guess_states, is_noisy
from skhybrid.model.layout import Layout
from skhybrid.model.ode import ODE

RNG = np.random.default_rng(0)
TIME = np.linspace(0.0, 20.0, 100)
SMOOTH = np.stack([np.sin(TIME), 5.0 * np.cos(TIME)], axis=1)[None]


@pytest.mark.parametrize(("noise", "expected"), [(0.0, False), (0.05, False), (0.4, True)])
def test_noise_is_compared_with_the_standard_deviation(noise, expected):
    states = SMOOTH + noise * SMOOTH.std(axis=1) * RNG.normal(size=SMOOTH.shape)
    assert is_noisy(states) is expected


def test_one_noisy_state_is_enough():
    states = SMOOTH.copy()
    states[..., 1] += 2.0 * RNG.normal(size=100)
    assert is_noisy(states)


def test_missing_states_are_ignored_in_the_noise():
    states = SMOOTH + 0.4 * SMOOTH.std(axis=1) * RNG.normal(size=SMOOTH.shape)
    states[0, ::20] = np.nan
    assert is_noisy(states)


def test_few_and_constant_states_are_not_noisy():
    assert not is_noisy(RNG.normal(size=(50, 9, 2)))
    assert not is_noisy(np.full((3, 20, 2), 4.0))


def layout(n_states=2, n_outputs=2, **options):
    options = {"learned": True, "with_first": True, **options}
    return Layout(state_shape=(n_states,), output_shape=(n_outputs,), **options)


def test_given_first_states_are_the_outputs():
    outputs = SMOOTH.copy()
    outputs[0, 3] = np.nan
    states = guess_states(ODE(dt=1.0), layout(learned=False), outputs)
    np.testing.assert_array_equal(states, outputs)
    assert states is not outputs


def test_missing_observed_states_are_interpolated():
    outputs = SMOOTH[:, :10].copy()
    outputs[0, 3:5, 1] = np.nan
    states = guess_states(ODE(dt=1.0), layout(), outputs)
    expected = np.interp([3, 4], [2, 5], outputs[0, [2, 5], 1])
    np.testing.assert_allclose(states[0, 3:5, 1], expected)
    np.testing.assert_array_equal(states[..., 0], outputs[..., 0])


def test_hidden_states_change_as_little_as_the_outputs_allow():
    def total(state):
        return state.sum(dim=-1, keepdim=True)

    ode = ODE(dt=1.0, observe=total, n_states=2, state_guess=[1.0, 3.0])
    outputs = RNG.normal(size=(3, 5, 1))
    states = guess_states(ode, layout(n_outputs=1, states_observed=False), outputs)
    np.testing.assert_allclose(states.sum(axis=-1, keepdims=True), outputs)
    np.testing.assert_allclose(states[..., 1] - states[..., 0], 2.0)
