"""Fingerprints are the same in every process, and differ where a fit would."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from small_models import ForceModule, drive, make_model

from skhybrid import ODE, HybridRegressor, LatentODE, Param, Physics
from skhybrid.runtime.fingerprint import Fingerprints


def fingerprint(*values):
    return Fingerprints().of(*values)


def make_law(exponent):
    def law(force, *, gain=1.0):
        return gain * force**exponent

    return law


class Law:
    def __init__(self, exponent):
        self.exponent = exponent

    def __call__(self, force, *, gain=1.0):
        return gain * force**self.exponent


def network(seed=0, activation=torch.nn.Tanh):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), activation(), torch.nn.Linear(3, 1))


SCALE = 2.0


def scaled(force, *, gain=1.0):
    return SCALE * gain * force


PAIRS = {
    "a value": (1.0, 2.0),
    "a type": (1, 1.0),
    "the sign of zero": (0.0, -0.0),
    "an array": (np.arange(3.0), np.array([0.0, 1.0, 2.1])),
    "a dtype": (np.arange(3.0), np.arange(3.0, dtype=np.float32)),
    "a shape": (np.zeros((2, 3)), np.zeros((3, 2))),
    "a tensor": (torch.arange(3.0), torch.arange(3.0).double()),
    "objects": (np.array(["a", None], dtype=object), np.array(["a", "b"], dtype=object)),
    "a column's name": (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1.0]})),
    "a column": (pd.DataFrame({"a": [1.0], "b": [2.0]}), pd.DataFrame({"a": [1.0], "b": [3.0]})),
    "text": ("rho", "l2"),
    "code": (lambda x, *, a=1.0: a * x, lambda x, *, a=1.0: a / x),
    "a constant": (lambda x, *, a=1.0: a * x * 2, lambda x, *, a=1.0: a * x * 3),
    "a default": (lambda x, *, a=1.0: a * x, lambda x, *, a=2.0: a * x),
    "a closure": (make_law(2), make_law(3)),
    "an attribute": (Law(2), Law(3)),
    "bound arguments": (functools.partial(drive, offset=1), functools.partial(drive, offset=2)),
    "a function of a library": (torch.sin, torch.cos),
    "weights": (network(0), network(1)),
    "an activation": (network(), network(activation=torch.nn.ReLU)),
    "a module": (ForceModule(), network()),
    "bounds": (Physics(drive, gain=Param(1.0)), Physics(drive, gain=Param(1.0, bounds=(0, 2)))),
    "a start": (Physics(drive, gain=1.0), Physics(drive, gain=1.5)),
    "a window": (ODE(dt=0.1, window=4), ODE(dt=0.1, window=5)),
    "a step": (LatentODE(4, 4, n_states=2, dt=0.1), LatentODE(4, 4, n_states=2, dt=0.2)),
    "a setting": (HybridRegressor(drive), HybridRegressor(drive, rho=0.1)),
    "a generator": (np.random.RandomState(0), np.random.RandomState(1)),
    "a new generator": (np.random.default_rng(0), np.random.default_rng(1)),
    "a torch generator": (torch.Generator(), torch.Generator().manual_seed(1)),
}


@pytest.mark.parametrize(("first", "second"), PAIRS.values(), ids=PAIRS)
def test_what_differs_has_another_fingerprint(first, second):
    assert fingerprint(first) != fingerprint(second)
    assert fingerprint(first) == fingerprint(first)
    assert fingerprint([first, first]) == fingerprint([first, first])


def test_what_is_equal_has_the_same_fingerprint():
    pairs = [
        (make_law(2), make_law(2)),
        (Law(2), Law(2)),
        (network(), network()),
        (Physics(drive, gain=2.0), Physics(drive, gain=2.0)),
        (ODE(dt=0.1), ODE(dt=0.1)),
        (np.asfortranarray(np.eye(3)[:2]), np.eye(3)[:2]),
        (make_model(verbose=1, checkpoint="a"), make_model(verbose=0, checkpoint="b")),
        ({3, "a", None}, {None, "a", 3}),
    ]
    for first, second in pairs:
        assert fingerprint(first) == fingerprint(second)


def test_globals_of_a_function_count(monkeypatch):
    before = fingerprint(scaled)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert fingerprint(scaled) != before


def test_an_object_may_contain_itself():
    first, second = [1], [2]
    first.append(first)
    second.append(second)
    assert fingerprint(first) != fingerprint(second)
