"""Whole fits of differential equations: known parameters are found, every option trains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.linalg
import torch
from sklearn.model_selection import GridSearchCV
from small_swings import DT, OMEGA2, SWINGS, fitted_omega2, make_swing_model, undriven_pendulum

from skhybrid import ODE, Param, Physics
from skhybrid.datasets import make_pendulum, pendulum

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning",
    "ignore:`torch.jit:DeprecationWarning",
)

X, Y = SWINGS.data, SWINGS.target


# Parameters are found.


@pytest.mark.parametrize("start", [0.4, 3.0])
def test_theta_is_found_from_different_starts(start):
    physics = Physics(pendulum, omega2=Param(start, bounds=(0.0, None)))
    settings = {"nn": (16,), "max_epochs": 60, "batch_size": 32, "dtype": "float32"}
    model = make_swing_model(physics, **settings).fit(X, Y)
    assert fitted_omega2(model) == pytest.approx(OMEGA2, rel=0.04)
    assert model.score(X, Y) > 0.99
    alone = make_swing_model(physics, nn=None).fit(X, Y)
    assert model.score(X, Y) > alone.score(X, Y)


def rotating(t, state, *, speed=0.5, decay=(0.3, 0.3)):
    """Return the rates of two coupled equations."""
    first, second = state.unbind(-1)
    return torch.stack(
        [-decay[0] * first + speed * second, -speed * first - decay[1] * second], dim=-1
    )


def spiral(first, times, *, speed=1.4, decay=(0.2, 0.5)) -> np.ndarray:
    """Return solutions of :func:`rotating`, by the matrix exponential."""
    matrix = np.array([[-decay[0], speed], [-speed, -decay[1]]])
    return np.stack([first @ scipy.linalg.expm(t * matrix).T for t in times], axis=1)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_complete_physics_is_recovered(method):
    first = np.random.default_rng(0).normal(size=(4, 2))
    y = spiral(first, 0.2 * np.arange(1, 11))
    ode = ODE(dt=0.2, method=method, substeps=2, rtol=1e-7, atol=1e-9)
    model = make_swing_model(rotating, nn=None, structure=ode).fit(first, y)
    assert model.physics_params_["speed"] == pytest.approx(1.4, rel=1e-4)
    np.testing.assert_allclose(model.physics_params_["decay"], [0.2, 0.5], rtol=1e-4)
    assert model.module_ is None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
def test_the_adjoint_equation_gives_the_same_fit(nn):
    physics = Physics(pendulum, omega2=Param(0.5, bounds=(0.0, 10.0)))
    models = [
        make_swing_model(
            physics,
            nn=nn,
            max_epochs=2,
            structure=ODE(dt=DT, method="dopri5", adjoint=adjoint, window=2),
        ).fit(X[:4], Y[:4, :6])
        for adjoint in (False, True)
    ]
    assert fitted_omega2(models[1]) == pytest.approx(fitted_omega2(models[0]), rel=1e-3)
    assert abs(fitted_omega2(models[1]) - 0.5) > 0.1


def test_irregular_times_and_different_lengths():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(5, 2))
    times = np.cumsum(rng.uniform(0.05, 0.4, (5, 12)), axis=1)
    lengths = [12, 5, 9, 12, 3]
    y = [spiral(first[i : i + 1], times[i, :n])[0] for i, n in enumerate(lengths)]
    ode = ODE(times=[times[i, :n] for i, n in enumerate(lengths)], substeps=2, window=4)
    model = make_swing_model(rotating, nn=None, structure=ode).fit(first, y)
    assert model.physics_params_["speed"] == pytest.approx(1.4, rel=1e-3)
    np.testing.assert_allclose(model.physics_params_["decay"], [0.2, 0.5], rtol=1e-3)


def test_times_in_a_column_of_the_inputs():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.05, 0.4, (4, 9)), axis=1)
    first = rng.normal(size=(4, 2))
    y = np.stack([spiral(first[i : i + 1], times[i] - times[i, 0])[0] for i in range(4)])
    frames = [pd.DataFrame({"time": each}) for each in times]
    ode = ODE(times="time", inputs="hold", substeps=2, window=4, n_initial=4)
    model = make_swing_model(rotating, nn=None, structure=ode).fit(frames, y)
    assert model.physics_params_["speed"] == pytest.approx(1.4, rel=1e-3)
    prediction = model.predict(frames[:2], initial_states=first[:2])
    np.testing.assert_allclose(prediction, y[:2], atol=1e-3)
    model.set_params(physics=Physics(rotating, speed=1.2))
    grid = {"structure__window": [2]}
    search = GridSearchCV(model, grid, cv=2, refit=False, error_score="raise")
    assert search.fit(frames, y).best_score_ > 0.99


def oscillator(t, state, inputs, *, stiffness=1.0, damping=0.5):
    where, speed = state.unbind(-1)
    return torch.stack([speed, inputs[:, 0] - stiffness * where - damping * speed], dim=-1)


def position(state):
    return state[:, :1]


@pytest.mark.parametrize("interpolation", ["hold", "linear"])
def test_an_oscillator_with_only_its_position_observed(interpolation):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 40, 1))
    times = 0.1 * np.arange(40)
    y = []
    for drive in inputs[..., 0]:
        state, states = rng.normal(size=2), []
        for k in range(40):
            states.append(state)

            def rates(t, s, k=k, drive=drive):
                u = drive[k] if interpolation == "hold" else np.interp(t, times, drive)
                return [s[1], u - 3.0 * s[0] - 0.2 * s[1]]

            span = (times[k], times[k] + 0.1)
            state = scipy.integrate.solve_ivp(rates, span, state, rtol=1e-9, atol=1e-9).y[:, -1]
        y.append([state[0] for state in states])
    ode = ODE(dt=0.1, inputs=interpolation, observe=position, n_states=2)
    model = make_swing_model(oscillator, nn=None, structure=ode).fit(inputs, np.array(y))
    assert model.physics_params_["stiffness"] == pytest.approx(3.0, rel=1e-3)
    assert model.physics_params_["damping"] == pytest.approx(0.2, rel=1e-2)
    assert model.score(inputs, np.array(y)) > 0.999


def stiff(t, state, *, rate=20.0):
    """Follow a cosine the faster, the larger the rate."""
    return -rate * (state - torch.cos(t)[:, None])


def follow_cosine(n_starts: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return initial states and solutions of :func:`stiff` with a rate of 50."""
    first = np.linspace(0.0, 2.0, n_starts)[:, None]
    span, exact = (0.0, times[-1]), {"t_eval": times, "rtol": 1e-9, "atol": 1e-9}
    solutions = [
        scipy.integrate.solve_ivp(lambda t, y: -50.0 * (y - np.cos(t)), span, x, **exact).y.T
        for x in first
    ]
    return first, np.stack(solutions)


