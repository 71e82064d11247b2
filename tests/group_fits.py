"""Small data and models with a parameter for each group of rows."""

import numpy as np
import pandas as pd

from skhybrid import HybridRegressor, Param, Physics

VALUES = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
KM = 0.8


def rate(substrate, *, vmax=1.0, km=1.0):
    """Return the rate of an enzyme."""
    return vmax * substrate / (km + substrate)


def positive(start, **options):
    """Return a positive parameter."""
    return Param(start, bounds=(0.0, None), **options)


def kinetics(per="site", **options):
    """Return the physics with a maximal rate for each group."""
    return Physics(rate, vmax=positive(1.0, per=per, **options), km=positive(1.0))


def make_rates(n_rows=15, noise=0.05, seed=0):
    """Return rates of four enzymes."""
    rng = np.random.default_rng(seed)
    site = np.repeat([*VALUES], n_rows)
    substrate = rng.uniform(0.1, 5.0, len(site))
    value = np.array([VALUES[each] for each in site])
    y = value * substrate / (KM + substrate) + noise * rng.normal(size=len(site))
    return pd.DataFrame({"substrate": substrate, "site": site}), y


def make_model(physics=None, **options):
    """Return a small model without a correction."""
    given = {"nn": (4,), "structure": "none", "max_epochs": 150, "random_state": 0, **options}
    return HybridRegressor(physics or kinetics(), **given)


def decay(t, state, inputs, *, rate=0.5):
    """Return the rate of a decay."""
    return (-rate * state[:, 0])[:, None]


def make_decays():
    """Return two decays of each of three subjects, and the codes of the subjects."""
    times, rng = np.linspace(0.0, 3.0, 9), np.random.default_rng(0)
    codes = np.array([1.0, 2.0, 7.0, 1.0, 2.0, 7.0])
    rates = np.select([codes == 1.0, codes == 2.0], [0.3, 0.6], 1.2)
    y = rng.uniform(1.0, 3.0, 6)[:, None] * np.exp(-rates[:, None] * times)
    return np.tile(codes[:, None, None], (1, 9, 1)), y[..., None], times[1]
