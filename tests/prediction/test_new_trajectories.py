"""New trajectories: times, initial states, and errors in X."""

from __future__ import annotations

import numpy as np
import pytest
import small_arrays as arrays
from small_oscillator import BEGINS, DRIVEN, DT, FIRST, INPUTS, fit, follow, pushed

from skhybrid import ODE, HybridRegressor

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize("times", [[0.1, 0.2], [0.05, 0.3, 2.7], [4.0], np.linspace(0.1, 3.0, 30)])
def test_prediction_at_other_times(free, times):
    prediction = free.predict(FIRST, times=times)
    assert prediction.shape == (5, len(times), 2)
    # However few times the user asks for, steps are no longer than in training.
    np.testing.assert_allclose(prediction, follow(FIRST, 0, times), atol=1e-4)


def test_prediction_at_the_time_of_the_initial_state_raises_an_error(free):
    with pytest.raises(ValueError, match="must increase, and be after the initial states"):
        free.predict(FIRST, times=[0.0, 0.1])


def test_times_count_from_the_first_time_of_training():
    model = fit(FIRST, follow(FIRST, 12), dt=None, times=5.0 + DT * np.arange(13))
    np.testing.assert_allclose(model.predict(FIRST), follow(FIRST, 12), atol=2e-5)
    found = model.predict(FIRST, times=[5.3, 5.5])
    np.testing.assert_allclose(found, follow(FIRST, 0, [0.3, 0.5]), atol=2e-5)


def test_given_initial_states(partial):
    prediction = partial.predict(INPUTS, initial_states=BEGINS)
    np.testing.assert_allclose(prediction, DRIVEN[..., 0], atol=1e-3)


def test_default_initial_state_is_the_mean_of_the_training_trajectories(partial):
    assert partial.initial_states_.shape == (3, 2)
    np.testing.assert_allclose(partial.initial_states_, BEGINS, atol=1e-3)
    mean = np.tile(partial.initial_states_.mean(axis=0), (3, 1))
    expected = partial.predict(INPUTS, initial_states=mean)
    np.testing.assert_allclose(partial.predict(INPUTS), expected, atol=1e-12)


def test_mean_initial_state_ignores_missing_initial_states():
    y = DRIVEN.copy()
    y[0, 0] = np.nan
    structure = ODE(dt=DT, inputs="hold")
    model = HybridRegressor(pushed, nn=None, structure=structure, missing_targets="mask")
    model.fit(INPUTS, y)
    mean = np.tile(BEGINS[1:].mean(axis=0), (3, 1))
    np.testing.assert_allclose(
        model.predict(INPUTS), model.predict(INPUTS, initial_states=mean), atol=1e-6
    )
    assert model.score(INPUTS, y) > 0.99


def test_bad_initial_states_and_times_raise_an_error():
    model = arrays.fit_small(ODE(dt=0.1), arrays.FIRST, arrays.AFTER)
    with pytest.raises(ValueError, match=r"features|shape"):
        model.predict(arrays.FIRST[:, :1])
    with pytest.raises(ValueError, match="times must increase"):
        model.predict(arrays.FIRST, times=[0.2, 0.1])
    with pytest.raises(ValueError, match="first_outputs"):
        model.predict(arrays.FIRST, first_outputs=arrays.AFTER[:2])


def test_bad_inputs_over_time_raise_an_error():
    _, frames = arrays.as_frames()
    model = arrays.fit_small(
        ODE(times="time", inputs="hold"), frames, arrays.OUTPUTS, arrays.pushed
    )
    with pytest.raises(ValueError, match="X has 2 inputs, but HybridRegressor was fitted with 3"):
        model.predict(arrays.INPUTS[..., :2])
    with pytest.raises(ValueError, match=r"X has columns .*cold.*fitted with"):
        model.predict(arrays.as_frames(("push", "cold", "time"))[1])
    with pytest.raises(ValueError, match="times is for models whose X holds initial states"):
        model.predict(frames, times=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"initial_states has shape \(3, 2\).*\(4, 2\)"):
        model.predict(frames, initial_states=arrays.FIRST[:3])


def test_times_of_the_training_trajectories_are_unknown_for_new_ones():
    model = arrays.fit_small(
        ODE(times=[np.arange(7.0)] * 4, inputs="hold"), arrays.INPUTS, arrays.OUTPUTS, arrays.pushed
    )
    with pytest.raises(ValueError, match=r"times of each training trajectory.*name their column"):
        model.predict(arrays.INPUTS[:2])
