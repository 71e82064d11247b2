"""A damped oscillator with an exact solution, for tests of predictions."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch

from skhybrid import ODE, HybridRegressor, Param, Physics

MATRIX = np.array([[0.0, 1.0], [-2.0, -0.3]])
DT = 0.1
RNG = np.random.default_rng(0)


def oscillator(t, state, *, stiffness=2.0):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -stiffness * position - 0.3 * velocity], dim=-1)


def pushed(t, state, inputs, *, stiffness=2.0):
    push = torch.nn.functional.pad(inputs, (1, 0))
    return oscillator(t, state, stiffness=stiffness) + push


def position(state):
    return state[:, :1]


def follow(first, n_times, times=None) -> np.ndarray:
    """Return the states after the first ones, by the matrix exponential."""
    times = DT * np.arange(1, n_times + 1) if times is None else times
    return np.stack([first @ scipy.linalg.expm(t * MATRIX).T for t in times], axis=1)


def drive(first, inputs) -> np.ndarray:
    """Return the states under inputs that are constant in each step, by the matrix exponential."""
    whole = np.zeros((3, 3))
    whole[:2, :2], whole[1, 2] = MATRIX, 1.0
    step = scipy.linalg.expm(DT * whole)
    states = [first]
    for k in range(inputs.shape[1] - 1):
        extended = np.concatenate([states[-1], inputs[:, k]], axis=1)
        states.append((extended @ step.T)[:, :2])
    return np.stack(states, axis=1)


KNOWN = Param(2.0, bounds=(1.9, 2.1))
FIRST = RNG.normal(size=(5, 2))
INPUTS = RNG.normal(size=(3, 24, 1))
BEGINS = FIRST[:3]
DRIVEN = drive(BEGINS, INPUTS)


def fit(X, y, physics=oscillator, nn=None, **structure):
    structure = ODE(**{"dt": DT, **structure})
    model = HybridRegressor(
        Physics(physics, stiffness=KNOWN), nn=nn, structure=structure, max_epochs=1, dtype="float64"
    )
    return model.fit(X, y)
