"""Parameters that depend on features: errors of numbers, of functions and of predictions.

Simulated tasks (varying_tasks.py): a respiration whose base depends on moisture and radiation, with
temperature and moisture uncorrelated and correlated (0.6), noise 5 %, 2,000 rows; four epidemics,
whose contact rate drops at day 60, with susceptible and infected observed and noise of 3 %.
Models: the estimator's defaults, plain Adam, the physics alone (all parameters are numbers), the
network alone. "R2 of the function" compares values of the varying parameter with the truth in new
rows; the error of the prediction is the root mean square on new rows without noise, or of free runs
on new epidemics, in standard deviations.

    python benchmarks/bench_varying.py --output benchmarks/results/varying.csv
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from rows_to_csv import rows_to_csv
from varying_tasks import DROP_DAY, tasks

from skhybrid import HybridRegressor

SEEDS = (11, 12, 13)
MODELS = {
    "default": {},
    "Adam": {"optimizer": "adam"},
    "physics alone": {"nn": None},
    "network alone": {"physics": None, "structure": "additive"},
}


def measure(task, name, options, seed):
    """Return a row: errors of one model on one task."""
    settings = {"physics": task.physics, "structure": task.structure, "random_state": seed}
    settings |= options
    if not isinstance(task.structure, str):
        settings["structure"] = task.structure
    began = time.process_time()
    model = HybridRegressor(**settings).fit(task.X, task.y)
    seconds = time.process_time() - began
    prediction = np.asarray(model.predict(task.X_test))
    spread = task.y_test.std(axis=tuple(range(task.y_test.ndim - 1)) or None)
    if task.y_test.ndim == 1:
        spread = task.y_test.std()
    row = {"task": task.name, "model": name, "seed": seed, "CPU s": round(seconds, 1)}
    for parameter, true in task.truth.items():
        found = model.physics_params_.get(parameter, np.nan)
        row |= {"parameter": parameter, "error %": round(100.0 * (found / true - 1.0), 3)}
    row["R2 of the function"] = np.nan
    if name in ("default", "Adam"):
        values = model.predict_params(task.X_test)[task.varying]
        gap = np.mean((values - task.values) ** 2)
        row["R2 of the function"] = round(float(1.0 - gap / np.var(task.values)), 4)
        if task.varying == "beta":
            row["before the drop"] = round(float(values[:, DROP_DAY - 25 : DROP_DAY - 5].mean()), 4)
            row["after the drop"] = round(float(values[:, DROP_DAY + 5 : DROP_DAY + 15].mean()), 4)
    row["error of predictions"] = round(
        float(np.sqrt(np.mean(((prediction - task.y_test) / spread) ** 2))), 4
    )
    row["finite"] = bool(np.isfinite(prediction).all())
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = (
        measure(task, name, options, seed)
        for seed in SEEDS
        for task in tasks(seed)
        for name, options in MODELS.items()
    )
    rows_to_csv(rows, arguments.output)


if __name__ == "__main__":
    main()
