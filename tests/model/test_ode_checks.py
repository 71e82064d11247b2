"""Parameters of an ODE that list columns of X or outputs."""

from __future__ import annotations

import pytest

from skhybrid import ODE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial_state": ["a"]}, "with inputs=None X itself holds the initial states"),
        ({"initial_state": [0.5], "inputs": "hold"}, "initial_state has 0.5; it must hold"),
        ({"initial_state": [True], "inputs": "hold"}, "initial_state has True"),
        ({"initial_state": [None, None], "inputs": "hold"}, "has no column.*'learned'"),
        ({"initial_state": "dose", "inputs": "hold"}, "initial_state.*'given'"),
        ({"corrected": [], "correct": "output"}, "corrected is empty"),
        ({"corrected": [0, 0], "correct": "output"}, "has an output twice"),
    ],
)
def test_wrong_lists_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ODE(dt=1.0, **options).validate()


def test_lists_of_columns_may_leave_states_unknown():
    for columns in (["dose", None], ("dose", 3), ["zero", "zero"]):
        ODE(dt=1.0, inputs="hold", initial_state=columns).validate()
