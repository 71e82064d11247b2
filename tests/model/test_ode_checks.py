"""Parameters of an ODE that are lists: windows, columns of X, outputs, rates."""

from __future__ import annotations

import numpy as np
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
        ({"corrected": [0]}, "For rates, give corrects: names or numbers of states"),
        ({"corrects": []}, "corrects is empty.*nn=None"),
        ({"corrects": "velocity"}, r"give a list of names: corrects=\['velocity'\]"),
        ({"corrects": [0.5]}, "corrects has 0.5, which is no name and no integer"),
        ({"corrects": [True]}, "corrects has True"),
        ({"corrects": [None]}, "corrects has None"),
        ({"corrects": [1], "correct": "output"}, r"Choose outputs .* corrected=\[...\]"),
        ({"corrects": [1], "join": lambda t, state, physics, nn: None}, "a function as join both"),
        ({"corrects": [1], "join": "none"}, "with join='none' it changes none"),
        ({"n_free_states": 1, "correct": "output"}, "correct='output' it gives none"),
        ({"n_free_states": 1, "join": "none"}, "join='none' it gives none"),
        ({"n_free_states": 2, "initial_state": "given"}, "Leave initial_state='given' out"),
        ({"n_free_states": -1}, "'n_free_states' parameter of ODE"),
        ({"n_free_states": 1, "window": [2, 5]}, "with n_free_states .states are learned. choose"),
        ({"window": [2, 5], "initial_state": "learned"}, "whose first states differ.*choose one"),
    ],
)
def test_wrong_lists_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ODE(dt=1.0, **options).validate()


def test_lists_of_columns_may_leave_states_unknown():
    for columns in (["dose", None], ("dose", 3), ["zero", "zero"]):
        ODE(dt=1.0, inputs="hold", initial_state=columns).validate()


@pytest.mark.parametrize("corrects", [["velocity"], (0, "velocity"), np.array([1]), {"velocity"}])
@pytest.mark.parametrize("join", ["auto", "add", "multiply"])
def test_rates_may_be_names_or_numbers(corrects, join):
    ode = ODE(dt=1.0, corrects=corrects, join=join)
    ode.validate()
    # A rate that is named asks for a correction, also beside a parameter that is a function.
    assert ode.chosen_join(varies=True) == ("add" if join == "auto" else join)


def test_free_states_ask_for_a_network_that_gives_rates():
    ode = ODE(dt=1.0, n_free_states=1)
    ode.validate()
    assert ode.has_hidden_states
    assert ode.chosen_join(varies=True) == "add"
    assert not ODE(dt=1.0).has_hidden_states
