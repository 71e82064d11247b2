"""Steps of a fixed-step solver: chosen, checked and kept."""

import warnings

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import make_duffing, make_pendulum
from skhybrid.exceptions import PhysicsError, SolverWarning
from skhybrid.fitting import solver_steps
from skhybrid.fitting.assemble import assemble_physics
from skhybrid.fitting.inputs import read_inputs
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.start import least_squares_start
from skhybrid.model import solvers

TIMES = np.array([0.0, 0.2, 0.5, 1.2, 3.0, 7.0])
RATE, LEVEL = 1.3, 20.0


def cooling(t, state, *, rate, level):
    """Newton's law of cooling."""
    return -rate * (state - level)


def cooling_data(times=TIMES, seed=0, n=6):
    first = LEVEL + np.random.RandomState(seed).uniform(10.0, 60.0, (n, 1))
    decay = np.exp(-RATE * times[1:])[None, :, None]
    return first, LEVEL + (first[:, None] - LEVEL) * decay


def fit(X, y, *, physics=cooling, nn=None, rate=0.6, level=15.0, **ode):
    physics = Physics(physics, rate=Param(rate, (0, None)), level=Param(level))
    structure = ODE(**ode)
    return HybridRegressor(physics, nn=nn, structure=structure, max_epochs=5, random_state=0).fit(
        X, y
    )


def said(caught):
    return [str(each.message) for each in caught if each.category is SolverWarning]


@pytest.mark.parametrize("window", ["auto", None])
def test_long_intervals_do_not_change_the_parameters(window):
    X, y = cooling_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error", SolverWarning)
        model = fit(X, y, times=TIMES, window=window)
    assert model.physics_params_["rate"] == pytest.approx(RATE, rel=5e-3)
    assert model.physics_params_["level"] == pytest.approx(LEVEL, rel=5e-3)
    assert np.max(model.substeps_) > 4
    if window is None:  # the number depends on the length of the interval
        assert list(model.substeps_) == sorted(model.substeps_)


def test_a_given_number_that_is_too_small_is_reported_with_the_right_one():
    X, y = cooling_data()
    with pytest.warns(SolverWarning, match="'level' by") as caught:
        wrong = fit(X, y, times=TIMES, substeps=1)
    assert abs(wrong.physics_params_["rate"] / RATE - 1.0) > 0.05
    (message,) = said(caught)
    number = int(message.split("Set substeps=")[1].split()[0])
    right = fit(X, y, times=TIMES, substeps=number)
    assert right.physics_params_["rate"] == pytest.approx(RATE, rel=5e-3)
    assert wrong.substeps_ == 1 and right.substeps_ == number


@pytest.mark.parametrize("make", [make_pendulum, make_duffing])
def test_one_step_where_it_is_accurate(make):
    data = make(random_state=0)
    models = [
        HybridRegressor(data.physics, nn=None, structure=ODE(dt=data.dt, **given)).fit(
            data.data, data.target
        )
        for given in ({}, {"substeps": 1})
    ]
    assert models[0].substeps_ == 1
    assert models[0].physics_params_ == models[1].physics_params_


@pytest.mark.parametrize("dt", [1.0, 3.0])
def test_evenly_spaced_times_have_a_power_of_two(dt):
    times = dt * np.arange(5)
    model = fit(*cooling_data(times), dt=dt)
    assert model.substeps_ > 1 and np.log2(model.substeps_).is_integer()
    assert model.physics_params_["rate"] == pytest.approx(RATE, rel=5e-3)


def test_the_choice_does_not_depend_on_units():
    unit_of_time, unit_of_y = 1e-3, 1e4
    X, y = cooling_data()
    expected = fit(X, y, times=TIMES, window=None)
    model = fit(
        X * unit_of_y,
        y * unit_of_y,
        times=TIMES * unit_of_time,
        window=None,
        rate=0.6 / unit_of_time,
        level=15.0 * unit_of_y,
    )
    np.testing.assert_array_equal(model.substeps_, expected.substeps_)


def test_fits_again_if_the_fitted_parameters_need_shorter_steps():
    X, y = cooling_data(2.0 * np.arange(6))
    slow = fit(X, y, dt=2.0, rate=0.01)
    assert slow.substeps_ == fit(X, y, dt=2.0, rate=RATE).substeps_ > 1
    assert slow.physics_params_["rate"] == pytest.approx(RATE, rel=5e-3)


