"""Learning rates of learned first states."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skhybrid import ODE, HybridRegressor
from skhybrid.training.members import FIRST_STATE
from skhybrid.training.step import Step


def spring(t, state, *, stiffness=1.0):
    return torch.stack([state[:, 1], -stiffness * state[:, 0]], dim=1)


def pushed_spring(t, state, inputs, *, stiffness=1.0):
    return spring(t, state, stiffness=stiffness) + inputs * torch.tensor([0.0, 1.0])


def position(state):
    return state[:, :1]


@pytest.mark.parametrize("n_restarts", [1, 2])
@pytest.mark.parametrize(
    ("structure", "n_outputs", "hidden"),
    [
        ({"initial_state": "learned"}, 2, [False, False]),
        ({"observe": position, "n_states": 2, "inputs": "hold"}, 1, [True, True]),
        ({"initial_state": "learned", "n_free_states": 1}, 2, [False, False, True]),
    ],
    ids=["observed", "observe", "free"],
)
def test_only_hidden_first_states_learn_faster_than_the_network(
    structure, n_outputs, hidden, n_restarts, monkeypatch
):
    """First guesses of observed states are wrong by the noise only."""
    times = 0.5 * np.arange(1, 9)
    y = np.stack([np.sin(times), np.cos(times)], axis=1)[None, :, :n_outputs]
    physics, X = spring, np.array([[0.0, 1.0]])
    if "inputs" in structure:
        physics, X = pushed_spring, np.sin(y)
    steps, init = [], Step.__init__

    def watched(self, *args):
        init(self, *args)
        steps.append((self, args[-1]))

    monkeypatch.setattr(Step, "__init__", watched)
    settings = {"nn": (3,), "max_epochs": 8, "n_restarts": n_restarts, "refine_rho": None}
    HybridRegressor(physics, structure=ODE(dt=0.5, **structure), **settings).fit(X, y)
    step, config = steps[0]
    (block,) = (block for block in step.members.blocks if block.role == FIRST_STATE)
    rates = block.view(step.adam.learning_rate).reshape(-1, len(hidden))
    assert config.schedule.state_rate_factor > 1.0
    factors = torch.where(torch.tensor(hidden), config.schedule.state_rate_factor, 1.0)
    expected = (config.learning_rate[0] * factors).to(rates).expand_as(rates)
    torch.testing.assert_close(rates, expected)
