"""Initial states that are estimated from first outputs."""

from __future__ import annotations

import numpy as np
import pytest
from small_oscillator import DRIVEN, FIRST, INPUTS, follow

from skhybrid import ODE, HybridRegressor
from skhybrid.model.dynamics import Dynamics
from skhybrid.prediction import initial_states

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


def warming(t, state, inputs, *, loss=0.5):
    return loss * (inputs - state)


@pytest.fixture(scope="module")
def walled():
    """Return a model with a free state, and records of its kind."""
    rng = np.random.default_rng(0)
    outside = rng.normal(size=(8, 1, 1)) + rng.normal(size=(8, 13, 1)).cumsum(axis=1)
    inside, wall = rng.normal(size=(2, 8, 1))
    y = [inside]
    for now in np.moveaxis(outside, 1, 0)[:-1]:
        change = 0.3 * (0.5 * (now - inside) + wall - inside)
        wall = wall + 0.1 * (inside - wall)
        inside = inside + change
        y.append(inside)
    y = np.stack(y, axis=1)
    model = HybridRegressor(
        warming,
        nn=(8,),
        structure=ODE(dt=0.3, inputs="hold", n_free_states=1, substeps=1),
        max_epochs=20,
        random_state=0,
    )
    return model.fit(outside[:5], y[:5]), outside[5:], y[5:]


def test_free_states_take_few_evaluations(walled, monkeypatch):
    model, X, y = walled
    calls = []
    errors = initial_states._InitialStateFit.errors
    monkeypatch.setattr(
        initial_states._InitialStateFit,
        "errors",
        lambda self, *args: calls.append(1) or errors(self, *args),
    )
    model.score(X, y)
    assert 0 < len(calls) < 60


def test_records_are_estimated_one_by_one(walled):
    model, X, y = walled
    together = model.predict(X, first_outputs=y[:, :8])
    for each, record, outputs in zip(together, X, y, strict=True):
        alone = model.predict(record[None], first_outputs=outputs[None, :8])
        np.testing.assert_allclose(each, alone[0], atol=1e-4)
    given = np.sqrt(np.mean((together - y)[:, :8] ** 2))
    assert given < 0.6 * np.sqrt(np.mean((model.predict(X) - y)[:, :8] ** 2))


def test_solvers_without_derivatives(partial, monkeypatch):
    given = {"first_outputs": DRIVEN[:, :16, 0]}
    expected = partial.predict(INPUTS, **given)
    monkeypatch.setattr(Dynamics, "differentiable", False)
    np.testing.assert_allclose(partial.predict(INPUTS, **given), expected, atol=1e-6)
