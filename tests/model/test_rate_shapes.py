"""Errors for rates of the wrong shape say what the author of the model may have overlooked."""

from __future__ import annotations

import pytest
import torch
from small_dynamics import EULER, make_dynamics, make_network, make_windows, predict

from skhybrid.exceptions import NetworkError, PhysicsError, StructureError
from skhybrid.model.ode import ODE
from skhybrid.model.rate_shapes import wrong_rates

STATE = torch.zeros(3, 2)


def test_a_join_that_returns_another_shape_is_an_error():
    model = make_dynamics(ODE(**EULER, join=lambda t, state, physics, nn: state[:, :1]))
    with pytest.raises(ValueError, match="join must return the rate of change of every state"):
        predict(model, make_windows())


@pytest.mark.parametrize(
    ("physics", "message"),
    [
        (lambda t, state, *, a=1.0: state[:, 0], r"of shape \(3, 2\); it returned \(3,\)"),
        (lambda t, state, *, a=1.0: None, "it returned None. Is a return statement missing"),
        (lambda t, state, *, a=1.0: (state, state), "several states go into one torch.stack"),
    ],
)
def test_physics_that_returns_something_else_is_an_error(physics, message):
    model = make_dynamics(physics=physics)
    with pytest.raises(PhysicsError, match=f"(?i){message}"):
        predict(model, make_windows())


def test_a_network_that_returns_another_shape_is_an_error():
    model = make_dynamics(network=make_network(2, 1))
    with pytest.raises(NetworkError, match=r"nn must return the rate of change of every state"):
        predict(model, make_windows())
    model = make_dynamics(network=make_network(2, 2), corrects=(1,))
    with pytest.raises(NetworkError, match=r"shape \(3, 1\), the rate .* corrects \(numbers 1\)"):
        predict(model, make_windows())


@pytest.mark.parametrize(
    ("shape", "varying", "hint"),
    [
        ((3,), (), r"time has shape \(3,\) and is the first argument"),
        ((3, 3), (), r"column \[:, 0\] has shape \(n,\)"),
        ((3, 3), ("drag",), r"'drag' has a value for each row"),
    ],
)
def test_hints_for_authors_of_a_physics(shape, varying, hint):
    error = wrong_rates(torch.zeros(shape), STATE, PhysicsError, "physics 'f'", varying)
    with pytest.raises(PhysicsError, match=hint):
        raise error
    assert str(wrong_rates(torch.zeros(shape), STATE, StructureError, "join", ())).endswith(").")
