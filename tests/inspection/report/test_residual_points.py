"""Residuals of trajectories, tables and fields."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import make_model, make_table
from small_trajectories import DT, make_oscillations, position, spring

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.inspection.report import residual_points
from skhybrid.inspection.report.residual_points import check_residuals_of
from skhybrid.inspection.training_rows import training_rows


@pytest.fixture
def seen(monkeypatch):
    """Arguments of each test of residuals."""
    calls, test = [], residual_points.check_residuals

    def noted(*arguments, **options):
        calls.append(arguments)
        return test(*arguments, **options)

    monkeypatch.setattr(residual_points, "check_residuals", noted)
    return calls


def checked(model, X, y):
    return check_residuals_of(model, training_rows(model, X, y))


@pytest.mark.parametrize("window", [2, 4, None])
def test_every_observed_time_counts_once(window, seen):
    first, states = make_oscillations()
    ode = ODE(dt=DT, window=window)
    model = HybridRegressor(spring, nn=None, structure=ode).fit(first, states)
    found = checked(model, first, states)
    assert (found.n_outputs, found.n_tested) == (2, 2)
    residuals, _, features, _, series = seen[0]
    assert len(residuals) == states.shape[0] * states.shape[1]
    assert series.tolist() == np.repeat(np.arange(6), states.shape[1]).tolist()
    by_time = features.reshape(*states.shape[:2], 2)
    assert np.allclose(by_time[:, 0], first)
    # The state before, observed or of the rollout.
    assert np.abs(by_time[:, 1:] - states[:, :-1]).max() < 0.1


def test_rollouts_with_a_parameter_that_depends_on_a_state(seen):
    first, states = make_oscillations()
    physics = Physics(spring, stiffness=Param(1.0, depends_on=[0]))
    ode = ODE(dt=DT, window=None, initial_state="given")
    model = HybridRegressor(physics, nn=(4,), structure=ode, max_epochs=2, random_state=0)
    checked(model.fit(first, states), first, states)
    expected = (states - model.predict(first)).reshape(-1, 2)
    assert np.allclose(np.abs(seen[0][0]), np.abs(expected[:, 0]), atol=1e-5 * states.std())


def test_learned_windows_with_missing_values(seen):
    states = make_oscillations()[1]
    inputs = np.random.default_rng(0).uniform(size=(*states.shape[:2], 1))
    outputs = states[..., :1].copy()
    outputs[2, 5] = np.nan
    ode = ODE(dt=DT, inputs="linear", observe=position, n_states=2, window=4)
    model = HybridRegressor(spring, nn=None, structure=ode, missing_targets="mask")
    found = checked(model.fit(inputs, outputs), inputs, outputs)
    _, _, features, names, series = seen[0]
    n_times = states.shape[1] - 1  # the first time of a trajectory has a learned state
    counts = np.bincount(series)
    assert counts.tolist() == [n_times - (i == 2) for i in range(6)]
    assert features.shape[1] == len(names) == 3
    assert np.allclose(features[series == 0, 2], inputs[0, :-1, 0])
    assert found.in_series


def test_whole_rollouts_of_a_wrong_physics_are_told():
    first, states = make_oscillations(n=8, n_times=20)

    def constant(t, state, *, speed=0.1):
        return speed * torch.ones_like(state)

    ode = ODE(dt=DT, window=None)
    model = HybridRegressor(constant, nn=None, structure=ode).fit(first, states)
    found = checked(model, first, states)
    assert found.ordered
    assert found.predictable > 0.3


def test_fields_are_tested_at_some_points(seen, monkeypatch):
    monkeypatch.setattr(residual_points, "MAX_OUTPUTS", 2)
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4, 2, 6, 6))
    times = DT * np.arange(1, 9)
    fields = first[:, None] * np.exp(-times)[None, :, None, None, None]

    def decay(t, state, *, rate=0.8):
        return -rate * state

    model = HybridRegressor(decay, nn=None, structure=ODE(dt=DT)).fit(first, fields)
    found = checked(model, first, fields)
    assert (found.n_outputs, found.n_tested) == (72, 2)
    column = residual_points._chosen_outputs(72)[0]
    row, place = divmod(column % 36, 6)
    features = seen[0][2].reshape(4, 8, 2)
    assert np.allclose(features[:, 0], first[:, :, row, place])


def test_tables_have_their_columns(seen):
    X, y = make_table()
    checked(make_model(nn=None).fit(X, y), X, y)
    assert seen[0][3] == ["force", "angle"]
    assert seen[0][4] is None


def test_of_many_numbers_whole_trajectories_are_drawn(seen, monkeypatch):
    first, states = make_oscillations()
    model = HybridRegressor(spring, nn=None, structure=ODE(dt=DT)).fit(first, states)
    n_windows, per_window = model._fitted.n_rows // len(first), 2 * model.window_
    for n, n_kept in ((3 * n_windows, 3), (1, 1)):
        monkeypatch.setattr(residual_points, "MAX_NUMBERS", per_window * n)
        checked(model, first, states)
        assert len(np.unique(seen[-1][4])) == n_kept
    assert len(seen[-1][4]) == model.window_  # a part of a single trajectory


def test_errors_of_first_states_are_no_trend_of_whole_rollouts():
    rng = np.random.default_rng(0)
    first, states = make_oscillations(n=8, n_times=20)
    noisy = first + 0.05 * rng.normal(size=first.shape)

    def exact(t, state, *, stiffness=1.5):
        position, velocity = state.unbind(-1)
        return torch.stack([velocity, -stiffness * position], dim=-1)

    ode = ODE(dt=DT, window=None, initial_state="given")
    model = HybridRegressor(exact, nn=None, structure=ode).fit(noisy, states)
    found = checked(model, noisy, states)
    assert found.ordered
    assert not found.misfit


def test_targets_that_are_missing_in_turn_are_all_tested(seen):
    X, y = make_table()
    both = np.stack([y, y], axis=1)
    both[::2, 0] = both[1::2, 1] = np.nan

    def drive_both(force, *, gain=(1.0, 1.0)):
        return gain * force[:, None]

    model = make_model(physics=drive_both, nn=None, missing_targets="mask").fit(X, both)
    found = checked(model, X, both)
    assert [len(each[0]) for each in seen] == [20, 20]
    assert found.tested
