"""Measure how a fit changes when the units of its data change.

Each task is fitted as it is, and again with the target, a feature, a parameter or the time in
another unit, with a constant added to the target, or with bounds that the parameters do not reach.
The table shows the largest differences of

- what least squares finds for the physics alone,
- the model after 20 steps of training: of its parameters, and of its prediction,
- the model after a fit with the defaults, unless the first steps are the same bit by bit,

relative to the parameter, or in standard deviations of the target. The last column is the standard
deviation of the parameter over seeds, relative to its mean: the error that a fit has anyway.

    python benchmarks/invariance.py --output benchmarks/results/invariance.csv
"""

import argparse
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from skhybrid import ODE, HybridRegressor, Param, Physics

SEEDS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Task:
    """Data and a model; ``params`` maps names to initial values and bounds."""

    name: str
    x: np.ndarray
    y: np.ndarray
    params: dict
    unit: dict = field(default_factory=dict)  # parameter in the physics = unit * parameter
    x_unit: tuple = (1.0, 1.0)
    y_unit: float = 1.0
    time_unit: float = 1.0
    times: np.ndarray | None = None

    def model(self, **options) -> HybridRegressor:
        """Return an unfitted model."""
        physics = Physics(_FUNCTIONS[self.name](self), **self.params)
        structure = "additive" if self.times is None else ODE(times=self.times * self.time_unit)
        seen = [1] if self.times is None else ["state_0", "state_1"]
        return HybridRegressor(physics, nn_features=seen, structure=structure, **options)

    def given(self) -> tuple[np.ndarray, np.ndarray]:
        """Return X and y in the units of the task."""
        return self.x * np.array(self.x_unit), self.y * self.y_unit


def decay(task):
    """Return a decaying signal on an offset."""

    def physics(x, *, height, rate, base):
        height, rate, base = (
            value * task.unit.get(name, 1.0)
            for name, value in (("height", height), ("rate", rate), ("base", base))
        )
        return (height * torch.exp(-rate * x / task.x_unit[0]) + base) * task.y_unit

    return physics


def spring(task):
    """Return the rates of a spring."""

    def physics(t, state, *, stiffness):
        stiffness = stiffness * task.unit.get("stiffness", 1.0)
        position, velocity = state.unbind(-1)
        rates = torch.stack([velocity, -stiffness * position], dim=-1)
        return rates / task.time_unit

    return physics


_FUNCTIONS = {"decay": decay, "spring": spring}


