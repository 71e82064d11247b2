"""The arguments of a right-hand side."""

from __future__ import annotations

import pytest

from skhybrid.data.right_hand_side_signature import check_signature
from skhybrid.exceptions import PhysicsError
from skhybrid.model.ode import ODE
from skhybrid.model.physics import Physics

HOLD = ODE(dt=1.0, inputs="hold")


def three_arguments(t, state, inputs, *, a=1.0):
    return -a * state


@pytest.mark.parametrize(
    ("ode", "function", "message"),
    [
        (ODE(dt=1.0), lambda state, t, *, a=1.0: state, r"takes the time first: def f\(t, state"),
        (ODE(dt=1.0), lambda t, *, a=1.0: t, r"takes \(t, state\)"),
        (HOLD, lambda t, *, a=1.0: t, r"takes \(t, state\) or \(t, state, inputs\)"),
        (ODE(dt=1.0), three_arguments, "reads inputs .'inputs'., but X holds initial states"),
        (ODE(dt=1.0, observe=lambda s, *, b: s), three_arguments, "reads inputs"),
        (
            ODE(dt=1.0, inputs="hold", observe=lambda s, *, b: s),
            three_arguments,
            "observe reads the parameter 'b'",
        ),
    ],
)
def test_wrong_arguments_are_named(ode, function, message):
    with pytest.raises(PhysicsError, match=message):
        check_signature(Physics(function), ode)


def test_right_arguments_are_accepted():
    check_signature(None, ODE(dt=1.0))
    check_signature(Physics(three_arguments), HOLD)
    check_signature(Physics(lambda _, state, *, a=1.0: a * state), ODE(dt=1.0))
