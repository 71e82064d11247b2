"""Tasks as people have them (people_tasks.py): errors of numbers, functions and free runs.

A drug trial of 16 subjects at irregular times, whose elimination saturates and differs between
subjects: the volume is a number, the elimination a function of amount and weight. An epidemic in
four regions of which only the infected are observed, at irregular days: the contact rate is a
function of time, the recovery rate has a prior. Models: the estimator's defaults, plain Adam, the
physics alone. "R2 of the function" compares values along the free runs with the truth; free runs
are judged on new subjects and regions without noise, in standard deviations.

    python benchmarks/bench_people.py --output benchmarks/results/people.csv
    python benchmarks/bench_people.py --output benchmarks/results/people.csv \\
        --text docs/reports/people.txt

The second command only writes the table of the results, means over seeds.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from people_tasks import drug_task, epidemic_task
from rows_to_csv import rows_to_csv

from skhybrid import HybridRegressor

SEEDS = (11, 12, 13)
MODELS = {"default": {}, "Adam": {"optimizer": "adam"}, "physics alone": {"nn": None}}


def measure(make, name, options, seed):
    """Return a row: errors of one model on one task."""
    task = make(seed, varies=name != "physics alone")
    began = time.process_time()
    model = HybridRegressor(
        task.physics,
        structure=task.structure(),
        random_state=seed,
        **task.data.regressor,
        **options,
    ).fit(task.data.X, task.data.y)
    seconds = time.process_time() - began
    row = {"task": task.name, "model": name, "seed": seed, "CPU s": round(seconds, 1)}
    for parameter, true in task.truth.items():
        error = 100.0 * (model.physics_params_[parameter] / true - 1.0)
        row |= {"parameter": parameter, "error %": round(error, 2)}
    known = [~np.isnan(each[:, 0]) for each in task.test.y]
    row["R2 of the function"] = np.nan
    if name != "physics alone":
        found = model.predict_params(task.test.X)[task.varying]
        found = np.concatenate([each[k] for each, k in zip(found, known, strict=True)])
        true = np.concatenate([each.to_numpy() for each in task.values])
        row["R2 of the function"] = round(float(1.0 - np.mean((found - true) ** 2) / true.var()), 3)
    runs = model.predict(task.test.X)
    pairs = zip(runs, task.test.y, known, strict=True)
    gaps = np.concatenate([run[k, 0] - y[k, 0] for run, y, k in pairs])
    spread = np.concatenate([y[k, 0] for y, k in zip(task.test.y, known, strict=True)]).std()
    row["error of free runs"] = round(float(np.sqrt(np.mean(gaps**2)) / spread), 4)
    row["finite"] = bool(np.isfinite(gaps).all())
    return row


def table(results):
    """Return means over seeds as text; of the error of the number, the mean size."""
    results["error %"] = results["error %"].abs()
    columns = ["error %", "R2 of the function", "error of free runs", "CPU s"]
    means = results.groupby(["task", "model"], sort=False)[columns].mean()
    shown = means.round(
        {"error %": 1, "R2 of the function": 2, "error of free runs": 3, "CPU s": 0}
    )
    return shown.reset_index().to_string(index=False, na_rep="") + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--text", type=Path, help="write the table of the results to this file")
    arguments = parser.parse_args()
    if arguments.text:
        arguments.text.write_text(table(pd.read_csv(arguments.output)))
        return
    warnings.simplefilter("ignore")
    rows = (
        measure(make, name, options, seed)
        for seed in SEEDS
        for make in (drug_task, epidemic_task)
        for name, options in MODELS.items()
    )
    rows_to_csv(rows, arguments.output)


if __name__ == "__main__":
    main()