@pytest.mark.parametrize("method", ["bdf", "radau"])
def test_the_rate_of_a_stiff_equation_is_found(method):
    first, y = follow_cosine(3, 0.5 * np.arange(1, 5))
    model = make_swing_model(stiff, nn=None, structure=ODE(dt=0.5, method=method)).fit(first, y)
    assert model.physics_params_["rate"] == pytest.approx(50.0, rel=1e-3)


def test_a_hybrid_with_a_stiff_equation_trains():
    first, y = follow_cosine(2, 0.5 * np.arange(1, 3))
    structure = ODE(dt=0.5, method="bdf", rtol=1e-4, atol=1e-6)
    alone = make_swing_model(stiff, nn=None, structure=structure).fit(first, y)
    hybrid = make_swing_model(stiff, nn=(4,), max_epochs=1, structure=structure).fit(first, y)
    assert hybrid.physics_params_["rate"] != alone.physics_params_["rate"]
    assert hybrid.score(first, y) > 0.99


# Every option trains.


@pytest.mark.parametrize("structure", [{}, {"initial_state": "learned"}, {"join": "multiply"}])
def test_a_hybrid_trains(structure):
    physics = None if structure == {} else pendulum
    ode = ODE(dt=DT, **structure)
    model = make_swing_model(physics, structure=ode, max_epochs=30, learning_rate=0.02).fit(X, Y)
    assert np.isfinite(model.loss_curve_).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.predict(X).shape == Y.shape
    physics_part, network_part = model.predict_parts(X)
    np.testing.assert_allclose(physics_part + network_part, model.predict(X))


def test_hybrids_that_correct_the_output_or_see_some_components():
    def angle_of(state):
        return state[:, :1]

    ode = ODE(dt=DT, correct="output", observe=angle_of)
    model = make_swing_model(structure=ode).fit(X, Y[..., 0])
    assert model.predict(X).shape == Y.shape[:2]
    assert model.module_[0].in_features == 2
    frame = pd.DataFrame(X, columns=SWINGS.feature_names)
    model = make_swing_model(nn_features=["velocity", "time"]).fit(frame, Y)
    assert model.module_[0].in_features == 2
    assert list(model.feature_names_in_) == ["angle", "velocity"]


def test_windows_of_several_lengths_in_turn():
    model = make_swing_model(structure=ODE(dt=DT, window=[2, 5]), max_epochs=10).fit(X, Y)
    assert len(model.loss_curve_) == 10
    assert np.isfinite(model.loss_curve_).all()