def test_predictions_at_other_times_take_steps_of_the_same_length():
    X, y = cooling_data(2.0 * np.arange(6))
    model = fit(X, y, dt=2.0)
    for times in ([0.1, 0.3], [9.0, 31.0], [2.0, 4.0]):
        times = np.array(times)
        decay = np.exp(-RATE * times)[None, :, None]
        expected = LEVEL + (X[:, None] - LEVEL) * decay
        np.testing.assert_allclose(model.predict(X, times=times), expected, rtol=2e-3)


def test_hybrid_fits_use_the_steps_of_their_start():
    X, y = cooling_data()
    with warnings.catch_warnings():
        warnings.simplefilter("error", SolverWarning)
        model = fit(X, y, nn=4, times=TIMES)
    assert np.max(model.substeps_) > 4
    assert (
        model._fitted.hybrid.batching_key()
        != fit(X, y, nn=4, times=TIMES, substeps=2)._fitted.hybrid.batching_key()
    )
    with pytest.warns(SolverWarning, match="substeps=1"):
        fit(X, y, nn=4, times=TIMES, substeps=1)


def test_too_many_steps_name_a_stiff_method():
    X, y = cooling_data(2.0 * np.arange(6))
    with pytest.warns(SolverWarning, match="method='rk4' needs fewer.*'bdf' or 'radau'"):
        model = fit(X, y, dt=2.0, method="euler")
    # Euler's method stops at a change of a hundredth.
    assert 1 < model.substeps_ < solver_steps.MAX_SUBSTEPS


@pytest.mark.parametrize("method", ["dopri5", "radau"])
def test_other_methods_have_no_steps(method):
    X, y = cooling_data()
    model = fit(X, y, times=TIMES, method=method)
    assert not hasattr(model, "substeps_")
    assert model.physics_params_["rate"] == pytest.approx(RATE, rel=1e-3)


def test_an_adaptive_method_that_fails_names_itself_and_what_to_try(monkeypatch):
    monkeypatch.setattr(solvers, "MAX_ADAPTIVE_STEPS", 50)

    def stiff(t, state, *, rate, level):
        return -1e9 * rate * (state - level * torch.cos(1e3 * t)[:, None])

    X, y = cooling_data()
    with pytest.raises(PhysicsError, match=r"(?s)method='dopri5' cannot solve.*steps.*'bdf'"):
        fit(X, y, physics=stiff, times=TIMES, method="dopri5")


def autocatalysis(t, state, *, slow, fast, back):
    """A stiff network of reactions: its second state is about a ten-thousandth."""
    food, catalyst, product = state.unbind(-1)
    made, joined = slow * food, fast * catalyst**2
    returned = back * catalyst * product
    return torch.stack([returned - made, made - returned - joined, joined], dim=-1)


def test_a_stiff_method_finds_rates_of_different_sizes():
    truth = {"slow": 0.2, "fast": 5e6, "back": 3e3}
    times = np.r_[0.0, np.logspace(-2, 2, 9)]
    X = np.array([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5]])

    def rates(t, s):
        state = torch.tensor(s)[None]
        return autocatalysis(t, state, **truth)[0].numpy()

    y = np.stack(
        [solve_ivp(rates, (0, 100.0), x, "Radau", times[1:], rtol=1e-8, atol=1e-12).y.T for x in X]
    )
    starts = {
        name: Param(factor * truth[name], (0, None))
        for name, factor in {"slow": 0.7, "fast": 1.5, "back": 0.6}.items()
    }
    model = HybridRegressor(
        Physics(autocatalysis, **starts),
        nn=None,
        dtype="float64",
        structure=ODE(times=times, method="radau"),
    ).fit(X, y)
    for name, value in truth.items():
        assert model.physics_params_[name] == pytest.approx(value, rel=0.02)


def test_a_start_chooses_its_steps_once_before_and_once_after_least_squares(monkeypatch):
    calls, chosen = [], solver_steps._halved_until_short
    count = lambda *given: calls.append(1) or chosen(*given)  # noqa: E731
    monkeypatch.setattr(solver_steps, "_halved_until_short", count)
    first = np.linspace(0.5, 1.5, 4)[:, None]
    times = 0.1 * np.arange(1, 7)
    y = first[:, None] * np.exp(-0.7 * times)[None, :, None]
    model = HybridRegressor(
        lambda t, state, *, rate=1.0: -rate * state, nn=(2,), structure=ODE(dt=0.1)
    )
    settings = FitSettings.of(model)
    inputs = read_inputs(settings, model, first, y, None)
    physical = assemble_physics(settings, inputs, inputs.rows)
    start = least_squares_start(settings, physical, inputs.rows)
    assert start.failure is None
    assert len(calls) == 2
