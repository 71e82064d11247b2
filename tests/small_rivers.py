"""Rivers and kettles: small tables, trajectories and models for the tests of mistakes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from skhybrid import ODE, HybridRegressor

RNG = np.random.default_rng(3)
RIVER = pd.DataFrame({"slope": RNG.uniform(1.0, 2.0, 25), "width": RNG.uniform(3.0, 5.0, 25)})
FLOW = 1.7 * RIVER["slope"].to_numpy() + 0.1 * RIVER["width"].to_numpy()

FIRST = RNG.uniform(1.0, 2.0, (5, 2))
COOLING = FIRST[:, None] * np.exp(-0.03 * np.arange(1.0, 13.0))[None, :, None]
HEATING = RNG.uniform(0.0, 1.0, (5, 12, 1))
HEATED = RNG.uniform(1.0, 2.0, (5, 12, 2))


def chezy(slope, *, gain=1.0):
    return gain * slope


def cooling(t, state, *, rate=0.2):
    return -rate * state


def heated(t, state, heat, *, rate=0.2):
    return heat - rate * state


def make(physics=chezy, **settings) -> HybridRegressor:
    return HybridRegressor(physics, **{"nn": (4,), "max_epochs": 2, "random_state": 0, **settings})


def make_records(physics=heated, *, settings=None, **ode) -> HybridRegressor:
    return make(physics, structure=ODE(dt=0.1, inputs="hold", **ode), **settings or {})


def refuse(model, error, message, X=RIVER, y=FLOW):
    with pytest.raises(error, match=f"(?s){message}"):
        model.fit(X, y)
    assert not hasattr(model, "physics_params_")


class Layer(nn.Module):
    """A module that fails in one of several ways."""

    def __init__(self, n_inputs, n_outputs, way="works"):
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)
        self.way = way

    def forward(self, x):
        if self.way == "raises":
            raise KeyError("layer")
        if self.way == "nothing":
            return None
        out = torch.exp(self.linear(x.flatten(1)))
        if self.way == "in place":
            out += 1.0
        return out
