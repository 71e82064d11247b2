"""Fields whose parameters depend on a channel: all that a fitted model offers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import skhybrid
from skhybrid import ODE, HybridRegressor, Param, Physics

DT, SIZE = 0.1, 6


def reaction(t, state, *, decay=0.5, exchange=0.3):
    """Two substances on a grid: the first decays, and they exchange."""
    u, v = state[:, 0], state[:, 1]
    between = exchange * (v - u)
    return torch.stack([between - decay * u, -between], dim=1)


def make_fields(n=3, n_times=4):
    """Return initial fields and trajectories; the decay depends on the second substance."""
    rng = np.random.default_rng(0)
    state = rng.uniform(0.2, 1.0, (n, 2, SIZE, SIZE))
    first, states = state, []
    for _ in range(n_times):
        for _ in range(10):
            u, v = state[:, 0], state[:, 1]
            between = 0.3 * (v - u)
            rate = np.stack([between - (0.3 + 0.8 * v**2) * u, -between], axis=1)
            state = state + DT / 10 * rate
        states.append(state)
    return first, np.stack(states, axis=1)


FIRST, STATES = make_fields()


@pytest.fixture(scope="module", params=["auto", "add"])
def model(request):
    physics = Physics(
        reaction,
        decay=Param(0.5, bounds=(0.0, None), depends_on=[1]),
        exchange=Param(0.2, bounds=(0.0, None)),
    )
    structure = ODE(dt=DT, substeps=1, join=request.param)
    options = {"max_epochs": 3, "refine_rho": None, "random_state": 0}
    return HybridRegressor(physics, nn=(4,), structure=structure, **options).fit(FIRST, STATES)


def rates_with(states, params):
    """Return the rates of the physics with these values."""
    params = {name: torch.tensor(value) for name, value in params.items()}
    return reaction(0.0, torch.tensor(states), **params).numpy()


def test_values_along_the_rollout_give_the_rates(model):
    times = DT * np.arange(1, 4)
    states = model.predict(FIRST, times=times)
    params = model.predict_params(FIRST, times=times)
    assert params["decay"].shape == (3, 3, SIZE, SIZE) and params["exchange"].shape == (3, 3)
    assert params["decay"].std() > 1e-3  # it varies
    for k in range(len(times)):
        physics, network = model.predict_rates(states[:, k])
        values = {"decay": params["decay"][:, k], "exchange": params["exchange"][:, k, None, None]}
        total = rates_with(states[:, k], values)
        if model.structure.join == "auto":  # no correction besides
            np.testing.assert_allclose(physics + network, total, atol=1e-5)
        else:
            assert np.abs(physics + network - total).max() > 1e-4


def test_a_parameter_is_one_function_of_its_channel(model):
    other = FIRST.copy()
    other[:, 0] += 0.3  # the decay does not read the first channel
    at_once = [1e-9]
    found, moved, turned = (
        model.predict_params(each, times=at_once)["decay"]
        for each in (FIRST, other, FIRST[..., ::-1].copy())
    )
    np.testing.assert_allclose(moved, found, rtol=1e-5)
    np.testing.assert_allclose(turned, found[..., ::-1], rtol=1e-5)


def test_a_loaded_model_is_the_same(model, tmp_path):
    path = tmp_path / "fields.safetensors"
    skhybrid.save(model, path)
    loaded = skhybrid.load(path, physics=reaction)
    np.testing.assert_array_equal(loaded.predict(FIRST), model.predict(FIRST))
    for name, values in model.predict_params(FIRST).items():
        np.testing.assert_array_equal(loaded.predict_params(FIRST)[name], values)
    for own, again in zip(model.predict_rates(FIRST), loaded.predict_rates(FIRST), strict=True):
        np.testing.assert_array_equal(own, again)


def test_other_values_of_the_number_leave_the_function(model):
    other = model.with_params(exchange=0.7)
    assert other.physics_params_["exchange"] == pytest.approx(0.7)
    at_once = {"times": [1e-9]}
    np.testing.assert_allclose(
        other.predict_params(FIRST, **at_once)["decay"],
        model.predict_params(FIRST, **at_once)["decay"],
        rtol=1e-6,
    )
    change = np.subtract(*(sum(each.predict_rates(FIRST)) for each in (other, model)))
    moved = (0.7 - model.physics_params_["exchange"]) * (FIRST[:, 1] - FIRST[:, 0])
    np.testing.assert_allclose(change, np.stack([moved, -moved], axis=1), atol=1e-5)
    with pytest.raises(ValueError, match="decay"):
        model.with_params(decay=0.4)
