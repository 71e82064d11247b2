"""Small fitted models of every kind, to be saved, loaded and exported.

The functions live here, and not in the test files, so that other processes can import them.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from small_flux import make_flux, respiration
from small_models import drive, drive_two, make_table, twice_corrected
from torch import nn

from skhybrid import ODE, HybridRegressor, LatentODE, Param, Physics
from skhybrid.datasets import make_pendulum, make_pendulum_images, pendulum

TINY = {"nn": (4,), "max_epochs": 2, "refine_rho": None, "random_state": 0}
DRIVE = Physics(drive, gain=Param(1.0, bounds=(0.0, None), unit="V/N"), offset=0.1)


class Kept(NamedTuple):
    """A fitted model, the X that it reads, and the code that ``load`` needs."""

    model: HybridRegressor
    X: Any
    code: dict[str, Any]


class Net(nn.Sequential):
    """A network of the user's."""

    def __init__(self, n_inputs: int = 2, width: int = 3, activation: type = nn.Tanh) -> None:
        super().__init__(nn.Linear(n_inputs, width), activation(), nn.Linear(width, 1))


def tank(t, state, inputs, *, outflow=1.0):
    return inputs - outflow * state


def first_state(state):
    return state[:, :1]


def damped(t, state, physics, nn):
    return physics(t, state) + nn(t, state) * state.new_tensor([0.0, 1.0])


def make_records(n: int = 4, n_times: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs over time and the levels of a tank, from different initial states."""
    rng = np.random.default_rng(0)
    inputs = rng.uniform(0.0, 1.0, (n, n_times, 1))
    levels = np.empty_like(inputs)
    levels[:, 0] = rng.uniform(0.0, 1.0, (n, 1))
    for i in range(n_times - 1):
        levels[:, i + 1] = levels[:, i] + 0.1 * (inputs[:, i] - 0.8 * levels[:, i])
    return inputs, levels


def fitted(X, y, physics=None, code=None, **settings) -> Kept:
    """Return a small model after its fit, whose warnings do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = HybridRegressor(physics, **{**TINY, **settings}).fit(X, y)
    return Kept(model, X, code or {})


def _table(**settings) -> Kept:
    X, y = make_table(30)
    return fitted(X, y, **{"physics": DRIVE, "code": {"physics": drive}, **settings})


def _swings(structure: ODE, **settings) -> Kept:
    swings = make_pendulum(4, n_times=8, random_state=0)
    code = {"physics": pendulum}
    return fitted(swings.data, swings.target, pendulum, code, structure=structure, **settings)


def _by_a_state() -> Kept:
    swings = make_pendulum(4, n_times=8, random_state=0)
    physics = Physics(pendulum, omega2=Param(1.0, bounds=(0.0, None), depends_on=[0]))
    structure, code = ODE(dt=0.3, substeps=1), {"physics": pendulum}
    return fitted(swings.data, swings.target, physics, code, structure=structure)


def _records(**settings) -> Kept:
    X, y = make_records()
    structure = ODE(dt=0.1, inputs="hold", substeps=1, **settings)
    return fitted(X, y, tank, {"physics": tank}, structure=structure)


def _two_targets() -> Kept:
    X, y = make_table(30)
    return fitted(X[["force"]].to_numpy(), np.stack([y, -y], 1), drive_two, {"physics": drive_two})


def _partly_observed() -> Kept:
    swings = make_pendulum(4, n_times=8, random_state=0)
    structure = ODE(dt=swings.dt, observe=first_state, substeps=1, join=damped)
    y = swings.target[..., :1]
    code = {"physics": pendulum, "structure": ODE(observe=first_state, join=damped)}
    return fitted(swings.data, y, pendulum, code, structure=structure)


def _images() -> Kept:
    film = make_pendulum_images(4, n_times=6, size=6, random_state=0)
    structure = LatentODE(encoder=4, decoder=4, n_states=2, dt=film.dt, window=2)
    code = {"physics": film.physics}
    return fitted(film.data, film.target, film.physics, code, structure=structure, nn=3)


def _varying() -> Kept:
    """A parameter that depends on a feature, and a prior."""
    X, y, _ = make_flux(40)
    physics = Physics(
        respiration,
        q10=Param(1.5, bounds=(1.0, 4.0), prior=(1.6, 0.5)),
        base=Param(2.0, bounds=(0.0, None), depends_on=["moisture"]),
    )
    return fitted(X, y, physics, {"physics": respiration})


KINDS = {
    "additive": _table,
    "multiplicative": lambda: _table(structure="multiplicative"),
    "serial, float64": lambda: _table(structure="serial", dtype="float64"),
    "custom": lambda: _table(
        structure=twice_corrected, code={"physics": drive, "structure": twice_corrected}
    ),
    "own network": lambda: _table(nn=Net(), code={"physics": drive, "nn": Net()}),
    "few inputs, restarts": lambda: _table(nn_features=["angle"], n_restarts=2),
    "physics alone": lambda: _table(nn=None),
    "a parameter that varies": _varying,
    "network alone": lambda: _table(physics=None, code={}),
    "two targets": _two_targets,
    "states": lambda: _swings(ODE(dt=0.3, substeps=1)),
    "states, physics alone": lambda: _swings(ODE(dt=0.3), nn=None),
    "states, a rate by a state": _by_a_state,
    "inputs": _records,
    "inputs, learned states": lambda: _records(initial_state="learned"),
    "partly observed": _partly_observed,
    "images": _images,
}


@cache
def kept(kind: str) -> Kept:
    """Return a fitted model of a kind; it must not be changed."""
    return KINDS[kind]()


def same(one: Any, other: Any) -> bool:
    """Whether values are the same bit for bit, nested in lists, tuples and dicts."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (np.ndarray, torch.Tensor)):
        arrays = [np.asarray(each) for each in (one, other)]
        equal_nan = arrays[0].dtype.kind == "f"
        return arrays[0].dtype == arrays[1].dtype and np.array_equal(*arrays, equal_nan=equal_nan)
    return one == other or (one != one and other != other)
