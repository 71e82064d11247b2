"""Predicting trajectories: shapes, times, and where they begin."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from sklearn.metrics import r2_score

from skhybrid import ODE, HybridRegressor, Param, Physics

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

MATRIX = np.array([[0.0, 1.0], [-2.0, -0.3]])
DT = 0.1
RNG = np.random.default_rng(0)


def oscillator(t, state, *, stiffness=2.0):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -stiffness * position - 0.3 * velocity], dim=-1)


def pushed(t, state, inputs, *, stiffness=2.0):
    push = torch.nn.functional.pad(inputs, (1, 0))
    return oscillator(t, state, stiffness=stiffness) + push


def position(state):
    return state[:, :1]


def follow(first, n_times, times=None) -> np.ndarray:
    """Return the states that follow the first ones, by the matrix exponential."""
    times = DT * np.arange(1, n_times + 1) if times is None else times
    return np.stack([first @ scipy.linalg.expm(t * MATRIX).T for t in times], axis=1)


def drive(first, inputs) -> np.ndarray:
    """Return the states under inputs that keep their values, by the matrix exponential."""
    whole = np.zeros((3, 3))
    whole[:2, :2], whole[1, 2] = MATRIX, 1.0
    step = scipy.linalg.expm(DT * whole)
    states = [first]
    for k in range(inputs.shape[1] - 1):
        extended = np.concatenate([states[-1], inputs[:, k]], axis=1)
        states.append((extended @ step.T)[:, :2])
    return np.stack(states, axis=1)


KNOWN = Param(2.0, bounds=(1.9, 2.1))
FIRST = RNG.normal(size=(5, 2))
INPUTS = RNG.normal(size=(3, 24, 1))
BEGINS = FIRST[:3]
DRIVEN = drive(BEGINS, INPUTS)


def fit(X, y, physics=oscillator, nn=None, **structure):
    structure = ODE(**{"dt": DT, **structure})
    model = HybridRegressor(
        Physics(physics, stiffness=KNOWN), nn=nn, structure=structure, max_epochs=1, dtype="float64"
    )
    return model.fit(X, y)


@pytest.fixture(scope="module")
def free():
    return fit(FIRST, follow(FIRST, 12))


@pytest.fixture(scope="module")
def partial():
    return fit(INPUTS, DRIVEN[..., 0], pushed, inputs="hold", observe=position, n_states=2)


# Initial states are given


def test_predictions_have_the_shape_of_y(free):
    new = RNG.normal(size=(3, 2))
    prediction = free.predict(new)
    assert prediction.shape == (3, 12, 2)
    np.testing.assert_allclose(prediction, follow(new, 12), atol=2e-5)
    physics, network = free.predict_parts(new)
    np.testing.assert_array_equal(physics, prediction)
    np.testing.assert_array_equal(network, 0.0)


def test_one_state_without_an_axis():
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


@pytest.mark.parametrize("times", [[0.1, 0.2], [0.05, 0.3, 2.7], [4.0], np.linspace(0.1, 3.0, 30)])
def test_prediction_at_other_times(free, times):
    prediction = free.predict(FIRST, times=times)
    assert prediction.shape == (5, len(times), 2)
    # However few times are wanted, steps are no longer than those of training.
    np.testing.assert_allclose(prediction, follow(FIRST, 0, times), atol=1e-4)


def test_prediction_at_the_time_of_the_initial_state(free):
    with pytest.raises(ValueError, match="must increase, and be after the initial states"):
        free.predict(FIRST, times=[0.0, 0.1])


def test_times_from_the_first_of_those_of_training():
    model = fit(FIRST, follow(FIRST, 12), dt=None, times=5.0 + DT * np.arange(13))
    np.testing.assert_allclose(model.predict(FIRST), follow(FIRST, 12), atol=2e-5)
    found = model.predict(FIRST, times=[5.3, 5.5])
    np.testing.assert_allclose(found, follow(FIRST, 0, [0.3, 0.5]), atol=2e-5)


def test_initial_states_that_are_noisy_are_estimated_from_the_first_outputs(free):
    truth = follow(FIRST, 12)
    off = FIRST + 0.5
    prediction = free.predict(off, first_outputs=truth[:, :8])
    np.testing.assert_allclose(prediction, truth, atol=2e-2)
    assert np.abs(free.predict(off) - truth).max() > 0.3
    times = [0.5, 0.7, 2.0]
    truth = follow(FIRST, 0, times)
    prediction = free.predict(off, times=times, first_outputs=truth[:, :2])
    np.testing.assert_allclose(prediction, truth, atol=5e-2)


# Inputs over time


def test_an_initial_state_is_estimated_from_the_first_outputs(partial):
    prediction = partial.predict(INPUTS, first_outputs=DRIVEN[:, :16, 0])
    assert prediction.shape == (3, 24)
    # The estimate is drawn towards the mean of the training trajectories, by 1% in 16 outputs.
    np.testing.assert_allclose(prediction, DRIVEN[..., 0], atol=2e-2)
    spread = np.abs(partial.predict(INPUTS) - DRIVEN[..., 0]).max()
    assert spread > 0.3


def test_missing_first_outputs_do_not_count(partial):
    outputs = DRIVEN[:, :16, 0].copy()
    outputs[:, 3:9] = np.nan
    prediction = partial.predict(INPUTS, first_outputs=outputs)
    np.testing.assert_allclose(prediction, DRIVEN[..., 0], atol=4e-2)


def test_initial_states_that_are_given(partial):
    prediction = partial.predict(INPUTS, initial_states=BEGINS)
    np.testing.assert_allclose(prediction, DRIVEN[..., 0], atol=1e-3)


def test_otherwise_trajectories_begin_at_the_mean_of_those_of_training(partial):
    assert partial.initial_states_.shape == (3, 2)
    np.testing.assert_allclose(partial.initial_states_, BEGINS, atol=1e-3)
    mean = np.tile(partial.initial_states_.mean(axis=0), (3, 1))
    expected = partial.predict(INPUTS, initial_states=mean)
    np.testing.assert_allclose(partial.predict(INPUTS), expected, atol=1e-12)


def test_a_missing_initial_state_is_left_out_of_the_mean():
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


def test_new_records_of_other_and_of_different_lengths(partial):
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


# Scores


def test_the_score_is_r2_over_all_times_of_all_trajectories(free):
    noisy = follow(FIRST, 12) + 0.3 * RNG.normal(size=(5, 12, 2))
    prediction = free.predict(FIRST)
    expected = np.mean(
        [r2_score(noisy[..., k].ravel(), prediction[..., k].ravel()) for k in range(2)]
    )
    assert free.score(FIRST, noisy) == pytest.approx(expected)
    assert expected < 0.95


def test_what_is_missing_does_not_count_in_the_score(free):
    noisy = follow(FIRST, 12) + 0.3 * RNG.normal(size=(5, 12, 2))
    noisy[RNG.uniform(size=noisy.shape) < 0.3] = np.nan
    prediction = free.predict(FIRST)
    expected = []
    for k in range(2):
        there = ~np.isnan(noisy[..., k])
        expected.append(r2_score(noisy[..., k][there], prediction[..., k][there]))
    assert free.score(FIRST, noisy) == pytest.approx(np.mean(expected))


def test_the_score_weighs_trajectories(free):
    noisy = follow(FIRST, 12) + 0.3 * RNG.normal(size=(5, 12, 2))
    weight = np.array([1.0, 2.0, 0.0, 1.0, 3.0])
    twice = np.repeat(np.arange(5), weight.astype(int))
    expected = free.score(FIRST[twice], noisy[twice])
    assert free.score(FIRST, noisy, weight) == pytest.approx(expected)


def test_the_score_of_trajectories_of_different_lengths(free):
    noisy = follow(FIRST, 12) + 0.3 * RNG.normal(size=(5, 12, 2))
    prediction = free.predict(FIRST)
    lengths = [12, 3, 5, 7, 12]
    ragged = [each[:n] for each, n in zip(noisy, lengths, strict=True)]
    expected = np.mean(
        [
            r2_score(
                np.concatenate([noisy[i, :n, k] for i, n in enumerate(lengths)]),
                np.concatenate([prediction[i, :n, k] for i, n in enumerate(lengths)]),
            )
            for k in range(2)
        ]
    )
    assert free.score(FIRST, ragged) == pytest.approx(expected)


@pytest.mark.parametrize("timed", [{}, {"dt": None, "times": DT * np.arange(21)}], ids=str)
@pytest.mark.parametrize("n_times", [5, 20])
def test_the_score_of_shorter_and_longer_trajectories(timed, n_times):
    model = fit(FIRST, follow(FIRST, 12), **timed)
    noisy = follow(FIRST, n_times) + 0.3 * RNG.normal(size=(5, n_times, 2))
    expected = r2_score(noisy.reshape(-1, 2), follow(FIRST, n_times).reshape(-1, 2))
    assert model.score(FIRST, noisy) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n_initial", [0, 6])
def test_outputs_that_give_the_initial_state_do_not_count_in_the_score(n_initial):
    model = fit(
        INPUTS,
        DRIVEN[..., 0],
        pushed,
        inputs="hold",
        observe=position,
        n_states=2,
        n_initial=n_initial,
    )
    noisy = DRIVEN[..., 0] + 0.1 * RNG.normal(size=(3, 24))
    given = {"first_outputs": noisy[:, :n_initial]} if n_initial else {}
    prediction = model.predict(INPUTS, **given)
    expected = r2_score(noisy[:, n_initial:].ravel(), prediction[:, n_initial:].ravel())
    assert model.score(INPUTS, noisy) == pytest.approx(expected)
    other = noisy.copy()
    other[:, :n_initial] = np.nan
    if n_initial:
        assert model.score(INPUTS, other) != pytest.approx(expected)


@pytest.mark.parametrize("argument", ["times", "initial_states", "first_outputs"])
def test_a_model_of_rows_has_no_use_for_them(argument):
    model = HybridRegressor(lambda x, *, a=1.0: a * x, nn=None).fit(FIRST[:, :1], FIRST[:, 0])
    with pytest.raises(ValueError, match=f"{argument} is for trajectories"):
        model.predict(FIRST[:, :1], **{argument: [1.0]})
