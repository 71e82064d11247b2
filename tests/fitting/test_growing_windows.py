"""Least squares of the physics alone on longer and longer windows."""

from __future__ import annotations

import numpy as np
import torch

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import make_duffing
from skhybrid.fitting import growing_windows as module

DT = 0.25


def swing(t, state, *, stiffness, damping):
    """Return the rates of a damped oscillator."""
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -stiffness * position - damping * velocity], -1)


def position(state):
    return state[:, :1]


def swings(
    seed: int, n: int = 4, n_times: int = 32, noise: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Return initial states and noisy states later, with stiffness 2 and damping 0.1."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n, 2))
    rate = complex(-0.05, np.sqrt(2.0 - 0.05**2))
    x0, v0 = first[:, :1], first[:, 1:]
    amplitude = x0 - 1j * (v0 + 0.05 * x0) / rate.imag
    along = amplitude * np.exp(rate * DT * np.arange(1, n_times + 1))
    states = np.stack([along.real, (rate * along).real], -1)
    return first, states + noise * rng.normal(size=states.shape)


def fit(X, y, *, start=1.2, **structure) -> HybridRegressor:
    physics = Physics(swing, stiffness=Param(start, (0, None)), damping=Param(0.3, (0, None)))
    return HybridRegressor(physics, nn=None, structure=ODE(dt=DT, **structure)).fit(X, y)


def error(model: HybridRegressor) -> float:
    """Return the largest relative error of θ."""
    found = model.physics_params_
    return max(abs(found["stiffness"] / 2.0 - 1.0), abs(found["damping"] / 0.1 - 1.0))


def hard_spring(t, state, *, damping, linear, cubic):
    position, velocity = state.unbind(-1)
    force = -damping * velocity - linear * position - cubic * position**3
    return torch.stack([velocity, force], -1)


def test_whole_rollouts_undo_the_bias_of_noisy_first_states():
    data = make_duffing(20, noise=0.1, random_state=0)
    physics = Physics(hard_spring, damping=0.1, linear=0.5, cubic=0.5)
    errors = {}
    for window in (2, "auto"):
        ode = ODE(dt=data.dt, window=window)
        model = HybridRegressor(physics, nn=None, structure=ode).fit(data.data, data.target)
        assert model.window_ == (data.target.shape[1] if window == "auto" else 2)
        assert model.n_iter_ == len(model.loss_curve_)
        errors[window] = abs(model.physics_params_["damping"] / 0.3 - 1.0)
    assert errors["auto"] < 0.1 < 0.15 < errors[2]


def test_physics_that_lacks_something_keeps_short_windows():
    data = make_duffing(20, random_state=0)
    model = HybridRegressor(data.physics, nn=None, structure=ODE(dt=data.dt))
    model.fit(data.data, data.target)
    assert model.window_ == 2
    found = model.physics_params_
    assert max(abs(found["linear"] - 1.0), abs(found["cubic"] - 1.0)) < 0.1


def test_hidden_states():
    X, y = swings(0)
    hidden = {"observe": position, "n_states": 2}
    model = fit(X, y[..., :1], **hidden)
    assert model.window_ == 32
    assert error(model) < 0.1


def test_unknown_first_states_are_those_of_the_whole_rollout():
    _, y = swings(2)
    still = np.zeros((len(y), y.shape[1], 1))
    model = fit(still, y[..., :1], inputs="hold", observe=position, n_states=2)
    assert model.window_ == 31
    predicted = model.predict(still, initial_states=model.initial_states_)
    assert np.sqrt(np.mean((predicted - y[..., :1]) ** 2)) < 0.12


def test_trajectories_without_weight_are_left_out():
    X, y = swings(3)
    y[1] = 100.0
    settings = {"nn": None, "structure": ODE(dt=DT, observe=position, n_states=2)}
    physics = Physics(swing, stiffness=Param(1.2, (0, None)), damping=Param(0.3, (0, None)))
    model = HybridRegressor(physics, **settings)
    model.fit(X, y[..., :1], sample_weight=[1.0, 0.0, 1.0, 1.0])
    assert model.window_ == 32
    assert error(model) < 0.1


def test_long_rollouts_are_not_affordable(monkeypatch):
    X, y = swings(0, noise=0.01)
    monkeypatch.setattr(module, "MAX_STEPS", 30)
    assert fit(X, y).window_ == 2
    hidden = {"observe": position, "n_states": 2, "substeps": 2}
    assert fit(X, y[..., :1], **hidden).window_ == 5


def test_too_many_windows_are_skipped(monkeypatch):
    seen = []
    original = module._next_fit
    monkeypatch.setattr(
        module, "_next_fit", lambda *args: (seen.append(args[2]), original(*args))[1]
    )
    X, y = swings(0, noise=0.01)
    fit(X, y)
    assert seen == [8, 32]
    monkeypatch.setattr(module, "MAX_WINDOW_STEPS", 500)
    seen.clear()
    assert fit(X, y).window_ == 32
    assert seen == [32]


def test_windows_on_which_least_squares_fails_leave_the_shorter_ones(monkeypatch):
    X, y = swings(0, noise=0.01)
    original = module.fit_least_squares

    def failing(model, data, **limits):
        if data.x.steps.shape[1] > 8:
            raise ValueError("Residuals are not finite in the initial point.")
        return original(model, data, **limits)

    monkeypatch.setattr(module, "fit_least_squares", failing)
    model = fit(X, y)
    assert model.window_ == 8
    assert error(model) < 0.1


def test_other_windows_and_tables_stay():
    X, y = swings(0)
    assert fit(X, y, window=7).window_ == 7
    assert fit(X, y, window=None).window_ == 32
    table = HybridRegressor(lambda x, *, gain=1.0: gain * x, nn=None)
    assert not hasattr(table.fit(X[:, :1], X[:, 0]), "window_")
