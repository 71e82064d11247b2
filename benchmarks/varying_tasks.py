"""Simulated tasks with a parameter that depends on features, and with known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.integrate import solve_ivp

from skhybrid import ODE, Param, Physics

Q10 = 1.8
GAMMA = 0.1
# First days of the four epidemics: infected part of the population.
INFECTED = (0.002, 0.005, 0.01, 0.02)
N_DAYS, DROP_DAY = 120, 60


@dataclass
class VaryingTask:
    """Training and test data, the physics, and the truth.

    Attributes
    ----------
    name : str
    X, y, X_test, y_test : array-like
        The test target has no noise.
    physics : Physics
    structure : str or ODE
    truth : dict of str to float
        Parameters that are numbers.
    varying : str
        The parameter that depends on features.
    values : array
        Its true values in the test rows, or along the test trajectories.
    """

    name: str
    X: Any
    y: Any
    X_test: Any
    y_test: Any
    physics: Physics
    structure: Any
    truth: dict[str, float]
    varying: str
    values: np.ndarray


def respiration(temperature, *, base=2.0, q10=1.5):
    """Return a flux that grows by q10 with every 10 °C."""
    return base * q10 ** ((temperature - 15.0) / 10.0)


def flux_task(seed, *, correlation, n_rows=2000, noise=0.05):
    """Return respiration whose base depends on moisture and radiation."""
    random = np.random.default_rng(seed)
    X = _weather(random, correlation, n_rows)
    X_test = _weather(random, correlation, n_rows)
    base, base_test = _base(X), _base(X_test)
    clean, y_test = (
        each * Q10 ** ((x["temperature"].to_numpy() - 15.0) / 10.0)
        for each, x in ((base, X), (base_test, X_test))
    )
    y = clean + noise * clean.std() * random.standard_normal(n_rows)
    physics = Physics(
        respiration,
        q10=Param(1.5, bounds=(1.0, 4.0)),
        base=Param(2.0, bounds=(0.0, None), depends_on=["moisture", "radiation"]),
    )
    name = f"flux, correlation {correlation:g}"
    return VaryingTask(name, X, y, X_test, y_test, physics, "auto", {"q10": Q10}, "base", base_test)


def _weather(random, correlation, n_rows):
    """Return temperature, moisture and radiation; the first two are correlated."""
    warm = random.standard_normal(n_rows)
    own = random.standard_normal(n_rows)
    wet = correlation * warm + np.sqrt(1.0 - correlation**2) * own
    return pd.DataFrame(
        {
            "temperature": 15.0 + 6.0 * warm,
            "moisture": (0.35 + 0.08 * wet).clip(0.05, 0.6),
            "radiation": random.uniform(0.0, 1.0, n_rows),
        }
    )


def _base(X):
    """Return the true base."""
    hump = np.exp(-(((X["moisture"] - 0.3) / 0.12) ** 2))
    return (1.0 + 2.5 * hump + 0.8 * np.sin(3.0 * X["radiation"])).to_numpy()


def sir(t, state, *, beta=0.2, gamma=0.2):
    """Return rates of the susceptible and the infected part of a population."""
    susceptible, infected = state.unbind(-1)
    new = beta * susceptible * infected
    return torch.stack([-new, new - gamma * infected], dim=-1)


def contact_rate(t):
    """Return the true contact rate: it drops at day 60 within some days."""
    return 0.08 + 0.14 / (1.0 + np.exp((t - DROP_DAY) / 1.5))


def sir_task(seed, *, noise=0.03):
    """Return four epidemics, of which susceptible and infected are observed."""
    times = np.arange(N_DAYS + 1.0)
    clean = np.stack([epidemic(each, times) for each in INFECTED])
    test = np.stack([epidemic(each, times) for each in (0.003, 0.015)])
    random = np.random.default_rng(seed)
    y = clean + noise * clean.std(axis=(0, 1)) * random.standard_normal(clean.shape)
    physics = Physics(
        sir,
        beta=Param(0.2, bounds=(0.0, None), depends_on=["time"]),
        gamma=Param(0.2, bounds=(0.0, None)),
    )
    values = np.tile(contact_rate(times[1:]), (len(test), 1))
    ode = ODE(dt=1.0, state_names=["S", "I"])
    return VaryingTask(
        "SIR, contact rate drops",
        clean[:, 0],
        y[:, 1:],
        test[:, 0],
        test[:, 1:],
        physics,
        ode,
        {"gamma": GAMMA},
        "beta",
        values,
    )


def epidemic(infected, times):
    """Return susceptible and infected over time."""

    def rates(t, state):
        new = contact_rate(t) * state[0] * state[1]
        return [-new, new - GAMMA * state[1]]

    span, first = (times[0], times[-1]), [1.0 - infected, infected]
    return solve_ivp(rates, span, first, t_eval=times, rtol=1e-8, atol=1e-10).y.T


def tasks(seed):
    """Return all tasks with noise of this seed."""
    return [
        flux_task(seed, correlation=0.0),
        flux_task(seed, correlation=0.6),
        sir_task(seed),
    ]
