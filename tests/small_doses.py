"""A drug that goes from a depot into the blood, with its exact solution, for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from skhybrid import ODE, HybridRegressor, Param, Physics

TRUE = {"absorption": 1.2, "elimination": 0.3, "volume": 20.0}
POSITIVE = (0.0, None)


def drug(t, state, *, absorption, elimination, volume):
    """Amounts in the depot and in the blood; ``volume`` is for the observation."""
    depot, blood = state.unbind(-1)
    absorbed = absorption * depot
    return torch.stack([-absorbed, absorbed - elimination * blood], dim=-1)


def concentration(state, *, volume):
    return state[:, 1:] / volume


def exact_concentration(t: np.ndarray, dose: float) -> np.ndarray:
    ka, ke = TRUE["absorption"], TRUE["elimination"]
    amount = dose * ka / (ka - ke) * (np.exp(-ke * t) - np.exp(-ka * t))
    return amount / TRUE["volume"]


def make_doses(n: int = 4) -> tuple[list[pd.DataFrame], list[np.ndarray]]:
    """Return records of one dose each, whose numbers of times differ, without noise."""
    rng = np.random.default_rng(0)
    X, y = [], []
    for i in range(n):
        t = np.concatenate([[0.0], np.sort(rng.uniform(0.2, 12.0, 6 + i))])
        dose = 50.0 + 25.0 * i
        X.append(pd.DataFrame({"dose": dose, "hour": t, "nothing": 0.0}))
        y.append(exact_concentration(t, dose)[:, None])
    return X, y


def make_dose_model(initial_state=("dose", "nothing"), nn=None, **options) -> HybridRegressor:
    physics = Physics(
        drug,
        absorption=Param(0.8, bounds=POSITIVE),
        elimination=Param(0.2, bounds=POSITIVE),
        volume=Param(15.0, bounds=POSITIVE),
    )
    structure = ODE(
        times="hour",
        inputs="hold",
        observe=concentration,
        n_states=2,
        initial_state=initial_state if isinstance(initial_state, str) else list(initial_state),
    )
    return HybridRegressor(physics, nn=nn, structure=structure, random_state=0, **options)


def make_infusions() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return concentrations and the events of two doses each, infused in an hour and in a half."""
    rng = np.random.default_rng(1)
    doses, rows = [], []
    for subject in range(4):
        rates = 40.0 + 20.0 * subject, 120.0
        starts, ends = (0.0, 6.3), (1.0, 6.8)
        t = np.sort(rng.uniform(0.2, 12.0, 8))
        concentration = sum(
            exact_infusion(t - start, rate, end - start)
            for start, end, rate in zip(starts, ends, rates, strict=True)
        )
        rows += [(f"s{subject}", *each) for each in zip(t, concentration, strict=True)]
        for start, end, rate in zip(starts, ends, rates, strict=True):
            doses += [(f"s{subject}", start, rate), (f"s{subject}", end, 0.0)]
    table = pd.DataFrame(rows, columns=["subject", "hour", "concentration"])
    table = table.sample(frac=1.0, random_state=0)
    return table, pd.DataFrame(doses, columns=["subject", "hour", "rate"])


def exact_infusion(t: np.ndarray, rate: float, duration: float) -> np.ndarray:
    """Return the concentration after an infusion into one compartment that starts at t = 0."""
    k = TRUE["elimination"]
    during = 1.0 - np.exp(-k * np.clip(t, 0.0, duration))
    amount = rate / k * during * np.exp(-k * np.clip(t - duration, 0.0, None))
    return amount / TRUE["volume"]


def infused(t, blood, inputs, *, elimination=0.2, volume=15.0):
    """Amount in the blood; ``volume`` is for the observation."""
    return inputs[:, :1] - elimination * blood


def in_blood(blood, *, volume):
    return blood / volume
