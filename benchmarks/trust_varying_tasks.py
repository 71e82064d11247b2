"""Random tasks with a parameter that varies beside a number, for the benchmark of verdicts.

The physics is f · q ** u or f · s / (k + s), where f is a function of features or has a value for
each site, and perhaps plus m · w with another number m. Kinds of tasks differ in what f sees:

- "independent": features that have nothing to do with u, on which q acts (s is the exponential);
- "correlated": a feature with a correlation of 0.6, and "close": of 0.95;
- "determined": a feature that u determines, and "reads": u itself, beside another feature;
- "corrected": as "independent", beside a network that corrects the sum and sees w alone, or all;
- "sites": a value for each site, where u changes within sites, and "between": only between them.

The function can imitate the number in "determined", "reads" and "between", and the correction if it
sees all.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from skhybrid import Param, Physics

KINDS = (
    "independent",
    "correlated",
    "close",
    "determined",
    "reads",
    "corrected",
    "sites",
    "between",
)
N_TASKS = 48
CORRELATION = {"correlated": 0.6, "close": 0.95, "determined": 1.0}
POSITIVE = (0.0, None)


@dataclass
class VaryingTrustTask:
    """Rows, physics and the truth; ``imitable`` names the numbers that can be made up for."""

    name: str
    kind: str
    X: pd.DataFrame
    y: np.ndarray
    physics: Physics
    truth: dict
    imitable: tuple
    settings: dict = field(default_factory=dict)


def power(u, w, *, f=1.5, q=1.5):
    """Return f · q ** u."""
    return f * q**u


def saturation(u, w, *, f=1.5, k=1.0):
    """Return f · s / (k + s), where s is the exponential of u."""
    s = torch.exp(u)
    return f * s / (k + s)


def power_and_line(u, w, *, f=1.5, q=1.5, m=0.5):
    """Return the power and a line in another feature."""
    return power(u, w, f=f, q=q) + m * w


def saturation_and_line(u, w, *, f=1.5, k=1.0, m=0.5):
    """Return the saturation and a line in another feature."""
    return saturation(u, w, f=f, k=k) + m * w


LAWS = {
    "power": (power, power_and_line, "q", (1.2, 2.2)),
    "saturation": (saturation, saturation_and_line, "k", (0.5, 2.0)),
}


def draw_varying_trust_task(number):
    """Return the task of a number."""
    rng = np.random.default_rng([number, 41])
    kind = KINDS[number % len(KINDS)]
    law = list(LAWS)[rng.integers(2)]
    alone, with_line, unknown, span = LAWS[law]
    has_line = kind != "corrected" and rng.uniform() < 0.5
    sees_all = kind == "corrected" and rng.uniform() < 0.5
    n_rows = round(np.exp(rng.uniform(np.log(150), np.log(500))))
    noise = rng.uniform(0.02, 0.15)
    truth = {unknown: rng.uniform(*span)} | ({"m": rng.uniform(0.3, 1.0)} if has_line else {})
    X, values, varies, columns = _features(rng, kind, n_rows)
    known = (with_line if has_line else alone)(
        *(torch.tensor(X[name].to_numpy()) for name in ("u", "w")),
        f=torch.tensor(values),
        **{name: torch.tensor(value) for name, value in truth.items()},
    ).numpy()
    if kind == "corrected":
        known = known + 0.3 * known.std() * np.sin(2.0 * X["w"].to_numpy())
    y = known + noise * known.std() * rng.standard_normal(n_rows)
    physics = Physics(
        with_line if has_line else alone,
        f=Param(1.5, bounds=POSITIVE, **varies),
        **{unknown: Param(1.5 if unknown == "q" else 1.0, bounds=POSITIVE)},
    )
    imitable = (unknown,) if kind in ("determined", "reads", "between") or sees_all else ()
    settings = {}
    if kind == "corrected":
        settings = {"structure": "additive", "nn_features": None if sees_all else ["w"]}
    if kind in ("sites", "between"):  # by default, a correction would see u
        settings = {"structure": "none"}
    name = f"{number:03d} {kind}, {law}, {n_rows} rows, noise {noise:.2f}"
    name += (", sees all" if sees_all else "") + (", with a line" if has_line else "")
    return VaryingTrustTask(name, kind, X[columns], y, physics, truth, imitable, settings)


def _features(rng, kind, n_rows):
    """Return features, values of f, how it varies, and the columns of the table."""
    u, w, z, z2 = rng.uniform(-1.7, 1.7, (4, n_rows))
    if kind in ("sites", "between"):
        n_sites = int(rng.integers(8, 16))
        site = np.arange(n_rows) % n_sites
        of_sites = rng.uniform(-1.2, 1.2, n_sites)[site]
        u = of_sites + (0.6 * u if kind == "sites" else 0.0)
        values = 1.5 * np.exp(0.3 * rng.standard_normal(n_sites))[site]
        X = pd.DataFrame({"u": u, "w": w, "site": site})
        return X, values, {"per": "site"}, ["u", "w", "site"]
    if kind in CORRELATION:
        r = CORRELATION[kind]
        z = r * u + np.sqrt(1.0 - r**2) * z
        z = z + 0.3 * z**2 if kind == "determined" else z
    seen = {"z": z}
    if kind == "reads":
        seen["u"] = u
    elif rng.uniform() < 0.5:
        seen["z2"] = z2
    values = _function(rng, seen["z"], seen.get("z2", z))
    X = pd.DataFrame({"u": u, "w": w, "z": z, "z2": z2})
    return X, values, {"depends_on": [*seen]}, ["u", "w", "z", "z2"]


def _function(rng, z, z2):
    """Return a positive function: a wave, a hump or a step, and a slope in a second feature."""
    place = rng.uniform(-0.5, 0.5)
    shapes = (np.sin(1.5 * z + place), np.exp(-2.0 * (z - place) ** 2), np.tanh(3.0 * (z - place)))
    return 1.8 + rng.uniform(0.4, 1.0) * shapes[rng.integers(3)] + 0.2 * np.tanh(z2)
