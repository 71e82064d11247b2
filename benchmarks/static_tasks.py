"""Measure the errors of θ and of the prediction on static tasks with known truth.

The four tasks predict the angular acceleration of a pendulum; the physics has −ω₀² sin(angle).
Three tasks lack drag: in clean data, in noisy data, and in few and very noisy data. The fourth task
lacks a wiggly term. The script fits each task with the defaults from two initial values, and
compares the fits with plain Adam and with SAM without the refinement. The test data are 1,000
clean rows that are not in the training data.

The defaults of the estimator were chosen without looking at the default seeds.

    python benchmarks/static_tasks.py --output benchmarks/results/static_tasks.csv
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from skhybrid import HybridRegressor, Physics
from skhybrid.datasets import make_pendulum_acceleration, pendulum_acceleration

TASKS = {
    "drag, 400 rows, clean": {"missing": "drag", "n_samples": 400, "noise": 0.0},
    "drag, 400 rows, noise 0.05": {"missing": "drag", "n_samples": 400, "noise": 0.05},
    "drag, 100 rows, noise 0.2": {"missing": "drag", "n_samples": 100, "noise": 0.2},
    "wiggly, 400 rows, noise 0.05": {"missing": "wiggly", "n_samples": 400, "noise": 0.05},
}
MODELS = {
    "Adam": {"optimizer": "adam"},
    "SAM, one phase": {"refine_rho": None},
    "SAM": {},
}
STARTS = (0.2, 2.5)
N_TEST_ROWS = 1000


def fit_one(task, options, start, seed, physics_init):
    """Fit one model and return its errors."""
    data = make_pendulum_acceleration(**TASKS[task], random_state=seed)
    test = make_pendulum_acceleration(
        N_TEST_ROWS, missing=TASKS[task]["missing"], noise=0.0, random_state=10_000 + seed
    )
    model = HybridRegressor(
        Physics(pendulum_acceleration, omega2=start),
        physics_init=physics_init,
        random_state=seed,
        **options,
    )
    began = time.perf_counter()
    model.fit(data.data, data.target)
    seconds = time.perf_counter() - began
    error = model.physics_params_["omega2"] / data.physics_params["omega2"] - 1
    rmse = np.sqrt(np.mean((model.predict(test.data) - test.target) ** 2))
    return {"error of omega2, %": 100 * error, "RMSE": rmse, "seconds": seconds}


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102, 103, 104])
    parser.add_argument(
        "--inits", nargs="+", default=["least_squares", "given"], help="values of physics_init"
    )
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = [
        {"task": task, "physics_init": init, "model": name, "start": start, "seed": seed}
        | fit_one(task, options, start, seed, init)
        for task in TASKS
        for init in arguments.inits
        for name, options in MODELS.items()
        for start in STARTS
        for seed in arguments.seeds
    ]
    results = pd.DataFrame(rows)
    groups = results.groupby(["task", "physics_init", "model"], sort=False)
    adam = results[results["model"] == "Adam"].groupby(["task", "physics_init"])["RMSE"].mean()
    table = Table(title=f"Pendulum acceleration, {len(arguments.seeds)} seeds")
    for column in ("task", "physics_init", "model"):
        table.add_column(column, no_wrap=True)
    headings = [f"error of θ\nfrom {start:g}, %" for start in STARTS]
    headings += ["largest\nerror, %", "RMSE\nrad s^-2", "RMSE /\nAdam's", "seconds"]
    for heading in headings:
        table.add_column(heading, justify="right")
    for (task, init, model), group in groups:
        error = group["error of omega2, %"]
        rmse = group["RMSE"].mean()
        table.add_row(
            task,
            init,
            model,
            *(f"{error[group['start'] == start].mean():+.1f}" for start in STARTS),
            f"{error.abs().max():.1f}",
            f"{rmse:.4f}",
            f"{rmse / adam[task, init]:.2f}",
            f"{group['seconds'].mean():.1f}",
        )
    Console(width=150).print(table)
    if arguments.output is not None:
        results.to_csv(arguments.output, index=False, float_format="%.5g")
        print(f"Results of all fits: {arguments.output}")


if __name__ == "__main__":
    main()
