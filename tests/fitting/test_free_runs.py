"""Free runs of the hybrid, compared with those of the physics alone."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from small_trajectories import DT, SmallTrajectories, make_oscillations, position, spring

from skhybrid import ODE, HybridRegressor, HybridSearchCV
from skhybrid.exceptions import FreeRunWarning
from skhybrid.fitting import free_runs as module
from skhybrid.model.networks import scale_output

X, Y = make_oscillations()
STILL = np.zeros((*Y.shape[:2], 1))


def fit(x=X, y=Y, *, max_epochs=1, physics=spring, dt=DT, settings=None, **structure):
    """Fit and return the model and the messages about free runs."""
    settings = {"nn": (5,), "dtype": "float64", "random_state": 0} | (settings or {})
    model = HybridRegressor(
        physics, structure=ODE(dt=dt, **structure), max_epochs=max_epochs, **settings
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y)
    return model, [str(w.message) for w in caught if w.category is FreeRunWarning]


def squared_error(model, prediction, y) -> float:
    """Return the mean squared error in units of the variance that the fit sees."""
    scale = model._fitted.hybrid.scales.target_scale.numpy()
    return float(np.mean(((prediction - y) / scale) ** 2))


@pytest.mark.parametrize("extrapolation", ["hold", "free"])
def test_both_figures_are_those_of_predict(extrapolation):
    model, said = fit(settings={"nn_extrapolation": extrapolation})
    found = model.free_run_losses_
    assert found["hybrid"] == pytest.approx(squared_error(model, model.predict(X), Y))
    start = HybridRegressor(spring, nn=None, structure=ODE(dt=DT, window=2), dtype="float64")
    start.fit(X, Y)
    assert found["physics"] == pytest.approx(
        squared_error(model, start.predict(X), Y), rel=0.05, abs=1e-5
    )
    # One epoch leaves a random network.
    assert found["hybrid"] > 10.0 * found["physics"]
    (message,) = said
    assert "its windows have 2 of 12 steps" in message and "ODE(window=8)" in message
    assert f"{found['hybrid']:.3g}" in message and f"{found['physics']:.3g}" in message


def test_records_start_at_their_learned_states():
    hidden = {"inputs": "hold", "observe": position, "n_states": 2}
    model, _ = fit(STILL, Y[..., :1], **hidden)
    predicted = model.predict(STILL, initial_states=model.initial_states_)
    loss = squared_error(model, predicted, Y[..., :1])
    assert model.free_run_losses_["hybrid"] == pytest.approx(loss)
    assert model.free_run_losses_["physics"] < 0.1


def test_longer_windows_help_as_the_warning_says():
    def drifting(t, state, *, stiffness=1.0):
        return spring(t, state, stiffness=stiffness, damping=(0.0, 0.0))

    # Noise on the first states of short windows looks like a force.
    rng = np.random.default_rng(5)
    x, y = make_oscillations(8, 40, seed=1)
    y = y + 0.2 * rng.normal(size=y.shape)
    settings = {"nn": (16,), "optimizer": "adam"}
    given = {"physics": drifting, "max_epochs": 20, "initial_state": "given"}
    short, said = fit(x, y, **given, settings=settings, window=2)
    assert len(said) == 1 and "ODE(window=8)" in said[0]
    longer, _ = fit(x, y, **given, settings=settings, window=8)
    assert longer.free_run_losses_["hybrid"] < 0.7 * short.free_run_losses_["hybrid"]


def test_windows_that_are_whole_get_other_advice():
    _, (message,) = fit(window=None)
    assert "Training saw whole trajectories" in message
    assert "window=5" in message and "max_epochs" in message


def test_good_hybrids_and_models_without_a_comparison_say_nothing():
    def slack(t, state, *, damping=0.1):
        position, velocity = state.unbind(-1)
        return torch.stack([velocity, -0.5 * position - damping * velocity], -1)

    model, said = fit(physics=slack, max_epochs=60, settings={"nn": (16,)})
    assert not said
    assert model.free_run_losses_["hybrid"] < model.free_run_losses_["physics"]
    for settings in ({"nn": None}, {"physics": None}):
        chosen = HybridRegressor(
            **{"physics": spring, "nn": (5,), **settings}, structure=ODE(dt=DT), max_epochs=1
        )
        assert not hasattr(chosen.fit(X, Y), "free_run_losses_")
    model.set_params(nn=None).fit(X, Y)
    assert not hasattr(model, "free_run_losses_")
    missing = Y.copy()
    missing[:, 0] = np.nan
    model, _ = fit(STILL, missing, inputs="hold", settings={"missing_targets": "mask"})
    assert not hasattr(model, "free_run_losses_")


def test_a_rollout_that_is_not_finite_counts_as_worse():
    small = SmallTrajectories()
    hybrid = small.hybrid()
    runs = module.physics_free_runs(small.settings, small.inputs, small.rows, hybrid)
    assert scale_output(hybrid.network, 1e200)
    coordinates = hybrid.initial_coordinates()
    losses = module.free_run_losses(runs, small.settings, hybrid, coordinates, None)
    assert losses["hybrid"] == np.inf > losses["physics"]
    (finding,) = module.findings_of_free_runs(losses, runs, 4, "given")
    assert "the hybrid is not finite" in finding.message
    assert "with the given initial values" in finding.message


def test_cost_is_limited(monkeypatch):
    monkeypatch.setattr(module, "MAX_STEPS", 1)
    monkeypatch.setattr(module, "MAX_WINDOWS", 2)  # of two steps each
    monkeypatch.setattr(module, "MAX_TRAJECTORIES", 3)
    model, _ = fit()
    part = squared_error(model, model.predict(X)[[0, 2, 5], :4], Y[[0, 2, 5], :4])
    assert model.free_run_losses_["hybrid"] == pytest.approx(part)


def test_a_search_counts_the_candidates():
    model = HybridRegressor(
        spring, nn=(5,), structure=ODE(dt=DT), max_epochs=1, random_state=0, refine_rho=None
    )
    search = HybridSearchCV(model, {"rho": [0.0, 0.05]}, cv=2)
    with pytest.warns(FreeRunWarning, match=r"In 4 of 4 fits of a search; the first says: Free"):
        search.fit(X, Y)
    assert search.best_estimator_.free_run_losses_["physics"] < 0.1
