"""Parameters of a differential equation behind an encoder and a decoder."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from skhybrid import HybridRegressor, LatentODE


def decay(t, state, *, rate=1.0):
    return -rate * state


def test_parameters_can_be_set_and_cloned():
    structure = LatentODE(encoder=5, n_states=2, dt=0.1)
    assert structure.get_params()["continuity"] == 1.0
    copied = clone(structure.set_params(decoder=(3, 3)))
    assert copied is not structure
    assert copied.decoder == (3, 3)
    model = HybridRegressor(decay, structure=structure).set_params(structure__window=[2, 4])
    assert clone(model).structure.windows() == (2, 4)


def test_parameters_about_known_states_and_inputs_do_not_exist():
    names = {"observe", "initial_state", "state_guess", "n_initial", "inputs", "correct"}
    assert not names & set(LatentODE().get_params())
    with pytest.raises(TypeError, match="observe"):
        LatentODE(observe=len)


@pytest.mark.parametrize(
    ("window", "expected"),
    [("auto", (2, 5, "auto")), ([2, 4], (2, 4)), (3, (3,)), (None, (None,))],
    ids=str,
)
def test_windows_to_train_with(window, expected):
    assert LatentODE(n_states=2, dt=0.1, window=window).windows() == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_states": None}, "'n_states' parameter of LatentODE"),
        ({"n_states": 0}, "'n_states' parameter of LatentODE"),
        ({"encoder": 0}, "'encoder' parameter of LatentODE"),
        ({"decoder": "deep"}, "'decoder' parameter of LatentODE"),
        ({"dt": None}, "dt or times, one of them; it was given neither"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(settings, message):
    structure = LatentODE(**{"n_states": 2, "dt": 0.1, **settings})
    with pytest.raises(ValueError, match=message):
        structure.validate()
    model = HybridRegressor(decay, nn=2, structure=structure)
    with pytest.raises(ValueError, match=message):
        model.fit(np.ones((3, 2, 4, 4)), np.ones((3, 5, 4, 4)))