def test_fields():
    def diffusion(t, state, *, rate=0.5):
        return rate * (state.roll(1, -1) + state.roll(-1, -1) - 2.0 * state)

    first = np.random.default_rng(0).normal(size=(6, 2, 5))
    laplacian = np.roll(np.eye(5), 1, 0) + np.roll(np.eye(5), -1, 0) - 2.0 * np.eye(5)
    y = np.stack([first @ scipy.linalg.expm(0.8 * 0.1 * k * laplacian) for k in range(1, 7)], 1)
    ode = ODE(dt=0.1)
    assert make_swing_model(diffusion, nn=None, structure=ode).fit(first, y).physics_params_[
        "rate"
    ] == pytest.approx(0.8, rel=1e-3)
    for nn in ((4,), torch.nn.Conv1d(2, 2, 3, padding=1)):
        model = make_swing_model(diffusion, nn=nn, structure=ode).fit(first, y)
        assert model.predict(first).shape == y.shape
        assert model.score(first, y) > 0.9


def speed_and_energy(state):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, position**2 + velocity**2], dim=-1)


def test_the_network_corrects_only_the_named_outputs():
    records = np.zeros((6, 16, 1))
    whole = np.concatenate([X[:6, None], Y[:6]], axis=1)
    outputs = speed_and_energy(torch.tensor(whole)).numpy() + np.array([0.0, 1.0])
    settings = {"inputs": "hold", "observe": speed_and_energy, "n_states": 2, "window": 5}
    structure = ODE(dt=DT, correct="output", corrected=[1], **settings)

    model = make_swing_model(undriven_pendulum, structure=structure, max_epochs=3).fit(
        records, outputs
    )
    _, network = model.predict_parts(records, initial_states=X[:6])
    assert np.abs(network[..., 0]).max() == 0.0
    assert np.abs(network[..., 1]).max() > 0.0
    with pytest.raises(ValueError, match="corrected has output 2"):
        make_swing_model(
            undriven_pendulum, structure=ODE(dt=DT, correct="output", corrected=[2], **settings)
        ).fit(records, outputs)
    with pytest.raises(ValueError, match="is for correct='output'"):
        make_swing_model(undriven_pendulum, structure=ODE(dt=DT, corrected=[1], **settings)).fit(
            records, outputs
        )


def test_rates_of_the_parts():
    model = make_swing_model(max_epochs=3).fit(X, Y)
    states = np.array([[0.3, -0.2], [1.0, 0.5]])
    known, learned = model.predict_rates(states)
    expected = np.stack([states[:, 1], -fitted_omega2(model) * np.sin(states[:, 0])], axis=1)
    np.testing.assert_allclose(known, expected, atol=1e-6)
    assert learned.shape == states.shape and np.abs(learned).max() > 0
    step = 1e-4
    slope = (model.predict(states, times=[step])[:, 0] - states) / step
    np.testing.assert_allclose(slope, known + learned, rtol=1e-2, atol=1e-2)
    with pytest.raises(ValueError, match="one state has shape"):
        model.predict_rates(states[:, :1])
    with pytest.raises(ValueError, match="inputs is given"):
        model.predict_rates(states, inputs=states)


def test_more_times_than_outputs_begin_at_the_first_output():
    timed = make_swing_model(structure=ODE(times=DT * np.arange(1, 40))).fit(X, Y)
    assert fitted_omega2(timed) == pytest.approx(
        fitted_omega2(make_swing_model().fit(X, Y)), rel=1e-6
    )


def test_first_states_are_learned_if_there_is_much_noise():
    learned = {}
    for noise in (0.02, 0.3):
        noisy = make_pendulum(12, n_times=15, noise=noise, random_state=0)
        model = make_swing_model(max_epochs=1).fit(noisy.data, noisy.target)
        learned[noise] = hasattr(model, "initial_states_")
    assert learned == {0.02: False, 0.3: True}
    given = make_swing_model(structure=ODE(dt=DT, initial_state="given"), max_epochs=1)
    assert not hasattr(given.fit(noisy.data, noisy.target), "initial_states_")


def test_without_times_each_training_trajectory_has_its_own():
    swings = make_pendulum(4, n_times=12, random_state=0)
    times = [swings.dt * (1.0 + 0.1 * i) * np.arange(1, 13) for i in range(4)]
    ode = ODE(times=times)
    model = make_swing_model(physics=swings.physics, nn=None, structure=ode)
    model.fit(swings.data, swings.target)
    found = model.predict(swings.data)
    expected = model.predict(swings.data, times=times)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=r"4 training .* X has 2 .* times=\.\.\."):
        model.predict(swings.data[:2])
