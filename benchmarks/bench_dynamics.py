"""Measure the errors of θ and of the rollouts of hybrid differential equations.

The tasks:

- Pendulum: the physics lacks friction. The data have no noise, noise of 0.02, or noise of 0.1.
- Duffing oscillator: the physics lacks damping. The network sees the whole state, or only the
  velocity.
- Predators and prey: the physics lacks a term in predators².
- Lynx and hare: measured data; the truth is unknown.

The script fits each task with the defaults, with plain Adam and with the physics alone. It fits the
pendulum and the Duffing oscillator from two initial values of θ. It tests rollouts over the full
length of new trajectories without noise, as many as in training. Each fit uses one thread.

The defaults were chosen without looking at the default seeds.

    python benchmarks/bench_dynamics.py --output benchmarks/results/dynamics.csv
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from skhybrid import ODE, HybridRegressor, Physics
from skhybrid.datasets import load_lynx_hare, make_duffing, make_lotka_volterra, make_pendulum
from skhybrid.exceptions import CollapseWarning

PENDULUM_STARTS = [{"omega2": 0.2}, {"omega2": 2.5}]
DUFFING_STARTS = [{"linear": 0.2, "cubic": 0.2}, {"linear": 2.5, "cubic": 2.5}]
# Name: (data generator, its arguments, initial values of θ, further settings of the regressor).
TASKS = {
    "pendulum": (make_pendulum, {}, PENDULUM_STARTS, {}),
    "pendulum, noise 0.02": (make_pendulum, {"noise": 0.02}, PENDULUM_STARTS, {}),
    "pendulum, noise 0.1": (make_pendulum, {"noise": 0.1}, PENDULUM_STARTS, {}),
    "Duffing": (make_duffing, {}, DUFFING_STARTS, {}),
    "Duffing, network sees velocity": (make_duffing, {}, DUFFING_STARTS, {"nn_features": [1]}),
    "predators and prey": (make_lotka_volterra, {}, [{}], {}),
}
MODELS = {
    "physics alone": {"nn": None},
    "Adam": {"optimizer": "adam"},
    "SAM": {},
}
LYNX_HARE = "lynx and hare"


def fit_one(task, model, start, seed):
    """Fit one model and return its errors."""
    make, arguments, starts, settings = TASKS[task]
    data = make(random_state=seed, **arguments)
    test = make(random_state=10_000 + seed)
    estimator = HybridRegressor(
        Physics(data.physics, **starts[start]),
        structure=ODE(dt=data.dt),
        random_state=seed,
        **settings,
        **MODELS[model],
    )
    began = time.process_time()
    estimator.fit(data.data, data.target)
    seconds = time.process_time() - began
    errors = {
        name: 100 * (estimator.physics_params_[name] / truth - 1)
        for name, truth in data.physics_params.items()
    }
    squares = (estimator.predict(test.data) - test.target) ** 2
    return {
        "largest error of theta, %": max(errors.values(), key=abs),
        "errors of theta, %": ", ".join(f"{name} {error:+.3g}" for name, error in errors.items()),
        "test MSE": squares.mean(),
        "median MSE of a trajectory": np.median(squares.mean(axis=(1, 2))),
        "CPU seconds": seconds,
    }


def fit_lynx_hare(model, seed):
    """Fit the pelt counts; return the physics parameters and the R² of the rollout."""
    pelts = load_lynx_hare()
    estimator = HybridRegressor(
        pelts.physics,
        structure=ODE(dt=1.0, substeps=2, window=5, initial_state="learned", continuity=10.0),
        random_state=seed,
        **MODELS[model],
    )
    began = time.process_time()
    estimator.fit(pelts.data, pelts.target)
    seconds = time.process_time() - began
    squares = (estimator.predict(estimator.initial_states_) - pelts.target) ** 2
    shown = (f"{name}={value:.3g}" for name, value in estimator.physics_params_.items())
    return {
        "errors of theta, %": ", ".join(shown),
        "test MSE": squares.mean(),
        "R2": 1 - squares.mean() / pelts.target.var(axis=1).mean(),
        "CPU seconds": seconds,
    }


def main():
    """Run the tasks from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=[*TASKS, LYNX_HARE])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", CollapseWarning)
    rows = []
    for task in arguments.tasks:
        for model in arguments.models:
            for start in range(1 if task == LYNX_HARE else len(TASKS[task][2])):
                for seed in arguments.seeds:
                    found = (
                        fit_lynx_hare(model, seed)
                        if task == LYNX_HARE
                        else fit_one(task, model, start, seed)
                    )
                    rows.append(
                        {"task": task, "model": model, "start": start, "seed": seed} | found
                    )
                    if arguments.output is not None:
                        results = pd.DataFrame(rows)
                        results.to_csv(arguments.output, index=False, float_format="%.5g")
    print_table(pd.DataFrame(rows), len(arguments.seeds))


def print_table(results, n_seeds):
    """Print means and maxima over seeds and starts."""
    table = Table(title=f"Hybrid differential equations, {n_seeds} seeds and all starts")
    table.add_column("task", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for heading in (
        "largest error\nof θ, %",
        "test MSE\nmean",
        "test MSE\nlargest",
        "CPU\nseconds",
    ):
        table.add_column(heading, justify="right")
    for (task, model), group in results.groupby(["task", "model"], sort=False):
        errors = group.get("largest error of theta, %", pd.Series(dtype=float)).abs()
        table.add_row(
            task,
            model,
            f"{errors.max():.2f}" if errors.notna().any() else "",
            f"{group['test MSE'].mean():.2g}",
            f"{group['test MSE'].max():.2g}",
            f"{group['CPU seconds'].mean():.1f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
