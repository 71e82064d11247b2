"""A flux whose base depends on features, for the tests of varying parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skhybrid import HybridRegressor, Param, Physics

Q10 = 1.8


def respiration(temperature, *, base=2.0, q10=1.5):
    return base * q10 ** ((temperature - 15.0) / 10.0)


def make_flux(n_rows=200, *, noise=0.05, seed=0):
    """Return X, y and the base of every row."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "temperature": random.normal(15.0, 6.0, n_rows),
            "moisture": random.uniform(0.1, 0.5, n_rows),
        }
    )
    base = 1.0 + 2.5 * np.exp(-(((X["moisture"] - 0.3) / 0.12) ** 2)).to_numpy()
    flux = base * Q10 ** ((X["temperature"].to_numpy() - 15.0) / 10.0)
    return X, flux + noise * flux.std() * random.standard_normal(n_rows), base


def flux_model(*, depends_on=("moisture",), nn=(16,), **options):
    """Return a model in which the base is a function of features."""
    physics = Physics(
        respiration,
        q10=Param(1.5, bounds=(1.0, 4.0)),
        base=Param(2.0, bounds=(0.0, None), unit="umol", depends_on=list(depends_on)),
    )
    return HybridRegressor(physics, nn=nn, **{"random_state": 0, **options})
