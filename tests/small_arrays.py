"""Arrays of trajectories as users give them, for tests of what reads them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skhybrid import HybridRegressor

RNG = np.random.default_rng(0)


def spring(t, state, *, stiffness=2.0):
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -stiffness * position], dim=-1)


def pushed(t, state, inputs, *, stiffness=2.0):
    push = torch.nn.functional.pad(inputs[:, :1], (1, 0))
    return spring(t, state, stiffness=stiffness) + push


def position(state):
    return state[:, :1]


FIRST = RNG.normal(size=(4, 2))
AFTER = RNG.normal(size=(4, 6, 2))
INPUTS = RNG.normal(size=(4, 7, 3))
OUTPUTS = RNG.normal(size=(4, 7, 2))
HOLD = {"dt": 0.1, "inputs": "hold"}


def as_frames(columns=("push", "heat", "time")):
    """Return inputs over time whose last column holds increasing times, as array and DataFrames."""
    records = INPUTS.copy()
    records[..., 2] = np.cumsum(np.abs(records[..., 2]) + 0.1, axis=1)
    return records, [pd.DataFrame(each, columns=list(columns)) for each in records]


def with_nan(array, *index):
    """Return a copy of an array with NaN at an index."""
    array = array.copy()
    array[index] = np.nan
    return array


def check_fit_raises(error, message, model, *data):
    """Check that a fit raises an error and leaves no fitted attribute on the estimator."""
    with pytest.raises(error, match=f"(?s){message}"):
        model.fit(*data)
    assert not [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]


def check_data_raise(case, nn):
    """Check the message for one case of (structure, X, y, message) or with weights, too."""
    structure, X, y, message, *weight = case
    model = HybridRegressor(spring, nn=nn, structure=structure, max_epochs=1, random_state=0)
    check_fit_raises(ValueError, message, model, X, y, *weight)


def fit_small(structure, X, y, physics=spring):
    """Return a hybrid model after one epoch."""
    model = HybridRegressor(physics, nn=(3,), structure=structure, max_epochs=1, random_state=0)
    return model.fit(X, y)
