"""Outputs of states: what ``observe`` returns is checked."""

from __future__ import annotations

import pytest
import torch

from skhybrid import ODE
from skhybrid.exceptions import PhysicsError
from skhybrid.model.observation import observe_states

STATES = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
FORCES = torch.tensor([[0.1], [0.2], [0.3]])


def outputs_of(observe, shape=(1,), inputs=None, **values):
    values = {name: torch.tensor(value) for name, value in values.items()}
    return observe_states(ODE(dt=0.1, observe=observe), STATES, inputs, values, shape)


def test_states_without_observe_are_the_outputs():
    assert observe_states(ODE(dt=0.1), STATES, None, {}, (2,)) is STATES


def test_observe_reads_states_inputs_and_parameters():
    def observe(state, force, *, gain):
        return gain * state[:, :1] + force

    found = outputs_of(observe, inputs=FORCES, gain=2.0, other=9.0)
    torch.testing.assert_close(found, 2.0 * STATES[:, :1] + FORCES)
    found = outputs_of(lambda state: state[:, 0])
    torch.testing.assert_close(found, STATES[:, :1])


@pytest.mark.parametrize(
    ("observe", "message"),
    [
        (lambda state: {}["level"], "observe failed: KeyError: 'level'"),
        (lambda state: None, "it returned None. Is a return statement missing"),
        (lambda state: [state], "it returned a list"),
        (lambda state: state + 0j, "must return real numbers"),
        (lambda state: state, r"observe returned shape \(3, 2\).*must return shape \(3, 1\)"),
        (lambda state: state[:1, :1], r"observe returned shape \(1, 1\).*shape \(3, 1\)"),
    ],
)
def test_wrong_outputs_are_named(observe, message):
    with pytest.raises(PhysicsError, match=message):
        outputs_of(observe)


def test_the_error_shows_the_parameters():
    def observe(state, *, gain):
        raise OSError("disk")

    with pytest.raises(PhysicsError, match=r"observe failed at gain=2.5: OSError: disk"):
        outputs_of(observe, gain=2.5)
