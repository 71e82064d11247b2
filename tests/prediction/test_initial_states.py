"""Initial states that are estimated from first outputs."""

from __future__ import annotations

import numpy as np
import pytest
from small_oscillator import DRIVEN, FIRST, INPUTS, follow

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_noisy_initial_states_are_corrected_by_the_first_outputs(free):
    truth = follow(FIRST, 12)
    off = FIRST + 0.5
    prediction = free.predict(off, first_outputs=truth[:, :8])
    np.testing.assert_allclose(prediction, truth, atol=2e-2)
    assert np.abs(free.predict(off) - truth).max() > 0.3
    times = [0.5, 0.7, 2.0]
    truth = follow(FIRST, 0, times)
    prediction = free.predict(off, times=times, first_outputs=truth[:, :2])
    np.testing.assert_allclose(prediction, truth, atol=5e-2)


def test_initial_states_are_estimated_from_the_first_outputs(partial):
    prediction = partial.predict(INPUTS, first_outputs=DRIVEN[:, :16, 0])
    assert prediction.shape == (3, 24)
    # The prior moves the estimate towards the mean of training, by 1% with 16 outputs.
    np.testing.assert_allclose(prediction, DRIVEN[..., 0], atol=2e-2)
    error = np.abs(partial.predict(INPUTS) - DRIVEN[..., 0]).max()
    assert error > 0.3


def test_missing_first_outputs_do_not_count(partial):
    outputs = DRIVEN[:, :16, 0].copy()
    outputs[:, 3:9] = np.nan
    prediction = partial.predict(INPUTS, first_outputs=outputs)
    np.testing.assert_allclose(prediction, DRIVEN[..., 0], atol=4e-2)