def tasks() -> list[Task]:
    """Return the tasks as they are."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 2.5, (200, 2))
    missing = 0.3 * np.sin(2.0 * x[:, 1])
    y = 3.0 * np.exp(-1.5 * x[:, 0]) + 4.0 + missing + 0.03 * rng.normal(size=200)
    params = {"height": Param(1.0), "rate": Param(1.0), "base": Param(2.5)}
    times = 0.3 * np.arange(1, 21)
    start = rng.uniform(-1.0, 1.0, (12, 2))
    damping, omega = 0.1, np.sqrt(1.7 - 0.1**2)
    phase = omega * times
    position = np.exp(-damping * times) * (
        start[:, :1] * np.cos(phase)
        + (start[:, 1:] + damping * start[:, :1]) / omega * np.sin(phase)
    )
    velocity = np.gradient(position, times, axis=1)
    velocity = np.exp(-damping * times) * (
        start[:, 1:] * np.cos(phase)
        - (1.7 * start[:, :1] + damping * start[:, 1:]) / omega * np.sin(phase)
    )
    states = np.stack([position, velocity], axis=-1)
    states = states + 0.02 * rng.normal(size=states.shape)
    return [
        Task("decay", x, y, params),
        Task("spring", start, states, {"stiffness": Param(1.0)}, times=times),
    ]


def changes(task: Task) -> dict[str, tuple[Task, dict, float]]:
    """Return changed tasks, with the shifts of parameters and of the target."""
    name = next(iter(task.params))
    changed = {}
    for factor in (2.0**20, 2.0**-20, 1e6, 1e-6):
        shown = f"2^{np.log2(factor):.0f}" if np.log2(factor) % 1 == 0 else f"{factor:g}"
        scaled = {
            key: Param(param.init / factor) if key == name else param
            for key, param in task.params.items()
        }
        if task.times is None:
            changed[f"target, {shown}"] = replace(task, y_unit=factor), {}, 0.0
            changed[f"feature, {shown}"] = replace(task, x_unit=(factor, factor)), {}, 0.0
        else:
            both = replace(task, y_unit=factor, x_unit=(factor, factor))
            changed[f"target, {shown}"] = both, {}, 0.0
            changed[f"time, {shown}"] = replace(task, time_unit=factor), {}, 0.0
        changed[f"parameter, {shown}"] = (
            replace(task, params=scaled, unit={name: factor}),
            {},
            0.0,
        )
    for limits, text in (((0.0, None), "low"), ((0.0, 1e3), "low and high")):
        bounded = {key: Param(param.init, limits) for key, param in task.params.items()}
        changed[f"bounds not reached, {text}"] = replace(task, params=bounded), {}, 0.0
    if task.times is None:
        for shift in (100.0, 1e5):
            changed[f"offset, {shift:g}"] = (
                replace(task, y=task.y + shift),
                {"base": shift},
                shift,
            )
    return changed


def fitted(task: Task, **options) -> tuple[np.ndarray, np.ndarray]:
    """Return the parameters and the predictions of a fit, both in the original units."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X, y = task.given()
        model = task.model(**options).fit(X, y)
        values = [value * task.unit.get(name, 1.0) for name, value in model.physics_params_.items()]
        return np.array(values), model.predict(X) / task.y_unit


def compare(task: Task, dtype: str, full: bool) -> list[dict]:
    """Return one row for every change of a task."""
    modes = {
        "least squares": {"nn": None},
        "20 steps": {"batch_size": None, "max_epochs": 20, "refine_rho": None},
    }
    if full:
        modes["full fit"] = {}
    reference = {
        mode: fitted(task, dtype=dtype, random_state=0, **options)
        for mode, options in modes.items()
    }
    over_seeds = np.nan
    if full:
        values = np.stack([fitted(task, dtype=dtype, random_state=seed)[0] for seed in SEEDS])
        over_seeds = float(np.max(values.std(axis=0, ddof=1) / np.abs(values.mean(axis=0))))
    rows = []
    for text, (changed, shifts, shift) in changes(task).items():
        row = {"task": task.name, "dtype": dtype, "change": text}
        offset = np.array([shifts.get(name, 0.0) for name in task.params])
        for mode, options in modes.items():
            if mode == "full fit" and row["20 steps, theta"] == 0.0:
                continue  # the first steps are the same bit by bit, and so are all others
            theta, prediction = reference[mode]
            found, predicted = fitted(changed, dtype=dtype, random_state=0, **options)
            spread = task.y.std()
            row[f"{mode}, theta"] = np.max(np.abs((found - offset) / theta - 1.0))
            row[f"{mode}, prediction"] = np.max(np.abs(predicted - shift - prediction)) / spread
        row["theta over seeds"] = over_seeds
        rows.append(row)
        print({k: f"{v:.1e}" if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return rows


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtypes", nargs="+", default=["float64", "float32"])
    parser.add_argument("--no-full-fits", action="store_true", help="leave the full fits out")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = [
        row
        for task in tasks()
        for dtype in arguments.dtypes
        for row in compare(task, dtype, not arguments.no_full_fits)
    ]
    if arguments.output is not None:
        pd.DataFrame(rows).to_csv(arguments.output, index=False, float_format="%.2g")
        print(f"The table: {arguments.output}")


if __name__ == "__main__":
    main()
