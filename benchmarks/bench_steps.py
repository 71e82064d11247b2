"""Compare the automatic number of steps for tables with 3,000 steps along a cosine.

With ``max_epochs="auto"``, the first phase of a table takes 1,500 steps: constant learning rates,
half as large again, that decay in the last quarter. The script fits tasks with known truth both
ways, with both phases and otherwise with the defaults: the static tasks of static_tasks.py from
three starts, and 40 random static tasks in tables of 100 to 800 rows. Fits of the same length are
trained side by side.

An error of θ is relative, in per cent. A prediction error is the root mean square error on 1,000
clean rows, relative to the target's standard deviation. A task's error is the root mean square over
its seeds. Errors below a floor (0.1 % of θ, 0.001 of the standard deviation) count as it. The
third fit, "again", repeats the 3,000 steps with other random numbers: its ratios are noise.

The form and constants of the schedule were chosen on seeds 11 to 13 and on other random tasks.

    python benchmarks/bench_steps.py --output benchmarks/results/steps.csv
"""

import argparse
import math
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import static_tasks
import torch
from random_tasks import EFFECTS, draw_task
from rich.console import Console
from rich.table import Table

from skhybrid import HybridRegressor, Physics
from skhybrid.batching.batch_training import train_tasks
from skhybrid.batching.fit_tasks import FitTasks, TrialKeys
from skhybrid.datasets import make_pendulum_acceleration, pendulum_acceleration
from skhybrid.training.schedule import AUTO_BATCH_SIZE, AUTO_STEPS

SIZES = (100, 160, 400, 800)
N_TASKS_OF_SIZE = 10
FIRST_TASK = 300
FLOORS = {"error of theta, %": 0.1, "prediction error": 1e-3}
STARTS = (("least_squares", 2.5), ("given", 0.2), ("given", 2.5))
CHOICES = ("cosine", "auto", "again")


def effect(a, b, c, known, *, k=1.0):
    """Return the known effect, whose shape is a column of the table."""
    return k * known


def static_group(name, seeds):
    """Yield the fits of a static task: task, seed, model, rows, test rows and the true θ."""
    settings = static_tasks.TASKS[name]
    for seed in seeds:
        data = make_pendulum_acceleration(**settings, random_state=seed)
        test = make_pendulum_acceleration(
            static_tasks.N_TEST_ROWS,
            missing=settings["missing"],
            noise=0.0,
            random_state=10_000 + seed,
        )
        for init, start in STARTS:
            physics = Physics(pendulum_acceleration, omega2=start)
            model = HybridRegressor(physics, physics_init=init, random_state=seed)
            rows = (data.data, data.target), (test.data, test.target)
            yield f"{name}, {init} {start:g}", seed, model, *rows, data.physics_params


def random_group(number, seeds):
    """Yield the fits of the random tasks of one size."""
    for task in range(N_TASKS_OF_SIZE):
        for seed in seeds:
            drawn = draw_task(
                FIRST_TASK + N_TASKS_OF_SIZE * number + task, seed, n_rows=SIZES[number]
            )
            shape = EFFECTS[drawn.effect]
            X, X_test = (
                np.column_stack([rows, shape(torch.from_numpy(rows[:, 0])).numpy()])
                for rows in (drawn.X, drawn.X_test)
            )
            model = HybridRegressor(Physics(effect), nn_features=[0, 1, 2], random_state=seed)
            yield drawn.name, seed, model, (X, drawn.y), (X_test, drawn.y_test), {"k": drawn.k}


def fit_group(group, choice):
    """Fit a group side by side; return a row for each fit."""
    tasks, rows = FitTasks(), []
    for i, (_, seed, model, (X, y), _, _) in enumerate(group):
        if choice != "auto":
            n_batches = math.ceil(len(y) / AUTO_BATCH_SIZE)
            model.set_params(max_epochs=math.ceil(AUTO_STEPS / n_batches))
        if choice == "again":
            model.set_params(random_state=1000 + seed)
        tasks.add(model, TrialKeys(i), 0, X, y, None)
    began = time.process_time()
    train_tasks(tasks.tasks)
    seconds = (time.process_time() - began) / len(group)
    for name, seed, model, _, (X, y), truth in group:
        ((parameter, true),) = truth.items()
        error = np.sqrt(np.mean((model.predict(X) - y) ** 2)) / np.std(y)
        rows.append(
            {
                "task": name,
                "seed": seed,
                "steps": choice,
                "error of theta, %": 100 * (model.physics_params_[parameter] / true - 1),
                "prediction error": error,
                "CPU seconds": seconds,
            }
        )
    return rows


def summarise(results):
    """Print the ratios of the errors to those of the cosine."""
    table = Table(title="Errors relative to 3,000 steps along a cosine")
    for heading in ("steps", "error", "tasks", "geometric mean", "above 1.3", "below 1 / 1.3"):
        table.add_column(heading)
    for name, floor in FLOORS.items():
        groups = results.groupby(["steps", "task"])[name]
        errors = groups.apply(lambda own, least=floor: max(least, np.sqrt(np.mean(own**2))))
        for choice in CHOICES[1:]:
            if choice not in errors.index.levels[0]:
                continue
            ratio = errors[choice] / errors["cosine"]
            mean = f"{np.exp(np.log(ratio).mean()):.3f}"
            counts = (len(ratio), mean, (ratio > 1.3).sum(), (ratio < 1 / 1.3).sum())
            table.add_row(choice, name, *(str(each) for each in counts))
    Console(width=120).print(table)
    print(results.groupby("steps")["CPU seconds"].sum().round(1).to_string())


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", nargs="+", default=CHOICES, choices=CHOICES)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for choice in arguments.steps:
        groups = [static_group(name, arguments.seeds) for name in static_tasks.TASKS]
        groups += [random_group(number, arguments.seeds) for number in range(len(SIZES))]
        for group in groups:
            rows += fit_group(list(group), choice)
            if arguments.output is not None:
                pd.DataFrame(rows).to_csv(arguments.output, index=False, float_format="%.5g")
    summarise(pd.DataFrame(rows))


if __name__ == "__main__":
    main()
