"""What is code is asked for by name, and settings that differ are errors."""

from __future__ import annotations

import numpy as np
import pytest
from small_saved import damped, first_state
from torch import nn

from skhybrid import ODE, LatentODE, Param, Physics
from skhybrid.exceptions import SavedModelError
from skhybrid.persistence.parts import (
    network_state,
    physics_state,
    restored_network,
    restored_physics,
    restored_structure,
    structure_state,
)


def spring(position, *, stiffness=1.0, rest=(0.0, 1.0)):
    return -stiffness * position


def without_defaults(position, *, stiffness, rest):
    return -stiffness * position


OBSERVED = ODE(times=[0.1, 0.2], observe=first_state, join=damped, n_states=2)
PHYSICS = Physics(spring, stiffness=Param(2.0, bounds=(0.0, None), unit="N/m", fixed=True))


@pytest.mark.parametrize("given", [spring, without_defaults, Physics(spring, stiffness=7.0)])
def test_parameters_come_from_the_file(given):
    found = restored_physics(physics_state(PHYSICS), given)
    assert repr(found.params) == repr(PHYSICS.params)
    assert found.function is getattr(given, "function", given)


def test_no_physics():
    assert restored_physics(physics_state(None), None) is None
    with pytest.raises(SavedModelError, match="leave physics out"):
        restored_physics(None, spring)


def test_fewer_parameters():
    with pytest.raises(SavedModelError, match="no parameter named 'rest'"):
        restored_physics(physics_state(PHYSICS), lambda position, *, stiffness=1.0: position)


def test_networks():
    assert restored_network(network_state(None), None) is None
    assert restored_network(network_state((4, 4)), [4, 4]) == (4, 4)
    with pytest.raises(SavedModelError, match="Leave nn out"):
        restored_network(network_state(None), (4,))
    with pytest.raises(SavedModelError, match=r"nn=Linear"):
        restored_network(network_state(nn.Linear(1, 1)), (4,))


def test_an_ode_without_code_needs_nothing():
    ode = ODE(dt=0.1, window=[2, 5], state_guess=np.ones(2))
    found = restored_structure(structure_state(ode, ode), None)
    assert repr(found) == repr(ode)


def test_code_of_an_ode_is_given_again():
    state = structure_state(OBSERVED, OBSERVED)
    with pytest.raises(SavedModelError, match=r"structure=ODE\(join=damped, observe=first_state"):
        restored_structure(state, None)
    found = restored_structure(state, ODE(observe=first_state, join=damped))
    assert repr(found) == repr(OBSERVED)
    same_times = ODE(observe=first_state, join=damped, times=np.array([0.1, 0.2]))
    assert restored_structure(state, same_times).times == [0.1, 0.2]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (ODE(observe=first_state), "join of its structure is 'damped'"),
        (ODE(observe=first_state, join=damped, n_states=3), "n_states of its structure is 2"),
        (LatentODE(n_states=2), "load was given LatentODE"),
        ("additive", "load was given 'additive'"),
    ],
)
def test_an_ode_that_does_not_fit(given, match):
    with pytest.raises(SavedModelError, match=match):
        restored_structure(structure_state(OBSERVED, OBSERVED), given)


def test_an_encoder_of_the_users():
    latent = LatentODE(encoder=nn.Flatten(), n_states=2, dt=0.1)
    state = structure_state(latent, latent)
    with pytest.raises(SavedModelError, match="encoder=Flatten"):
        restored_structure(state, None)
    with pytest.raises(SavedModelError, match="encoder of its structure is 'Flatten'"):
        restored_structure(state, LatentODE())
    assert restored_structure(state, LatentODE(encoder=nn.Flatten())).n_states == 2


class MyODE(ODE):
    """A subclass of the user's."""


def test_a_subclass_is_given_again():
    ode = MyODE(dt=0.5)
    with pytest.raises(SavedModelError, match="contains code"):
        restored_structure(structure_state(ode, ode), None)
    assert restored_structure(structure_state(ode, ode), MyODE()).dt == 0.5


def test_functions_as_structures():
    state = structure_state(damped, damped)
    with pytest.raises(SavedModelError, match="the function 'damped'"):
        restored_structure(state, None)
    assert restored_structure(state, damped) is damped
