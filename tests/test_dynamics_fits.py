"""Differential equations from ``fit`` to ``predict``: small, fast, against what is known."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.linalg
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, GroupKFold
from small_models import Recorder, StopAfter

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.data.rows import Rows
from skhybrid.datasets import make_pendulum, pendulum
from skhybrid.exceptions import DivergenceWarning, PhysicsError, SerialMembersWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning",
    "ignore:`torch.jit:DeprecationWarning",
)

SWINGS = make_pendulum(12, n_times=15, random_state=0)
X, Y, DT = SWINGS.data, SWINGS.target, SWINGS.dt
OMEGA2 = SWINGS.physics_params["omega2"]


def make_model(physics=pendulum, *, structure=None, **settings) -> HybridRegressor:
    """Return an estimator that is fast and whose sums do not depend on the order of the rows."""
    settings = {"nn": (8,), "max_epochs": 6, "random_state": 0, **settings}
    exact = {"batch_size": None, "dtype": "float64", "refine_rho": None}
    return HybridRegressor(physics, structure=structure or ODE(dt=DT), **{**exact, **settings})


def omega2(model) -> float:
    return model.physics_params_["omega2"]


# What is found


@pytest.mark.parametrize("start", [0.4, 3.0])
def test_theta_is_found_from_different_starts(start):
    physics = Physics(pendulum, omega2=Param(start, bounds=(0.0, None)))
    settings = {"nn": (16,), "max_epochs": 60, "batch_size": 32, "dtype": "float32"}
    model = make_model(physics, **settings).fit(X, Y)
    assert omega2(model) == pytest.approx(OMEGA2, rel=0.04)
    assert model.score(X, Y) > 0.99
    alone = make_model(physics, nn=None).fit(X, Y)
    assert model.score(X, Y) > alone.score(X, Y)


def rotating(t, state, *, speed=0.5, decay=(0.3, 0.3)):
    """Two equations that are coupled."""
    first, second = state.unbind(-1)
    return torch.stack(
        [-decay[0] * first + speed * second, -speed * first - decay[1] * second], dim=-1
    )


def spiral(first, times, *, speed=1.4, decay=(0.2, 0.5)) -> np.ndarray:
    """Return solutions of :func:`rotating`, by the matrix exponential."""
    matrix = np.array([[-decay[0], speed], [-speed, -decay[1]]])
    return np.stack([first @ scipy.linalg.expm(t * matrix).T for t in times], axis=1)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_physics_that_is_all_there_is_to_it_is_recovered(method):
    first = np.random.default_rng(0).normal(size=(4, 2))
    y = spiral(first, 0.2 * np.arange(1, 11))
    ode = ODE(dt=0.2, method=method, substeps=2, rtol=1e-7, atol=1e-9)
    model = make_model(rotating, nn=None, structure=ode).fit(first, y)
    assert model.physics_params_["speed"] == pytest.approx(1.4, rel=1e-4)
    np.testing.assert_allclose(model.physics_params_["decay"], [0.2, 0.5], rtol=1e-4)
    assert model.module_ is None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
def test_the_adjoint_equation_finds_what_the_solver_does(nn):
    physics = Physics(pendulum, omega2=Param(0.5, bounds=(0.0, 10.0)))
    models = [
        make_model(
            physics,
            nn=nn,
            max_epochs=2,
            structure=ODE(dt=DT, method="dopri5", adjoint=adjoint, window=2),
        ).fit(X[:4], Y[:4, :6])
        for adjoint in (False, True)
    ]
    assert omega2(models[1]) == pytest.approx(omega2(models[0]), rel=1e-3)
    assert abs(omega2(models[1]) - 0.5) > 0.1


def test_irregular_times_and_different_lengths():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(5, 2))
    times = np.cumsum(rng.uniform(0.05, 0.4, (5, 12)), axis=1)
    lengths = [12, 5, 9, 12, 3]
    y = [spiral(first[i : i + 1], times[i, :n])[0] for i, n in enumerate(lengths)]
    ode = ODE(times=[times[i, :n] for i, n in enumerate(lengths)], substeps=2, window=4)
    model = make_model(rotating, nn=None, structure=ode).fit(first, y)
    assert model.physics_params_["speed"] == pytest.approx(1.4, rel=1e-3)
    np.testing.assert_allclose(model.physics_params_["decay"], [0.2, 0.5], rtol=1e-3)


def test_times_in_a_column_of_the_inputs():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.05, 0.4, (5, 12)), axis=1)
    first = rng.normal(size=(5, 2))
    y = np.stack([spiral(first[i : i + 1], times[i] - times[i, 0])[0] for i in range(5)])
    frames = [pd.DataFrame({"time": each}) for each in times]
    ode = ODE(times="time", inputs="hold", substeps=2, window=4, n_initial=4)
    model = make_model(rotating, nn=None, structure=ode).fit(frames, y)
    assert model.physics_params_["speed"] == pytest.approx(1.4, rel=1e-3)
    prediction = model.predict(frames[:2], initial_states=first[:2])
    np.testing.assert_allclose(prediction, y[:2], atol=1e-3)
    search = GridSearchCV(model, {"structure__window": [1, 4]}, cv=2, error_score="raise")
    assert search.fit(frames, y).best_score_ > 0.99


def oscillator(t, state, inputs, *, stiffness=1.0, damping=0.5):
    where, speed = state.unbind(-1)
    return torch.stack([speed, inputs[:, 0] - stiffness * where - damping * speed], dim=-1)


def position(state):
    return state[:, :1]


@pytest.mark.parametrize("kind", ["hold", "linear"])
def test_an_oscillator_of_which_the_position_alone_is_seen(kind):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 60, 1))
    times = 0.1 * np.arange(60)
    y = []
    for drive in inputs[..., 0]:
        state, states = rng.normal(size=2), []
        for k in range(60):
            states.append(state)

            def rates(t, s, k=k, drive=drive):
                u = drive[k] if kind == "hold" else np.interp(t, times, drive)
                return [s[1], u - 3.0 * s[0] - 0.2 * s[1]]

            span = (times[k], times[k] + 0.1)
            state = scipy.integrate.solve_ivp(rates, span, state, rtol=1e-9, atol=1e-9).y[:, -1]
        y.append([state[0] for state in states])
    ode = ODE(dt=0.1, inputs=kind, observe=position, n_states=2)
    model = make_model(oscillator, nn=None, structure=ode).fit(inputs, np.array(y))
    assert model.physics_params_["stiffness"] == pytest.approx(3.0, rel=1e-3)
    assert model.physics_params_["damping"] == pytest.approx(0.2, rel=1e-2)
    assert model.score(inputs, np.array(y)) > 0.999


@pytest.mark.parametrize("structure", [{}, {"initial_state": "learned"}, {"join": "multiply"}])
def test_a_hybrid_trains(structure):
    physics = None if structure == {} else pendulum
    ode = ODE(dt=DT, **structure)
    model = make_model(physics, structure=ode, max_epochs=30, learning_rate=0.02).fit(X, Y)
    assert np.isfinite(model.loss_curve_).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.predict(X).shape == Y.shape
    physics_part, network_part = model.predict_parts(X)
    np.testing.assert_allclose(physics_part + network_part, model.predict(X))


def test_hybrids_that_correct_the_output_or_see_a_part():
    def angle_of(state):
        return state[:, :1]

    ode = ODE(dt=DT, correct="output", observe=angle_of)
    model = make_model(structure=ode).fit(X, Y[..., 0])
    assert model.predict(X).shape == Y.shape[:2]
    assert model.module_[0].in_features == 2
    frame = pd.DataFrame(X, columns=SWINGS.feature_names)
    model = make_model(nn_features=["velocity", "time"]).fit(frame, Y)
    assert model.module_[0].in_features == 2
    assert list(model.feature_names_in_) == ["angle", "velocity"]


def test_windows_of_several_lengths_in_turn():
    model = make_model(structure=ODE(dt=DT, window=[2, 5]), max_epochs=10).fit(X, Y)
    assert len(model.loss_curve_) == 10
    assert np.isfinite(model.loss_curve_).all()


def test_fields():
    def diffusion(t, state, *, rate=0.5):
        return rate * (state.roll(1, -1) + state.roll(-1, -1) - 2.0 * state)

    first = np.random.default_rng(0).normal(size=(6, 2, 5))
    laplacian = np.roll(np.eye(5), 1, 0) + np.roll(np.eye(5), -1, 0) - 2.0 * np.eye(5)
    y = np.stack([first @ scipy.linalg.expm(0.8 * 0.1 * k * laplacian) for k in range(1, 7)], 1)
    ode = ODE(dt=0.1)
    assert make_model(diffusion, nn=None, structure=ode).fit(first, y).physics_params_[
        "rate"
    ] == pytest.approx(0.8, rel=1e-3)
    for nn in ((4,), torch.nn.Conv1d(2, 2, 3, padding=1)):
        model = make_model(diffusion, nn=nn, structure=ode).fit(first, y)
        assert model.predict(first).shape == y.shape
        assert model.score(first, y) > 0.9


# Rows, weights, restarts


def test_a_weight_of_zero_leaves_a_trajectory_out():
    weight = np.ones(len(X))
    weight[[1, 4]] = 0.0
    spoilt = Y.copy()
    spoilt[[1, 4]] = 1e3
    weighted = make_model().fit(X, spoilt, weight)
    without = make_model().fit(X[weight > 0], Y[weight > 0])
    assert weighted.physics_params_ == pytest.approx(without.physics_params_)
    np.testing.assert_allclose(weighted.predict(X), without.predict(X), rtol=1e-8, atol=1e-10)


def test_missing_values_do_not_matter():
    holes = Y.copy()
    holes[np.random.default_rng(0).uniform(size=Y.shape) < 0.2] = np.nan
    model = make_model(nn=None, missing_targets="mask", structure=ODE(dt=DT, window=None))
    full = make_model(nn=None, structure=ODE(dt=DT, window=None)).fit(X, Y)
    assert omega2(model.fit(X, holes)) == pytest.approx(omega2(full), rel=0.05)
    hybrid = make_model(missing_targets="mask").fit(X, holes)
    assert np.isfinite(hybrid.predict(X)).all()


@pytest.mark.parametrize("initial_state", ["given", "learned"])
def test_restarts_side_by_side_equal_those_one_by_one(initial_state, monkeypatch):
    def branching(t, state, *, omega2=1.0):
        if float(omega2.detach() if hasattr(omega2, "detach") else omega2) > 1e9:
            raise RuntimeError("never")
        return pendulum(t, state, omega2=omega2)

    ode = ODE(dt=DT, initial_state=initial_state)
    together = make_model(n_restarts=3, structure=ode).fit(X, Y)
    with pytest.warns(SerialMembersWarning):
        serial = make_model(branching, n_restarts=3, structure=ode).fit(X, Y)
    for one, other in zip(together.restarts_, serial.restarts_, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-7)
        assert one["physics_params"] == pytest.approx(other["physics_params"], rel=1e-7)
    alone = make_model(structure=ode).fit(X, Y)
    assert together.restarts_[0]["loss"] == pytest.approx(alone.restarts_[0]["loss"], rel=1e-7)


def test_refinement_and_early_stopping_hold_out_trajectories():
    model = make_model(refine_rho=0.0).fit(X, Y)
    assert model.n_iter_ == 12
    model = make_model(early_stopping=True, validation_fraction=0.25).fit(X, Y)
    assert model.restarts_[0]["validation_loss"] is not None


# As an estimator


def test_a_search_with_groups_and_without():
    grid = {"rho": [0.0, 0.05]}
    groups = np.arange(len(X)) // 3
    model = make_model(max_epochs=3)
    search = GridSearchCV(model, grid, cv=GroupKFold(2), error_score="raise")
    search.fit(X, Y, groups=groups)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, Y)
    assert search.best_estimator_.predict(X).shape == Y.shape


def test_names_of_states():
    frame = pd.DataFrame(X, columns=["angle", "velocity"])
    model = make_model(nn_features=["velocity"]).fit(frame, Y)
    by_number = make_model(nn_features=[1]).fit(X, Y)
    np.testing.assert_allclose(model.predict(frame), by_number.predict(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"angle": "tilt"}))


def test_a_fit_goes_on_from_the_last():
    ode = ODE(dt=DT)
    model = make_model(structure=ode, warm_start=True, max_epochs=20).fit(X, Y)
    loss = model.loss_
    model.fit(X, Y)
    assert model.loss_curve_[0] == pytest.approx(loss, rel=0.5)
    assert model.loss_ < loss


def test_pickled_models_predict_the_same():
    for structure in (ODE(dt=DT), ODE(dt=DT, method="dopri5"), ODE(dt=DT, initial_state="learned")):
        model = make_model(structure=structure, max_epochs=2).fit(X, Y)
        copied = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(copied.predict(X), model.predict(X))


def test_the_same_seed_gives_the_same_fit():
    first, second = (make_model(batch_size=16).fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


def test_callbacks_and_what_is_printed(capsys):
    recorder = Recorder()
    model = make_model(max_epochs=3, verbose=1).set_callbacks(recorder).fit(X, Y)
    assert recorder.n_set_up == recorder.n_torn_down == 1
    assert len(recorder.ended) >= 3
    assert recorder.models[0].predict(X).shape == Y.shape
    assert capsys.readouterr().out
    assert len(model.loss_curve_) == 3


def test_parameters_of_the_structure_that_change_later_do_not_change_the_fit():
    model = make_model(max_epochs=2).fit(X, Y)
    before = model.predict(X)
    model.set_params(structure__method="euler")
    np.testing.assert_array_equal(model.predict(X), before)


# What goes wrong is named, and nothing is left half-fitted


def left_behind(model) -> list[str]:
    return [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]


@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.PhysicsInitWarning")
def test_an_infinite_gradient_is_named(nn):
    def draining(t, level, *, outflow=0.5):
        return -outflow * torch.sqrt(level) * torch.tensor([1.0, 1.0], dtype=level.dtype)

    first = np.array([[1.0, 0.0], [2.0, 1.0]])
    y = np.repeat(first[:, None], 5, axis=1)
    model = make_model(draining, nn=nn)
    with pytest.raises(PhysicsError, match=r"with respect to the state is not finite in step 0"):
        model.fit(first, y)

    def power(t, level, *, exponent=0.0):
        return -((level**2) ** torch.clamp(exponent, min=0.0)) * torch.sqrt(exponent)

    model = make_model(power, nn=nn)
    message = r"parameter 'exponent' is not finite in step 0 of the windows.*exponent=0"
    with pytest.raises(PhysicsError, match=message):
        model.fit(first + 1.0, y + 1.0)
    assert left_behind(model) == []


@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.PhysicsInitWarning")
def test_a_method_whose_steps_are_too_long_is_named(nn):
    def stiff(t, state, *, rate=300.0):
        return -rate * state**3

    first = np.linspace(0.5, 2.0, 5)[:, None]
    y = np.repeat(0.5 * first[:, None], 10, axis=1)
    model = make_model(stiff, nn=nn, structure=ODE(dt=1.0, window=None))
    message = r"(?s)rollout of physics 'stiff' .*not finite .*method='rk4'.*method='dopri5'"
    with pytest.raises(PhysicsError, match=message):
        model.fit(first, y)
    assert left_behind(model) == []


def test_orthogonality_needs_steps_that_can_be_differentiated():
    model = make_model(orthogonality=0.1, structure=ODE(dt=DT, method="dopri5"))
    with pytest.raises(ValueError, match="orthogonality takes derivatives that method='dopri5'"):
        model.fit(X, Y)
    assert left_behind(model) == []
    model = make_model(orthogonality=0.1, functional_norm=0.1, n_restarts=2).fit(X, Y)
    assert np.isfinite(model.loss_)


def test_an_error_leaves_the_last_fit_as_it_was():
    model = make_model(max_epochs=2).fit(X, Y)
    before, attributes = model.predict(X), set(left_behind(model))
    with pytest.raises(ValueError, match="but y has"):
        model.fit(X, Y[:3])
    assert set(left_behind(model)) == attributes
    np.testing.assert_array_equal(model.predict(X), before)


def test_good_data_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        make_model(max_epochs=40, learning_rate=0.02).fit(X, Y)


# What was added to it


def stiff(t, state, *, rate=20.0):
    """Follow a cosine the faster, the larger the rate."""
    return -rate * (state - torch.cos(t)[:, None])


@pytest.mark.parametrize("method", ["bdf", "radau"])
def test_stiff_equations(method):
    first, times = np.array([[0.0], [1.0], [2.0]]), 0.5 * np.arange(1, 5)
    solutions = [
        scipy.integrate.solve_ivp(
            lambda t, y: -50.0 * (y - np.cos(t)), (0, 2), x, t_eval=times, rtol=1e-9, atol=1e-9
        ).y.T
        for x in first
    ]
    y = np.stack(solutions)
    alone = make_model(stiff, nn=None, structure=ODE(dt=0.5, method=method)).fit(first, y)
    assert alone.physics_params_["rate"] == pytest.approx(50.0, rel=1e-3)
    hybrid = make_model(stiff, nn=(4,), max_epochs=2, structure=ODE(dt=0.5, method=method))
    hybrid.fit(first, y)
    assert hybrid.physics_params_["rate"] != alone.physics_params_["rate"]
    assert hybrid.score(first, y) > 0.99


def test_learned_initial_states_are_in_the_order_of_the_trajectories():
    weight = np.ones(len(X))
    weight[[2, 5]] = 0.0
    structure = ODE(dt=DT, window=5, initial_state="learned")
    model = make_model(structure=structure, max_epochs=2).fit(X, Y, sample_weight=weight)
    assert model.initial_states_.shape == X.shape
    assert np.isnan(model.initial_states_[[2, 5]]).all()
    kept = np.flatnonzero(weight)
    np.testing.assert_allclose(model.initial_states_[kept], X[kept], atol=0.2)
    early = make_model(structure=structure, max_epochs=2, early_stopping=True).fit(X, Y)
    held_out = np.isnan(early.initial_states_).any(axis=1)
    assert 0 < held_out.sum() < len(X)
    np.testing.assert_allclose(early.initial_states_[~held_out], X[~held_out], atol=0.2)


def test_a_callback_that_stops_in_an_early_stage_stops_the_fit():
    model = make_model(structure=ODE(dt=DT, window=(2, 4)), max_epochs=10)
    model.set_callbacks(StopAfter(2)).fit(X, Y)
    assert model.n_iter_ == 2


def test_early_stopping_holds_the_same_trajectories_out_of_all_stages(monkeypatch):
    seen = []
    original = Rows.without

    def watched(rows, groups):
        seen.append((set(groups), set(original(rows, groups).groups)))
        return original(rows, groups)

    monkeypatch.setattr(Rows, "without", watched)
    make_model(structure=ODE(dt=DT, window=(2, 4)), early_stopping=True, max_epochs=4).fit(X, Y)
    ((held_out, kept),) = seen
    assert held_out and kept and not held_out & kept


def test_rates_of_the_parts():
    model = make_model(max_epochs=3).fit(X, Y)
    states = np.array([[0.3, -0.2], [1.0, 0.5]])
    known, learned = model.predict_rates(states)
    expected = np.stack([states[:, 1], -omega2(model) * np.sin(states[:, 0])], axis=1)
    np.testing.assert_allclose(known, expected, atol=1e-6)
    assert learned.shape == states.shape and np.abs(learned).max() > 0
    step = 1e-4
    slope = (model.predict(states, times=[step])[:, 0] - states) / step
    np.testing.assert_allclose(slope, known + learned, rtol=1e-2, atol=1e-2)
    with pytest.raises(ValueError, match="one state has shape"):
        model.predict_rates(states[:, :1])
    with pytest.raises(ValueError, match="inputs is given"):
        model.predict_rates(states, inputs=states)


def speed_and_energy(state):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, position**2 + velocity**2], dim=-1)


def test_the_network_corrects_the_outputs_that_are_named_and_no_others():
    records = np.zeros((len(X), 16, 1))
    whole = np.concatenate([X[:, None], Y], axis=1)
    outputs = speed_and_energy(torch.tensor(whole)).numpy() + np.array([0.0, 1.0])
    settings = {"inputs": "hold", "observe": speed_and_energy, "n_states": 2, "window": 5}
    structure = ODE(dt=DT, correct="output", corrected=[1], **settings)

    def still(t, state, inputs, *, omega2=1.0):
        return pendulum(t, state, omega2=omega2)

    model = make_model(still, structure=structure, max_epochs=5).fit(records, outputs)
    _, network = model.predict_parts(records, initial_states=X)
    assert np.abs(network[..., 0]).max() == 0.0
    assert np.abs(network[..., 1]).max() > 0.0
    with pytest.raises(ValueError, match="corrected has output 2"):
        make_model(still, structure=ODE(dt=DT, correct="output", corrected=[2], **settings)).fit(
            records, outputs
        )
    with pytest.raises(ValueError, match="is for correct='output'"):
        make_model(still, structure=ODE(dt=DT, corrected=[1], **settings)).fit(records, outputs)


def test_many_first_states_are_estimated_together():
    def still(t, state, inputs, *, omega2=1.0):
        return pendulum(t, state, omega2=omega2)

    records = np.zeros((len(X), 16, 1))
    whole = np.concatenate([X[:, None], Y], axis=1)[..., :1]
    structure = ODE(dt=DT, inputs="hold", observe=lambda state: state[:, :1], n_states=2, window=5)
    model = make_model(still, structure=structure, nn=None).fit(records, whole)
    together = model.predict(records, first_outputs=whole[:, :6])
    one = model.predict(records[3:4], first_outputs=whole[3:4, :6])
    np.testing.assert_allclose(together[3:4], one, atol=1e-4)


def test_more_times_than_outputs_begin_at_the_first_output():
    timed = make_model(structure=ODE(times=DT * np.arange(1, 40))).fit(X, Y)
    assert omega2(timed) == pytest.approx(omega2(make_model().fit(X, Y)), rel=1e-6)


def test_first_states_are_learned_where_there_is_much_noise():
    kinds = {}
    for noise in (0.02, 0.3):
        noisy = make_pendulum(12, n_times=15, noise=noise, random_state=0)
        model = make_model(max_epochs=1).fit(noisy.data, noisy.target)
        kinds[noise] = hasattr(model, "initial_states_")
    assert kinds == {0.02: False, 0.3: True}
    given = make_model(structure=ODE(dt=DT, initial_state="given"), max_epochs=1)
    assert not hasattr(given.fit(noisy.data, noisy.target), "initial_states_")


def growing(t, state, *, rate=1.0):
    return rate * state**2


def test_rollouts_that_diverge_are_reported():
    first = np.array([[0.1], [0.2], [0.15]])
    times = 0.5 * np.arange(1, 5)
    y = (1 / (1 / first - times)).reshape(3, 4, 1)
    model = make_model(growing, nn=None, structure=ODE(dt=0.5)).fit(first, y)
    with pytest.warns(
        DivergenceWarning, match=r"1 of 2 trajectories diverge; that of trajectory 1"
    ):
        prediction = model.predict(np.array([[0.1], [50.0]]))
    assert np.isfinite(prediction[0]).all() and not np.isfinite(prediction[1]).all()


def test_a_class_in_place_of_an_instance():
    with pytest.raises(ValueError, match="structure is the class ODE; pass an instance"):
        HybridRegressor(pendulum, structure=ODE).fit(X, Y)
