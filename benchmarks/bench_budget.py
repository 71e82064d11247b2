"""Compare learning rates and numbers of steps, the basis of the defaults.

The script fits two of the static tasks with several learning rates and numbers of steps. It reports
the error of θ, and the error of the prediction compared with plain Adam at the same learning rate
and number of steps. The defaults of ``max_epochs`` and ``learning_rate`` rest on these results.

    python benchmarks/bench_budget.py --output benchmarks/results/bench_budget.csv
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from static_tasks import TASKS, fit_one

LEARNING_RATES = (3e-3, 6e-3, 1.2e-2)
STEPS = (1500, 3000, 6000)
BATCH_SIZE = 64
DEFAULT_TASKS = ["drag, 400 rows, noise 0.05", "wiggly, 400 rows, noise 0.05"]


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", default=DEFAULT_TASKS, choices=list(TASKS))
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = []
    for task in arguments.tasks:
        n_batches = int(np.ceil(TASKS[task]["n_samples"] / BATCH_SIZE))
        for rate in LEARNING_RATES:
            for steps in STEPS:
                options = {
                    "learning_rate": rate,
                    "max_epochs": round(steps / n_batches),
                    "batch_size": BATCH_SIZE,
                }
                for seed in arguments.seeds:
                    adam = fit_one(
                        task, options | {"optimizer": "adam"}, 1.0, seed, "least_squares"
                    )
                    sam = fit_one(task, options, 1.0, seed, "least_squares")
                    rows.append(
                        {"task": task, "learning rate": rate, "steps": steps, "seed": seed}
                        | {"Adam's RMSE": adam["RMSE"]}
                        | sam
                    )
    results = pd.DataFrame(rows)
    table = Table(
        title=f"SAM with defaults except learning rate and steps, {len(arguments.seeds)} seeds"
    )
    table.add_column("task", no_wrap=True)
    for heading in ("learning rate", "steps", "RMS error\nof θ, %", "RMSE /\nAdam's", "seconds"):
        table.add_column(heading, justify="right")
    for (task, rate, steps), group in results.groupby(
        ["task", "learning rate", "steps"], sort=False
    ):
        ratio = group["RMSE"].mean() / group["Adam's RMSE"].mean()
        table.add_row(
            task,
            f"{rate:g}",
            f"{steps}",
            f"{np.sqrt(np.mean(group['error of omega2, %'] ** 2)):.1f}",
            f"{ratio:.2f}",
            f"{group['seconds'].mean():.1f}",
        )
    Console(width=110).print(table)
    if arguments.output is not None:
        results.to_csv(arguments.output, index=False, float_format="%.5g")
        print(f"Results of all fits: {arguments.output}")


if __name__ == "__main__":
    main()
