"""Compare lengths and first states of training windows at several levels of noise.

The tasks are the pendulum (friction missing) and the Duffing oscillator (damping missing). For
Duffing the network sees only the velocity, so only noise biases θ. The noise goes up to ten per
cent of the amplitude. Windows of several lengths begin at observed or at learned states. Each fit
has only the first phase, which estimates θ.

    python benchmarks/bench_windows.py --output benchmarks/results/windows.csv
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from skhybrid import ODE, HybridRegressor
from skhybrid.datasets import make_duffing, make_pendulum
from skhybrid.exceptions import CollapseWarning

TASKS = {
    "pendulum": (make_pendulum, [0.0, 0.05, 0.2], {}),
    "Duffing": (make_duffing, [0.0, 0.05, 0.2], {"nn_features": [1]}),
}
STRUCTURES = {
    "observed, 2": {"window": 2, "initial_state": "given"},
    "observed, 5": {"window": 5, "initial_state": "given"},
    "learned, 5": {"window": 5, "initial_state": "learned"},
}


def fit_one(task, noise, structure, seed):
    """Fit one model and return its errors."""
    make, _, settings = TASKS[task]
    data = make(noise=noise, random_state=seed)
    test = make(random_state=10_000 + seed)
    model = HybridRegressor(
        data.physics,
        structure=ODE(dt=data.dt, **STRUCTURES[structure]),
        refine_rho=None,
        random_state=seed,
        **settings,
    )
    began = time.process_time()
    model.fit(data.data, data.target)
    seconds = time.process_time() - began
    errors = [
        100 * (model.physics_params_[name] / truth - 1)
        for name, truth in data.physics_params.items()
    ]
    squares = (model.predict(test.data) - test.target) ** 2
    return {
        "error of theta, %": max(errors, key=abs),
        "median MSE": np.median(squares.mean(axis=(1, 2))),
        "CPU seconds": seconds,
    }


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[10, 11])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", CollapseWarning)
    rows = []
    for task in arguments.tasks:
        for noise in TASKS[task][1]:
            for structure in STRUCTURES:
                for seed in arguments.seeds:
                    found = fit_one(task, noise, structure, seed)
                    keys = {"task": task, "noise": noise, "windows": structure, "seed": seed}
                    rows.append(keys | found)
                    if arguments.output is not None:
                        results = pd.DataFrame(rows)
                        results.to_csv(arguments.output, index=False, float_format="%.5g")
    table = Table(title="Error of θ, %: mean ± standard deviation over seeds")
    for column in ("task", "windows"):
        table.add_column(column, no_wrap=True)
    results = pd.DataFrame(rows)
    levels = sorted(results["noise"].unique())
    for noise in levels:
        table.add_column(f"noise {noise:g}", justify="right")
    table.add_column("seconds", justify="right")
    for (task, structure), group in results.groupby(["task", "windows"], sort=False):
        cells = []
        for noise in levels:
            errors = group.loc[group["noise"] == noise, "error of theta, %"]
            cells.append(f"{errors.mean():+.2f} ± {errors.std():.2f}")
        table.add_row(task, structure, *cells, f"{group['CPU seconds'].mean():.0f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
