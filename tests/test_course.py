"""Trajectories as users give them: both layouts, their names and times, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skhybrid import ODE, HybridRegressor, Physics
from skhybrid.data.read_trajectories import read_trajectories
from skhybrid.exceptions import NetworkError, PhysicsError

RNG = np.random.default_rng(0)


def spring(t, state, *, stiffness=2.0):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -stiffness * position], dim=-1)


def pushed(t, state, inputs, *, stiffness=2.0):
    push = torch.nn.functional.pad(inputs[:, :1], (1, 0))
    return spring(t, state, stiffness=stiffness) + push


def position(state):
    return state[:, :1]


def read(structure, X, y, *, physics=spring, sample_weight=None, **settings):
    physics = None if physics is None else Physics(physics)
    model = HybridRegressor(physics, structure=structure, **settings)
    return (*read_trajectories(model, physics, X, y, sample_weight, reset=True), model)


FIRST = RNG.normal(size=(4, 2))
AFTER = RNG.normal(size=(4, 6, 2))
INPUTS = RNG.normal(size=(4, 7, 3))
OUTPUTS = RNG.normal(size=(4, 7, 2))
HOLD = {"dt": 0.1, "inputs": "hold"}


# Initial states


def test_initial_states_and_what_follows():
    trajectories, trajectory_info, model = read(ODE(dt=0.5), FIRST, AFTER)
    np.testing.assert_array_equal(trajectories.states[:, 0], FIRST)
    np.testing.assert_array_equal(trajectories.states[:, 1:], AFTER)
    np.testing.assert_allclose(trajectory_info.times, 0.5 * np.arange(7))
    np.testing.assert_array_equal(trajectory_info.initial_states, FIRST)
    layout = trajectory_info.layout
    assert layout.state_shape == layout.output_shape == (2,)
    assert layout.uniform_step == pytest.approx(0.5)
    assert not layout.with_first
    assert not layout.learned
    assert model.n_features_in_ == 2
    assert trajectory_info.component_names == ("state_0", "state_1", "time")


def test_one_state_without_an_axis():
    trajectories, trajectory_info, _ = read(ODE(dt=0.5), FIRST[:, :1], AFTER[..., 0], physics=None)
    assert trajectory_info.scalar
    np.testing.assert_array_equal(trajectories.outputs[:, 1:, 0], AFTER[..., 0])


def test_fields():
    trajectories, trajectory_info, _ = read(
        ODE(dt=0.5), RNG.normal(size=(3, 2, 4, 5)), RNG.normal(size=(3, 6, 2, 4, 5)), physics=None
    )
    assert trajectory_info.layout.is_field
    assert trajectories.states.shape == (3, 7, 2, 4, 5)
    assert trajectory_info.component_names == ("state_0", "state_1", "time")


def test_states_have_the_names_of_columns_or_those_given():
    frame = pd.DataFrame(FIRST, columns=["angle", "velocity"])
    _, trajectory_info, model = read(ODE(dt=0.5), frame, AFTER)
    assert trajectory_info.component_names == ("angle", "velocity", "time")
    assert list(model.feature_names_in_) == ["angle", "velocity"]
    _, trajectory_info, _ = read(ODE(dt=0.5, state_names=["a", "b"]), frame, AFTER)
    assert trajectory_info.component_names == ("a", "b", "time")


@pytest.mark.parametrize("as_list", [list, tuple])
def test_trajectories_of_different_lengths(as_list):
    after = as_list(AFTER[i, : i + 2] for i in range(4))
    trajectories, trajectory_info, _ = read(ODE(dt=0.5), FIRST, after)
    np.testing.assert_array_equal(trajectories.lengths, [3, 4, 5, 6])
    assert trajectories.outputs.shape == (4, 6, 2)
    assert np.isnan(trajectories.outputs[0, 3:]).all()
    np.testing.assert_array_equal(trajectories.outputs[2, 1:5], after[2])
    assert trajectory_info.layout.uniform_step is None
    assert len(trajectory_info.times) == 6


def test_irregular_times():
    times = np.cumsum(RNG.uniform(0.1, 1.0, 6))
    trajectories, trajectory_info, _ = read(ODE(times=times), FIRST, AFTER)
    np.testing.assert_allclose(trajectory_info.times, [0.0, *times])
    np.testing.assert_allclose(trajectories.times, np.tile([0.0, *times], (4, 1)))
    assert trajectory_info.layout.uniform_step is None


def test_partly_observed_states_of_which_the_first_is_given():
    ode = ODE(dt=0.5, observe=position)
    trajectories, trajectory_info, _ = read(ode, FIRST, AFTER[..., :1])
    assert trajectories.first_is_exact
    assert trajectory_info.layout.learned
    np.testing.assert_array_equal(trajectories.states[:, 0], FIRST)
    # A guess is what observe gives where it is measured.
    np.testing.assert_allclose(trajectories.states[:, 1:, 0], AFTER[..., 0])
    np.testing.assert_array_equal(trajectories.states[:, 1:, 1], 0.0)


# Inputs over time


def test_inputs_and_outputs_at_the_same_times():
    trajectories, trajectory_info, model = read(ODE(**HOLD), INPUTS, OUTPUTS, physics=pushed)
    np.testing.assert_array_equal(trajectories.inputs, INPUTS)
    np.testing.assert_array_equal(trajectories.outputs, OUTPUTS)
    np.testing.assert_allclose(trajectory_info.times, 0.1 * np.arange(7))
    layout = trajectory_info.layout
    assert layout.with_first
    assert layout.reads_inputs
    assert layout.n_inputs == 3
    assert model.n_features_in_ == 3
    assert trajectory_info.component_names == (
        *("state_0", "state_1"),
        *("input_0", "input_1", "input_2"),
        "time",
    )


def as_frames(columns=("push", "heat", "time")):
    records = INPUTS.copy()
    records[..., 2] = np.cumsum(np.abs(records[..., 2]) + 0.1, axis=1)
    return records, [pd.DataFrame(each, columns=list(columns)) for each in records]


@pytest.mark.parametrize("times", ["time", 2, -1])
def test_a_column_of_times(times):
    records, frames = as_frames()
    ode = ODE(times=times, inputs="hold")
    trajectories, trajectory_info, model = read(ode, frames, OUTPUTS, physics=pushed)
    np.testing.assert_allclose(trajectories.times, records[..., 2])
    np.testing.assert_array_equal(trajectories.inputs, records[..., :2])
    assert trajectory_info.time_column == 2
    assert trajectory_info.component_names == ("state_0", "state_1", "push", "heat", "time")
    assert list(model.feature_names_in_) == ["push", "heat", "time"]
    assert model.n_features_in_ == 3


def test_a_column_of_times_and_nothing_else():
    records = np.cumsum(RNG.uniform(0.1, 0.3, (4, 7, 1)), axis=1)
    ode = ODE(times=0, inputs="hold")
    trajectories, trajectory_info, _ = read(ode, records, OUTPUTS)
    assert trajectories.inputs is None
    np.testing.assert_allclose(trajectories.times, records[..., 0])
    assert trajectory_info.component_names == ("state_0", "state_1", "time")


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


def test_outputs_without_an_axis_and_states_that_are_guessed():
    ode = ODE(**HOLD, observe=position, n_states=2, state_guess=[0.0, 5.0])
    trajectories, trajectory_info, _ = read(ode, INPUTS, OUTPUTS[..., 0], physics=pushed)
    assert trajectory_info.scalar
    assert trajectory_info.layout.learned
    assert not trajectories.first_is_exact
    np.testing.assert_allclose(trajectories.states[..., 0], OUTPUTS[..., 0])
    np.testing.assert_array_equal(trajectories.states[..., 1], 5.0)


def test_the_guess_of_a_state_is_interpolated_where_outputs_are_missing():
    outputs = OUTPUTS[..., :1].copy()
    outputs[0, 2:4] = np.nan
    outputs[1] = np.nan
    ode = ODE(**HOLD, observe=position, n_states=2)
    trajectories, _, _ = read(ode, INPUTS, outputs, physics=pushed, missing_targets="mask")
    expected = np.interp([2, 3], [1, 4], outputs[0, [1, 4], 0])
    np.testing.assert_allclose(trajectories.states[0, 2:4, 0], expected)
    np.testing.assert_allclose(trajectories.states[1, :, 0], np.nanmean(outputs))


def test_weights_of_trajectories():
    trajectories, _, _ = read(ODE(dt=0.5), FIRST, AFTER, sample_weight=[1.0, 2.0, 0.0, 1.0])
    np.testing.assert_array_equal(trajectories.weight, [1.0, 2.0, 0.0, 1.0])


# What is refused: nothing is left behind, and the message says what to do.


def with_nan(array, *index):
    array = array.copy()
    array[index] = np.nan
    return array


def three_arguments(t, state, inputs, *, stiffness=2.0):
    return -stiffness * state


BAD = {
    "another number of trajectories": (ODE(dt=1), FIRST, AFTER[:3], "X has 4 .* but y has 3"),
    "no axis of times": (ODE(dt=1), FIRST, AFTER[:, 0, 0], r"y must have shape .*\(4,\)"),
    "another number of states": (
        ODE(dt=1),
        FIRST,
        AFTER[..., :1],
        r"y has shape \(4, 6, 1\), but states have shape \(2,\).*give observe",
    ),
    "NaN in y": (ODE(dt=1), FIRST, with_nan(AFTER, 1, 2), "set missing_targets='mask'"),
    "NaN in X": (ODE(dt=1), with_nan(FIRST, 1, 1), AFTER, "Input X contains NaN"),
    "infinity": (ODE(dt=1), FIRST, AFTER / 0.0, "infinity"),
    "text": (ODE(dt=1), FIRST, AFTER.astype(str) + "m", "could not convert"),
    "no observation": (ODE(dt=1), FIRST, AFTER[:, :0], "no change to learn|minimum of 1"),
    "one short trajectory": (
        ODE(**HOLD),
        [each[: 1 + 3 * (i > 1)] for i, each in enumerate(INPUTS)],
        [each[: 1 + 3 * (i > 1)] for i, each in enumerate(OUTPUTS)],
        "Trajectory 0 has 1 observed time.*Leave it out",
    ),
    "lists of different outputs": (
        ODE(dt=1),
        FIRST,
        [*AFTER[:3], AFTER[3, :, :1]],
        "outputs of different shapes",
    ),
    "inputs without an axis of times": (
        ODE(**HOLD),
        FIRST,
        AFTER,
        r"X must have shape .*\(4, 2\). For initial states set inputs=None",
    ),
    "inputs at other times": (
        ODE(**HOLD),
        INPUTS,
        AFTER,
        "Trajectory 0 has inputs at 7 times, but outputs at 6.*at the same times",
    ),
    "lists of different inputs": (
        ODE(**HOLD),
        [*INPUTS[:3], INPUTS[3, :, :1]],
        OUTPUTS,
        "different numbers of inputs",
    ),
    "frames with other columns": (
        ODE(**HOLD),
        [*as_frames()[1][:3], *as_frames(("push", "cold", "time"))[1][3:]],
        OUTPUTS,
        "Trajectory 3 of X has columns .*cold",
    ),
    "NaN in inputs": (ODE(**HOLD), with_nan(INPUTS, 1, 2), OUTPUTS, "X contains NaN"),
    "a column of times that is not there": (
        ODE(times="tme", inputs="hold"),
        as_frames()[1],
        OUTPUTS,
        "names a column that X does not have.*[Dd]id you mean 'time'",
    ),
    "a number of a column that is not there": (
        ODE(times=3, inputs="hold"),
        INPUTS,
        OUTPUTS,
        r"ODE\(times=3\) is a column, but X has 3 of them",
    ),
    "times that fall": (
        ODE(times=0, inputs="hold"),
        -as_frames()[0][..., ::-1],
        OUTPUTS,
        "Times must increase; in trajectory 0",
    ),
    "too few times": (ODE(times=[1.0, 2.0]), FIRST, AFTER, "2 times, but .* has 6"),
    "times of other trajectories": (
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
    "an unknown number of states": (
        ODE(**HOLD, observe=position),
        INPUTS,
        OUTPUTS[..., :1],
        "the number of states is not known: give n_states",
    ),
    "initial states that nobody gave": (
        ODE(**HOLD, observe=position, n_states=2, initial_state="given"),
        INPUTS,
        OUTPUTS[..., :1],
        "Set initial_state='learned'",
    ),
    "a column of times where X holds states": (
        ODE(times=0),
        FIRST,
        AFTER,
        "column.*inputs",
    ),
    "a window that is too long": (ODE(dt=1, window=7), FIRST, AFTER, "longest has 6 steps"),
    "weights of other trajectories": (ODE(dt=1), FIRST, AFTER, "sample_weight"),
}


@pytest.mark.parametrize("nn", [None, (4,)], ids=["physics alone", "hybrid"])
@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_bad_data(case, nn):
    structure, X, y, message = BAD[case]
    model = HybridRegressor(spring, nn=nn, structure=structure, max_epochs=1, random_state=0)
    weight = np.ones(3) if "weights" in case else None
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.fit(X, y, weight)
    assert not [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]


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
def test_bad_physics(structure, physics, message, nn):
    model = HybridRegressor(physics, nn=nn, structure=structure, max_epochs=1, random_state=0)
    with pytest.raises(PhysicsError, match=f"(?s){message}"):
        model.fit(FIRST, AFTER)
    assert not [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]


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
def test_bad_networks(settings, message):
    frame = pd.DataFrame(FIRST, columns=["angle", "velocity"])
    model = HybridRegressor(spring, structure=ODE(dt=1.0), max_epochs=1, **settings)
    with pytest.raises(NetworkError, match=f"(?s){message}"):
        model.fit(frame, AFTER)


def fitted(structure, X, y, physics=spring):
    model = HybridRegressor(physics, nn=(3,), structure=structure, max_epochs=1, random_state=0)
    return model.fit(X, y)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bad_data_at_prediction():
    model = fitted(ODE(dt=0.1), FIRST, AFTER)
    with pytest.raises(ValueError, match=r"features|shape"):
        model.predict(FIRST[:, :1])
    with pytest.raises(ValueError, match="times must increase"):
        model.predict(FIRST, times=[0.2, 0.1])
    with pytest.raises(ValueError, match="first_outputs"):
        model.predict(FIRST, first_outputs=AFTER[:2])
    _, frames = as_frames()
    model = fitted(ODE(times="time", inputs="hold"), frames, OUTPUTS, pushed)
    with pytest.raises(ValueError, match="X has 2 inputs, but HybridRegressor was fitted with 3"):
        model.predict(INPUTS[..., :2])
    with pytest.raises(ValueError, match=r"X has columns .*cold.*fitted with"):
        model.predict(as_frames(("push", "cold", "time"))[1])
    with pytest.raises(ValueError, match="times is for models whose X holds initial states"):
        model.predict(frames, times=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"initial_states has shape \(3, 2\).*\(4, 2\)"):
        model.predict(frames, initial_states=FIRST[:3])
    model = fitted(ODE(times=[np.arange(7.0)] * 4, inputs="hold"), INPUTS, OUTPUTS, pushed)
    with pytest.raises(ValueError, match=r"times of each training trajectory.*name their column"):
        model.predict(INPUTS[:2])
