"""Trajectories as users give them: initial states or inputs in X, names, times, errors."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from small_arrays import (
    AFTER,
    FIRST,
    HOLD,
    INPUTS,
    OUTPUTS,
    RNG,
    as_frames,
    check_data_raise,
    check_fit_raises,
    position,
    pushed,
    spring,
    with_nan,
)

from skhybrid import ODE, HybridRegressor, Physics
from skhybrid.data.read_trajectories import read_trajectories
from skhybrid.exceptions import NetworkError, PhysicsError


def read(ode, X, y, *, physics=spring, sample_weight=None, masked=False):
    """Return trajectories, their facts and the estimator that notes the features of X."""
    physics = None if physics is None else Physics(physics)
    model = HybridRegressor(physics, structure=ode)
    given = (model, ode, physics, X, y, sample_weight)
    return (*read_trajectories(*given, masked=masked, reset=True), model)


# X holds initial states


def test_initial_states_and_following_states():
    trajectories, info, model = read(ODE(dt=0.5), FIRST, AFTER)
    np.testing.assert_array_equal(trajectories.states[:, 0], FIRST)
    np.testing.assert_array_equal(trajectories.states[:, 1:], AFTER)
    np.testing.assert_allclose(info.times, 0.5 * np.arange(7))
    np.testing.assert_array_equal(info.initial_states, FIRST)
    layout = info.layout
    assert layout.state_shape == layout.output_shape == (2,)
    assert layout.uniform_step == pytest.approx(0.5)
    assert not layout.with_first
    assert not layout.learned
    assert model.n_features_in_ == 2
    assert info.component_names == ("state_0", "state_1", "time")


def test_initial_states_that_y_repeats_are_a_warning():
    repeated = np.concatenate([FIRST[:, None], AFTER], axis=1)
    with pytest.warns(UserWarning, match=r"y begins with the initial states of X.*y\[:, 1:\]"):
        read(ODE(dt=0.5), FIRST, repeated)
    with pytest.warns(UserWarning, match="y begins with"):
        read(ODE(dt=0.5), FIRST, [*repeated])
    at_rest = np.repeat(FIRST[:, None], 4, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(ODE(dt=0.5), FIRST, at_rest)


def test_one_output_without_its_own_axis():
    trajectories, info, _ = read(ODE(dt=0.5), FIRST[:, :1], AFTER[..., 0], physics=None)
    assert info.scalar
    np.testing.assert_array_equal(trajectories.outputs[:, 1:, 0], AFTER[..., 0])


def test_fields():
    trajectories, info, _ = read(
        ODE(dt=0.5), RNG.normal(size=(3, 2, 4, 5)), RNG.normal(size=(3, 6, 2, 4, 5)), physics=None
    )
    assert info.layout.is_field
    assert trajectories.states.shape == (3, 7, 2, 4, 5)
    assert info.component_names == ("state_0", "state_1", "time")


def test_states_have_the_column_names_or_the_given_names():
    frame = pd.DataFrame(FIRST, columns=["angle", "velocity"])
    _, info, model = read(ODE(dt=0.5), frame, AFTER)
    assert info.component_names == ("angle", "velocity", "time")
    assert list(model.feature_names_in_) == ["angle", "velocity"]
    _, info, _ = read(ODE(dt=0.5, state_names=["a", "b"]), frame, AFTER)
    assert info.component_names == ("a", "b", "time")


@pytest.mark.parametrize("as_list", [list, tuple])
def test_trajectories_of_different_lengths(as_list):
    after = as_list(AFTER[i, : i + 2] for i in range(4))
    trajectories, info, _ = read(ODE(dt=0.5), FIRST, after)
    np.testing.assert_array_equal(trajectories.lengths, [3, 4, 5, 6])
    assert trajectories.outputs.shape == (4, 6, 2)
    assert np.isnan(trajectories.outputs[0, 3:]).all()
    np.testing.assert_array_equal(trajectories.outputs[2, 1:5], after[2])
    assert info.layout.uniform_step is None
    assert len(info.times) == 6


def test_irregular_times():
    times = np.cumsum(RNG.uniform(0.1, 1.0, 6))
    trajectories, info, _ = read(ODE(times=times), FIRST, AFTER)
    np.testing.assert_allclose(info.times, [0.0, *times])
    np.testing.assert_allclose(trajectories.times, np.tile([0.0, *times], (4, 1)))
    assert info.layout.uniform_step is None


def test_partly_observed_states_with_given_initial_states():
    ode = ODE(dt=0.5, observe=position)
    trajectories, info, _ = read(ode, FIRST, AFTER[..., :1])
    assert trajectories.known_first.all()
    assert info.layout.learned
    np.testing.assert_array_equal(trajectories.states[:, 0], FIRST)
    # The guess agrees with the measured outputs.
    np.testing.assert_allclose(trajectories.states[:, 1:, 0], AFTER[..., 0])
    np.testing.assert_array_equal(trajectories.states[:, 1:, 1], 0.0)


# X holds inputs over time


def test_inputs_and_outputs_at_the_same_times():
    trajectories, info, model = read(ODE(**HOLD), INPUTS, OUTPUTS, physics=pushed)
    np.testing.assert_array_equal(trajectories.inputs, INPUTS)
    np.testing.assert_array_equal(trajectories.outputs, OUTPUTS)
    np.testing.assert_allclose(info.times, 0.1 * np.arange(7))
    layout = info.layout
    assert layout.with_first
    assert layout.reads_inputs
    assert layout.n_inputs == 3
    assert model.n_features_in_ == 3
    assert info.component_names == (
        *("state_0", "state_1"),
        *("input_0", "input_1", "input_2"),
        "time",
    )


@pytest.mark.parametrize("times", ["time", 2, -1])
def test_column_of_times(times):
    records, frames = as_frames()
    ode = ODE(times=times, inputs="hold")
    trajectories, info, model = read(ode, frames, OUTPUTS, physics=pushed)
    np.testing.assert_allclose(trajectories.times, records[..., 2])
    np.testing.assert_array_equal(trajectories.inputs, records[..., :2])
    assert info.time_column == 2
    assert info.component_names == ("state_0", "state_1", "push", "heat", "time")
    assert list(model.feature_names_in_) == ["push", "heat", "time"]
    assert model.n_features_in_ == 3


def test_column_of_times_without_inputs():
    records = np.cumsum(RNG.uniform(0.1, 0.3, (4, 7, 1)), axis=1)
    ode = ODE(times=0, inputs="hold")
    trajectories, info, _ = read(ode, records, OUTPUTS)
    assert trajectories.inputs is None
    np.testing.assert_allclose(trajectories.times, records[..., 0])
    assert info.component_names == ("state_0", "state_1", "time")


def test_records_of_different_lengths():
    _, frames = as_frames()
    lengths = [7, 5, 6, 3]
    frames = [frame[:n] for frame, n in zip(frames, lengths, strict=True)]
    outputs = [each[:n] for each, n in zip(OUTPUTS, lengths, strict=True)]
    ode = ODE(times="time", inputs="hold")
    trajectories, _, _ = read(ode, frames, outputs, physics=pushed)
    np.testing.assert_array_equal(trajectories.lengths, lengths)
    assert np.isnan(trajectories.outputs[3, 3:]).all()
    np.testing.assert_allclose(trajectories.times[3, 3:], trajectories.times[3, 2])


def test_guessed_states_of_one_output_without_its_own_axis():
    ode = ODE(**HOLD, observe=position, n_states=2, state_guess=[0.0, 5.0])
    trajectories, info, _ = read(ode, INPUTS, OUTPUTS[..., 0], physics=pushed)
    assert info.scalar
    assert info.layout.learned
    assert trajectories.known_first is None
    np.testing.assert_allclose(trajectories.states[..., 0], OUTPUTS[..., 0])
    np.testing.assert_array_equal(trajectories.states[..., 1], 5.0)


def test_guessed_states_are_interpolated_where_outputs_are_missing():
    outputs = OUTPUTS[..., :1].copy()
    outputs[0, 2:4] = np.nan
    outputs[1] = np.nan
    ode = ODE(**HOLD, observe=position, n_states=2)
    trajectories, _, _ = read(ode, INPUTS, outputs, physics=pushed, masked=True)
    expected = np.interp([2, 3], [1, 4], outputs[0, [1, 4], 0])
    np.testing.assert_allclose(trajectories.states[0, 2:4, 0], expected)
    np.testing.assert_allclose(trajectories.states[1, :, 0], np.nanmean(outputs))


def test_weights_of_trajectories():
    trajectories, _, _ = read(ODE(dt=0.5), FIRST, AFTER, sample_weight=[1.0, 2.0, 0.0, 1.0])
    np.testing.assert_array_equal(trajectories.weight, [1.0, 2.0, 0.0, 1.0])


# Errors: the message says what to do, and the estimator keeps no fitted attributes.


def three_arguments(t, state, inputs, *, stiffness=2.0):
    return -stiffness * state


BAD = {
    "different number of states": (
        ODE(dt=1),
        FIRST,
        AFTER[..., :1],
        r"y has shape \(4, 6, 1\), but states have shape \(2,\).*give observe",
    ),
    "NaN in X": (ODE(dt=1), with_nan(FIRST, 1, 1), AFTER, "X contains NaN in column 1"),
    "trajectory with one observed time": (
        ODE(**HOLD),
        [each[: 1 + 3 * (i > 1)] for i, each in enumerate(INPUTS)],
        [each[: 1 + 3 * (i > 1)] for i, each in enumerate(OUTPUTS)],
        "Trajectory 0 has 1 observed time.*Leave it out",
    ),
    "decreasing times": (
        ODE(times=0, inputs="hold"),
        -as_frames()[0][..., ::-1],
        OUTPUTS,
        "Times must increase; in trajectory 0",
    ),
    "too few times": (ODE(times=[1.0, 2.0]), FIRST, AFTER, "2 times, but .* has 6"),
    "times of a different number of trajectories": (
        ODE(times=[list(range(1, 7))] * 3),
        FIRST,
        AFTER,
        "times of 3 trajectories, but there are 4.*put them into X",
    ),
    "too many names of states": (
        ODE(dt=1, state_names=["a"]),
        FIRST,
        AFTER,
        "state_names has 1 names for 2 states: a",
    ),
    "too few names of inputs": (
        ODE(**HOLD, input_names=["a"]),
        INPUTS,
        OUTPUTS,
        "input_names has 1 names for 3 inputs: a",
    ),
    "unknown number of states": (
        ODE(**HOLD, observe=position),
        INPUTS,
        OUTPUTS[..., :1],
        "the number of states is not known: give n_states",
    ),
    "no initial states": (
        ODE(**HOLD, observe=position, n_states=2, initial_state="given"),
        INPUTS,
        OUTPUTS[..., :1],
        "Set initial_state='learned'",
    ),
    "column of times although X holds states": (
        ODE(times=0),
        FIRST,
        AFTER,
        "column.*inputs",
    ),
    "window that is too long": (ODE(dt=1, window=7), FIRST, AFTER, "longest has 6 steps"),
    "weights of a different number of trajectories": (
        ODE(dt=1),
        FIRST,
        AFTER,
        "sample_weight",
        np.ones(3),
    ),
}


@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
@pytest.mark.parametrize("case", BAD)
def test_bad_data_raise_an_error(case, nn):
    check_data_raise(BAD[case], nn)


@pytest.mark.parametrize(
    ("structure", "physics", "message"),
    [
        (ODE(dt=1), lambda angle: angle, r"takes \(angle\); a right-hand side takes \(t, state\)"),
        (ODE(dt=1), lambda t, state, a, b: state, r"takes \(t, state, a, b\)"),
        (ODE(dt=1), three_arguments, "reads inputs .'inputs'., but X holds initial states"),
        (ODE(dt=1, observe=lambda s, *, stifness: s), spring, "observe reads .*'stifness'.*mean"),
        (ODE(dt=1), lambda t, state, *, a=1.0: a * state[:, :1], "rate of change of every state"),
        (ODE(dt=1), lambda t, state, *, a=1.0: 2.0 * state, "no gradient .*parameter 'a'"),
        (ODE(dt=1), lambda t, state, *, a=1.0: np.sin(state) * a, "numpy"),
        (ODE(dt=1), lambda t, state, *, a=1.0: state * a / 0.0 * 0.0, "is not finite"),
    ],
)
@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
@pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.PhysicsInitWarning", "ignore::DeprecationWarning"
)
def test_bad_physics_raises_an_error(structure, physics, message, nn):
    model = HybridRegressor(physics, nn=nn, structure=structure, max_epochs=1, random_state=0)
    check_fit_raises(PhysicsError, message, model, FIRST, AFTER)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nn_features": ["velocty"]}, "'velocty', which X does not have.*mean 'velocity'"),
        ({"nn_features": [3]}, "nn_features has column 3; X has 3 columns"),
        ({"nn": torch.nn.Linear(3, 2)}, "nn failed on inputs of shape"),
        ({"nn": torch.nn.Linear(2, 3)}, "nn must return the rate of change of every state"),
    ],
    ids=str,
)
def test_bad_networks_raise_an_error(settings, message):
    frame = pd.DataFrame(FIRST, columns=["angle", "velocity"])
    model = HybridRegressor(spring, structure=ODE(dt=1.0), max_epochs=1, **settings)
    with pytest.raises(NetworkError, match=f"(?s){message}"):
        model.fit(frame, AFTER)
