"""The range of what a fit has seen."""

from __future__ import annotations

import numpy as np
from small_trajectories import SmallTrajectories, make_oscillations, position

from skhybrid.data.training_range import TrainingRange, channels, pixel_columns
from skhybrid.model.right_hand_side import HOLD_MARGIN


def test_values_beyond_the_range():
    seen = TrainingRange.of(np.array([[0.0, 5.0], [2.0, 5.0], [np.nan, 5.0]]))
    assert (seen.low.tolist(), seen.high.tolist()) == ([0.0, 5.0], [2.0, 5.0])
    assert seen.std.tolist() == [1.0, 0.0]
    found = seen.beyond(np.array([[-1.0, 5.0], [2.5, 4.0], [np.nan, 6.0]]))
    assert found.tolist() == [[-1.0, 0.0], [0.5, -1.0], [np.inf, 1.0]]


def test_a_constant_column_has_no_spread():
    assert TrainingRange.of(np.full((7, 1), 0.1)).std.tolist() == [0.0]


def test_ranges_are_joined():
    one, other = (TrainingRange.of(np.eye(2)[:, :1] * k, [f"{k}"]) for k in (1, 2))
    assert one.joined(other).high.tolist() == [1.0, 2.0]
    assert one.joined(other).names == ("1", "2")


def test_trajectories_have_the_margin_of_the_held_network():
    first, states = make_oscillations()
    weight = np.arange(len(first)) > 0.0
    found = SmallTrajectories(first, states, weight=weight).inputs.trajectory_info.training_range
    seen = np.concatenate([first[1:, None], states[1:]], axis=1).reshape(-1, 2)
    width = HOLD_MARGIN * np.ptp(seen, axis=0)
    assert np.allclose(found.low, seen.min(axis=0) - width)
    assert np.allclose(found.high, seen.max(axis=0) + width)
    assert np.allclose(found.std, seen.std(axis=0))


def test_columns_of_inputs_and_hidden_states():
    first, states = make_oscillations()
    inputs = np.random.default_rng(0).uniform(size=(*states.shape[:2], 1))
    records = SmallTrajectories(
        inputs, states[..., :1], inputs="linear", observe=position, n_states=2
    )
    assert records.inputs.trajectory_info.training_range.names == ("output_0", "input_0")
    hidden = SmallTrajectories(first, states[..., :1], observe=position)
    names = hidden.inputs.trajectory_info.training_range.names
    assert names == ("initial state_0", "initial state_1", "output_0")


def test_fields_and_images():
    fields = np.arange(24.0).reshape(2, 3, 2, 2)
    assert channels(fields).shape == (8, 3)
    assert channels(fields)[:, 1].tolist() == [*range(4, 8), *range(16, 20)]
    assert pixel_columns(fields).tolist() == [[0.0, 11.0], [12.0, 23.0]]
