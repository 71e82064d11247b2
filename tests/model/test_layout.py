"""Shapes of states and their components."""

from __future__ import annotations

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


def test_no_physics_parameter_can_have_the_name_of_the_first_states():
    assert not FIRST_STATES.isidentifier()
