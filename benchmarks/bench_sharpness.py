"""Relate the sharpness of fitted networks to the error of θ, on random tasks with known θ.

The script fits 30 tasks of random_tasks.py with SAM at several radii, from three networks each. A
radius of zero is Adam: both steps have the same gradient. Only the first phase is fitted, which
determines θ. Then skhybrid.inspection.sharpness measures the gap, with the same radius for all
fits, and the curvature, of each layer and of all together.

The summary has Spearman's rank correlations between the size of the error of θ and each measure:

- over ρ: within a task, between the means over networks at each radius. The table has the mean over
  tasks, with twice its standard error.
- over networks: within a task at one radius, between the three networks; the mean over tasks and
  radii, with twice the standard error over tasks.
- over tasks: between tasks at one radius; the mean over radii, with the smallest and the largest.

"Relative" measures are divided by the training loss. The training loss and the prediction error on
1,000 clean rows are there to compare with. The last table says what θ is worth if the radius of a
task is the one with the least of a measure, relative to the default radius; errors below 0.1 %
count as 0.1 %.

    python benchmarks/bench_sharpness.py --output benchmarks/results/sharpness.csv

Rows are written as tasks end. The same command goes on where it was stopped. ``--summary`` prints
the tables of a file without fitting.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from random_tasks import KINDS, draw_task
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from skhybrid import HybridRegressor, Physics
from skhybrid.batching.batch_training import train_tasks
from skhybrid.batching.fit_tasks import FitTasks, TrialKeys
from skhybrid.inspection import sharpness

FIRST_TASK, N_TASKS = 600, 30
RADII = (0.0, 0.02, 0.05, 0.1, 0.2)
DEFAULT = 0.05
NETWORKS = range(3)
FLOOR = 0.1
ERROR, PREDICTION, LOSS = "error of theta, %", "prediction error", "training loss"


def fit_task(number):
    """Fit one task with all radii and networks side by side; return a row for each fit."""
    task = draw_task(number, 0)
    physics = Physics(task.physics())
    models = {
        (rho, seed): HybridRegressor(physics, rho=rho, refine_rho=None, random_state=seed)
        for rho in RADII
        for seed in NETWORKS
    }
    tasks = FitTasks()
    for i, model in enumerate(models.values()):
        tasks.add(model, TrialKeys(i), 0, task.X, task.y, None)
    train_tasks(tasks.tasks)
    rows = []
    for (rho, seed), model in models.items():
        error = np.sqrt(np.mean((model.predict(task.X_test) - task.y_test) ** 2))
        row = {
            "task": number,
            "kind": task.kind,
            "noise": task.noise,
            "rho": rho,
            "network": seed,
            ERROR: 100 * (model.physics_params_["k"] / task.k - 1),
            PREDICTION: error / np.std(task.y_test),
            LOSS: model.loss_,
        }
        for name, layer in sharpness(model, task.X, task.y).rows.items():
            name = name.removesuffix(".weight")
            row |= {f"gap, {name}": layer["gap"], f"curvature, {name}": layer["curvature"]}
        rows.append(row)
    return rows


def run(output):
    """Run what the file does not have yet; return all rows."""
    rows = []
    if output is not None and output.exists():
        rows = pd.read_csv(output).to_dict("records")
    done = {row["task"] for row in rows}
    for number in range(FIRST_TASK, FIRST_TASK + N_TASKS):
        if number in done:
            continue
        rows += fit_task(number)
        if output is not None:
            pd.DataFrame(rows).to_csv(output, index=False, float_format="%.5g")
    return pd.DataFrame(rows)


def with_relative(results):
    """Return the results with the size of the error and relative measures, and the measures."""
    results = results.assign(error=results[ERROR].abs())
    measures = [name for name in results if name.startswith(("gap", "curvature"))]
    together = [name for name in measures if name.endswith("all layers")]
    for name in together:
        results[f"relative {name}"] = results[name] / results[LOSS]
    return results, [*measures, *(f"relative {name}" for name in together), LOSS, PREDICTION]


def rank_correlation(rows, measure):
    """Return Spearman's rank correlation between the size of the error and a measure."""
    return spearmanr(rows["error"], rows[measure]).statistic


def mean_and_error(values):
    """Return a mean as text, with twice its standard error."""
    values = np.asarray(values)[np.isfinite(values)]
    return f"{values.mean():+.2f} ± {2 * values.std(ddof=1) / np.sqrt(len(values)):.2f}"


def correlations(results, measures):
    """Return a table of the correlations, as texts."""
    means = results.groupby(["task", "rho"])[["error", *measures]].mean().reset_index()
    found = {}
    for measure in measures:
        over_rho = [rank_correlation(own, measure) for _, own in means.groupby("task")]
        over_networks = [
            np.nanmean([rank_correlation(each, measure) for _, each in own.groupby("rho")])
            for _, own in results.groupby("task")
        ]
        over_tasks = [rank_correlation(own, measure) for _, own in means.groupby("rho")]
        spread = f"{min(over_tasks):+.2f} to {max(over_tasks):+.2f}"
        found[measure] = {
            "over ρ": mean_and_error(over_rho),
            "over networks": mean_and_error(over_networks),
            "over tasks": f"{np.mean(over_tasks):+.2f} ({spread})",
        }
    return found


def chosen_by(results, measures):
    """Return the errors of θ at the radius with the least of a measure, relative to the default."""
    means = results.groupby(["task", "rho"])[["error", *measures]].mean().reset_index()
    floored = means.assign(error=means["error"].clip(lower=FLOOR)).set_index(["task", "rho"])
    default = floored["error"].xs(DEFAULT, level="rho")
    found = {}
    for name in [*measures, "error"]:
        best = floored[name].groupby("task").idxmin()
        ratio = floored.loc[best, "error"].droplevel("rho") / default
        radii = pd.Series([rho for _, rho in best]).value_counts().sort_index()
        found[name] = {
            "geometric mean": f"{np.exp(np.log(ratio).mean()):.2f}",
            "above 1.3": str((ratio > 1.3).sum()),
            "radii": ", ".join(f"{rho:g}: {count}" for rho, count in radii.items()),
        }
    found["the truth"] = found.pop("error")
    return found


def print_table(title, rows):
    """Print a table of texts, by name of the row and of the column."""
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for heading in next(iter(rows.values())):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in rows.items():
        table.add_row(name, *row.values())
    Console(width=130).print(table)


def summarise(results):
    """Print the errors by radius, the correlations, and the errors at chosen radii."""
    results, measures = with_relative(results)
    shown = {}
    for rho, own in results.groupby("rho"):
        medians = own[["error", LOSS, "gap, all layers", "curvature, all layers"]].median()
        kinds = {kind: own.loc[own["kind"] == kind, "error"].median() for kind in KINDS}
        shown[f"ρ = {rho:g}"] = {
            name: f"{value:.2g}" for name, value in [*medians.items(), *kinds.items()]
        }
    print_table(f"Medians over {results['task'].nunique()} tasks and their networks", shown)
    title = "Rank correlations with the size of the error of θ"
    print_table(title, correlations(results, measures))
    print_table(
        "Errors of θ at the radius with the least ..., relative to the default radius",
        chosen_by(results, measures),
    )
    for kind in KINDS:
        own = results[results["kind"] == kind]
        few = [name for name in measures if not name[-1].isdigit()]
        print_table(f"{title}; missing part: {kind}", correlations(own, few))


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--summary", action="store_true", help="print the tables of the file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results = pd.read_csv(arguments.output) if arguments.summary else run(arguments.output)
    summarise(results)


if __name__ == "__main__":
    main()
