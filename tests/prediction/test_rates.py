"""Rates of change that physics and network contribute."""

from __future__ import annotations

import numpy as np
import pytest
from small_oscillator import DRIVEN, FIRST, INPUTS, MATRIX, fit, follow, pushed

from skhybrid.prediction.rates import predict_rates

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

STATES = np.array([[0.3, -0.2], [1.0, 0.5]])


def test_physics_alone_has_all_of_the_rate(free):
    physics, network = predict_rates(free, STATES, 0.0, None)
    np.testing.assert_allclose(physics, STATES @ MATRIX.T, atol=1e-4)
    np.testing.assert_array_equal(network, 0.0)


def test_rates_with_inputs():
    model = fit(INPUTS, DRIVEN, pushed, inputs="hold")
    pushes = np.array([[2.0], [-1.0]])
    physics, network = predict_rates(model, STATES, [0.1, 0.2], pushes)
    expected = STATES @ MATRIX.T + pushes * [0.0, 1.0]
    np.testing.assert_allclose(physics, expected, atol=1e-4)
    np.testing.assert_array_equal(network, 0.0)


def test_rates_of_physics_and_network_sum_to_the_rate_of_the_rollout():
    model = fit(FIRST, follow(FIRST, 12), nn=(4,))
    physics, network = predict_rates(model, STATES, 0.0, None)
    assert network.shape == STATES.shape
    assert np.abs(network).max() > 0
    step = 1e-4
    slope = (model.predict(STATES, times=[step])[:, 0] - STATES) / step
    np.testing.assert_allclose(physics + network, slope, atol=1e-3)


@pytest.mark.parametrize(
    ("states", "inputs", "message"),
    [
        (STATES[:, :1], None, r"states has shape \(2, 1\); one state has shape \(2,\)"),
        (STATES, STATES, "inputs is given, and the model has 0 inputs"),
    ],
)
def test_bad_states_and_inputs_raise_an_error(free, states, inputs, message):
    with pytest.raises(ValueError, match=message):
        predict_rates(free, states, 0.0, inputs)


def test_missing_inputs_raise_an_error(partial):
    with pytest.raises(ValueError, match="inputs is not given, and the model has 1 inputs"):
        predict_rates(partial, STATES, 0.0, None)
