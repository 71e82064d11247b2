"""A small table and fits whose warnings are kept, for the tests of findings."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from skhybrid import HybridRegressor
from skhybrid.exceptions import ParameterWarning, PoorFitWarning

RNG = np.random.default_rng(11)
N_ROWS = 80
X = pd.DataFrame(RNG.uniform(0.5, 3.0, (N_ROWS, 2)), columns=["flow", "heat"])
Y = (2.5 * X["flow"] + 0.8 * X["heat"] + 0.01 * RNG.normal(size=N_ROWS)).to_numpy()
BOTH = pytest.mark.parametrize("network", [(4,), None], ids=["network", "no network"])
OURS = (ParameterWarning, PoorFitWarning)


def caught(action) -> list[warnings.WarningMessage]:
    """Return our warnings of an action."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        action()
    return [each for each in found if issubclass(each.category, OURS)]


def fit(physics, *, x=X, y=Y, nn=None, **settings):
    """Fit and return the model and the messages of our warnings."""
    settings = {"max_epochs": 20, "random_state": 0, "refine_rho": None, **settings}
    model = HybridRegressor(physics, nn=nn, **settings)
    found = caught(lambda: model.fit(x, y))
    return model, [str(each.message) for each in found]


def two(flow, heat, *, gain=1.0, loss=1.0):
    """Return the sum of two effects, each with a parameter of its own."""
    return gain * flow + loss * heat
