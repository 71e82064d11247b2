"""Shapes of states and their components."""

from __future__ import annotations

from dataclasses import replace

import torch

from skhybrid.model.layout import FIRST_STATES, Layout

VECTOR = Layout(state_shape=(3,), output_shape=(3,))
FIELD = Layout(state_shape=(2, 4, 5), output_shape=(2, 4, 5))


def test_components_are_the_last_axis_of_vectors_and_the_first_of_fields():
    assert not VECTOR.is_field
    assert FIELD.is_field
    states = torch.zeros(7, 3)
    assert states.shape[VECTOR.channel_axis] == 3
    assert VECTOR.other_axes(states) == [0]
    fields = torch.zeros(7, 2, 4, 5)
    assert fields.shape[FIELD.channel_axis] == 2
    assert FIELD.other_axes(fields) == [0, 2, 3]


def test_one_number_per_component_broadcasts_with_states():
    assert VECTOR.per_channel(torch.arange(3.0)).shape == (3,)
    numbers = FIELD.per_channel(torch.tensor([1.0, 2.0]))
    assert numbers.shape == (2, 1, 1)
    assert (torch.zeros(7, 2, 4, 5) + numbers)[0, :, 3, 4].tolist() == [1.0, 2.0]


def test_free_states_are_the_last_ones():
    layout = Layout(state_shape=(3,), output_shape=(2,), n_free_states=1)
    states = torch.arange(6.0).reshape(2, 3)
    assert layout.n_known_states == 2
    assert layout.free_columns == (2,)
    assert layout.known_states(states).tolist() == [[0.0, 1.0], [3.0, 4.0]]
    rates = layout.with_free_rates(torch.ones(2, 2))
    assert rates.tolist() == [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    assert VECTOR.free_columns == ()
    assert VECTOR.known_states(states) is states
    assert VECTOR.with_free_rates(states) is states


def test_hidden_states_are_the_free_ones_or_all():
    states = torch.arange(6.0).reshape(2, 3)
    free = Layout(state_shape=(3,), output_shape=(2,), n_free_states=1)
    assert free.hidden_states(states).tolist() == [[2.0], [5.0]]
    assert VECTOR.hidden_states(states).numel() == 0
    assert replace(VECTOR, states_observed=False).hidden_states(states) is states
    fields = torch.zeros(7, 2, 4, 5)
    assert FIELD.hidden_states(fields).shape == (7, 0, 4, 5)


def test_rates_that_the_network_changes():
    assert VECTOR.n_corrected_rates == 3
    assert Layout(state_shape=(3,), output_shape=(3,), corrects=(1,)).n_corrected_rates == 1


def test_no_physics_parameter_can_have_the_name_of_the_first_states():
    assert not FIRST_STATES.isidentifier()
