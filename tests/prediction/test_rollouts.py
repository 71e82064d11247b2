"""Rollouts: shapes, lengths, divergence."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.linalg
from sklearn.metrics import r2_score
from small_oscillator import DRIVEN, DT, FIRST, INPUTS, fit, follow

from skhybrid import ODE, HybridRegressor
from skhybrid.exceptions import DivergenceWarning

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RNG = np.random.default_rng(1)


def test_predictions_have_the_shape_of_y(free):
    new = RNG.normal(size=(3, 2))
    prediction = free.predict(new)
    assert prediction.shape == (3, 12, 2)
    np.testing.assert_allclose(prediction, follow(new, 12), atol=2e-5)
    physics, network = free.predict_parts(new)
    np.testing.assert_array_equal(physics, prediction)
    np.testing.assert_array_equal(network, 0.0)


def test_one_state_without_its_own_axis():
    def decay(t, state, *, stiffness=1.0):
        return -stiffness * state

    X = RNG.uniform(1.0, 2.0, (4, 1))
    y = X * np.exp(-2.0 * DT * np.arange(1, 9))
    model = fit(X, y, decay)
    assert model.predict(X).shape == (4, 8)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-4)
    assert model.score(X, y) == pytest.approx(r2_score(y.ravel(), model.predict(X).ravel()))


def test_fields_keep_their_shape():
    def diffusion(t, state, *, stiffness=2.0):
        return stiffness * (state.roll(1, -1) + state.roll(-1, -1) - 2.0 * state)

    X = RNG.normal(size=(3, 2, 6))
    laplacian = np.roll(np.eye(6), 1, 0) + np.roll(np.eye(6), -1, 0) - 2.0 * np.eye(6)
    y = np.stack([X @ scipy.linalg.expm(2.0 * DT * k * laplacian) for k in range(1, 6)], axis=1)
    model = fit(X, y, diffusion, substeps=4)
    assert model.predict(X).shape == (3, 5, 2, 6)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-4)
    noisy = y + 0.3 * RNG.normal(size=y.shape)
    columns = np.moveaxis(noisy, 2, -1).reshape(-1, 2), np.moveaxis(y, 2, -1).reshape(-1, 2)
    assert model.score(X, noisy) == pytest.approx(r2_score(*columns), abs=1e-3)


def test_new_records_have_their_own_lengths(partial):
    short = partial.predict(INPUTS[:2, :9], initial_states=FIRST[:2])
    assert short.shape == (2, 9)
    np.testing.assert_allclose(short, DRIVEN[:2, :9, 0], atol=1e-3)
    lengths = [24, 4, 9]
    records = [INPUTS[i, :n] for i, n in enumerate(lengths)]
    found = partial.predict(records, initial_states=FIRST[:3])
    assert [each.shape for each in found] == [(n,) for n in lengths]
    for i, each in enumerate(found):
        np.testing.assert_allclose(each, DRIVEN[i, : lengths[i], 0], atol=1e-3)
    parts = partial.predict_parts(records, initial_states=FIRST[:3])
    assert [each.shape for part in parts for each in part] == [(n,) for n in lengths] * 2


def test_shorter_records_are_not_padded_with_inputs_that_nobody_gave():
    def leak(t, state, inputs, *, rate=0.3):
        return -rate * state / inputs

    X = [np.ones((n, 1)) for n in (4, 6)]
    y = [np.exp(-0.5 * np.arange(len(each)))[:, None] for each in X]
    model = HybridRegressor(leak, nn=None, structure=ODE(dt=1.0, inputs="hold")).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predicted = model.predict(X, initial_states=[[1.0], [1.0]])
    for each, other in zip(predicted, y, strict=True):
        np.testing.assert_allclose(each, other, atol=1e-3)


@pytest.mark.parametrize("numbers", [1, 60])
def test_chunks_do_not_change_the_predictions(free, monkeypatch, numbers):
    whole = free.predict(FIRST)
    monkeypatch.setattr("skhybrid.prediction.rollouts.PREDICTION_NUMBERS", numbers)
    np.testing.assert_allclose(free.predict(FIRST), whole, rtol=1e-12)


def test_divergence_is_warned_about():
    def growing(t, state, *, stiffness=2.0):
        return 0.5 * stiffness * state**2

    X = np.array([[0.1], [0.2], [0.3]])
    model = fit(X, X / (1.0 - X * DT * np.arange(1, 6)), growing)
    with pytest.warns(DivergenceWarning, match="1 of 2 trajectories diverge; that of trajectory 1"):
        prediction = model.predict([[0.1], [50.0]])
    assert np.isfinite(prediction[0]).all()
    assert not np.isfinite(prediction[1]).all()
