"""Tasks as people have them: long tables, irregular times, one observed state, known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.integrate import solve_ivp
from varying_tasks import GAMMA, INFECTED, N_DAYS, contact_rate, epidemic, sir

from skhybrid import ODE, Param, Physics, trajectories_from_frame

VOLUME, ELIMINATION, HALF = 0.6, 0.35, 6.0  # L/kg; 1/h at low concentration; mg/L
SPREAD = 0.15  # of the logarithm of the elimination, between subjects
ERROR_OF_CONCENTRATION = 0.04


@dataclass
class PeopleTask:
    """Records of a long table, the physics, and the truth.

    Attributes
    ----------
    name : str
    data, test : FrameTrajectories
        What trajectories_from_frame returns; the test has no noise.
    physics : Physics
    observe : callable
    truth : dict of str to float
        Parameters that are numbers.
    varying : str
        The parameter that depends on features.
    values : list of array
        Its true values at the times of the test.
    """

    name: str
    data: Any
    test: Any
    physics: Physics
    observe: Any
    truth: dict[str, float]
    varying: str
    values: list[np.ndarray]

    def structure(self):
        """Return the differential equation for these records."""
        return ODE(**self.data.ode, observe=self.observe)


def body(t, drug, inputs, *, volume, elimination):
    """Return the change of the amount of drug, in mg per hour."""
    return inputs[:, :1] - elimination[..., None] * drug


def concentration(drug, inputs, *, volume):
    """Return the concentration in mg/L; the second input is the weight in kg."""
    return drug / (volume * inputs[:, 1:])


def drug_task(seed, *, varies=True):
    """Return a trial of two infusions: elimination saturates, and differs between subjects."""
    random = np.random.default_rng(seed)
    samples, doses, _ = _trial(random, 16, noise=True)
    test, test_doses, rates = _trial(random, 8, noise=False)
    options = {
        "run": "subject",
        "time": "hour",
        "outputs": "concentration",
        "inputs": "rate",
        "features": "weight",
        "initial_states": {"drug": 0.0},
    }
    physics = Physics(
        body,
        volume=Param(1.0, bounds=(0.0, None), unit="L/kg"),
        elimination=Param(
            0.2,
            bounds=(0.0, None),
            unit="1/h",
            depends_on=["drug", "weight"] if varies else None,
        ),
    )
    data = trajectories_from_frame(samples, events=doses, **options)
    tested = trajectories_from_frame(test, events=test_doses, **options)
    return PeopleTask(
        "drug trial", data, tested, physics, concentration, {"volume": VOLUME}, "elimination", rates
    )


def _trial(random, n_subjects, *, noise):
    """Return samples, doses and, for each subject, the true elimination at its rows."""
    samples, doses, rates = [], [], []
    for subject in range(n_subjects):
        weight = float(random.integers(50, 95))
        own = np.exp(SPREAD * random.standard_normal()) if noise else 1.0
        changes = {0.0: random.choice([150.0, 300.0, 450.0]), 0.5: 0.0}
        changes |= {6.0: random.choice([150.0, 600.0]), 6.5: 0.0}
        times = np.sort(random.uniform(0.2, 14.0, random.integers(9, 13)))
        amounts = _amounts(times, changes, weight, own)
        values = amounts / (VOLUME * weight)
        part = ELIMINATION / (1.0 + values / HALF)
        if noise:
            values = values * (1.0 + ERROR_OF_CONCENTRATION * random.standard_normal(len(values)))
        samples += [
            (subject, hour, weight, value) for hour, value in zip(times, values, strict=True)
        ]
        doses += [(subject, hour, rate) for hour, rate in changes.items()]
        rates.append(pd.Series(part, index=times))
    columns = ["subject", "hour", "weight", "concentration"]
    doses = pd.DataFrame(doses, columns=["subject", "hour", "rate"])
    return pd.DataFrame(samples, columns=columns), doses, rates


def _amounts(times, changes, weight, own):
    """Return the amount of drug at some times, in mg."""
    edges, amount, found = [*changes, times[-1] + 1.0], 0.0, {}
    for begin, end, rate in zip(edges, edges[1:], changes.values(), strict=False):

        def change(t, a, rate=rate):
            return rate - own * ELIMINATION * a / (1.0 + a / (VOLUME * weight) / HALF)

        at = np.append(times[(times > begin) & (times <= end)], end)
        path = solve_ivp(change, (begin, end), [amount], t_eval=at, rtol=1e-8).y[0]
        amount = path[-1]
        found.update(zip(at, path, strict=True))
    return np.array([found[t] for t in times])


def infected(state):
    """Return what is observed of an epidemic."""
    return state[:, 1:]


def epidemic_task(seed, *, varies=True, noise=0.03):
    """Return four epidemics of which only the infected are observed; gamma has a prior."""
    random = np.random.default_rng(seed)
    starts, new = INFECTED, (0.003, 0.015)
    tables = [_infected(each, random, noise) for each in (starts, new)]
    options = {"run": "region", "time": "day", "outputs": "infected"}
    options["initial_states"] = {"S": "S0", "I": "I0"}
    physics = Physics(
        sir,
        beta=Param(0.2, bounds=(0.0, None), depends_on=["time"] if varies else None),
        gamma=Param(0.2, bounds=(0.0, None), prior=(GAMMA, 0.1 * GAMMA)),
    )
    data, test = (trajectories_from_frame(each, **options) for each in tables)
    values = [
        pd.Series(contact_rate(record["day"].to_numpy()), index=record["day"]) for record in test.X
    ]
    return PeopleTask(
        "epidemic, infected observed",
        data,
        test,
        physics,
        infected,
        {"gamma": GAMMA},
        "beta",
        values,
    )


def _infected(starts, random, noise):
    """Return a long table of the infected parts, at irregular days."""
    days = np.arange(N_DAYS + 1.0)
    paths = np.stack([epidemic(each, days) for each in starts])[:, :, 1]
    rows = []
    for region, (first, path) in enumerate(zip(starts, paths, strict=True)):
        kept = np.sort(random.choice(np.arange(1, N_DAYS + 1), 80, replace=False))
        values = path[kept] + (noise * paths.std() * random.standard_normal(80) if noise else 0.0)
        rows.append((region, 0.0, first, 1.0 - first, first))
        rows += [
            (region, day, value, 1.0 - first, first)
            for day, value in zip(days[kept], values, strict=True)
        ]
    return pd.DataFrame(rows, columns=["region", "day", "infected", "S0", "I0"])
