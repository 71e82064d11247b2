"""Does the statement about overlap cover the error of θ, given the true overlap?

Random static tasks (random_tasks.py). A model of the first phase is fitted to the training rows.
On the clean test rows the missing term, its overlap r with the effect of k, the network's part and
its own overlap are known. "formula" is r / √(1 − r²) · ‖δ̂‖ / ‖S‖; "shift" allows for the network's
own overlap, as skhybrid.inspection.overlap_sensitivity does. "covers" allows twice the sampling
error and 5 % more.

Run:  python benchmarks/bench_overlap.py --tasks 60     writes benchmarks/results/overlap.csv
"""

import argparse
import csv
import pathlib
import warnings

import numpy as np
import torch
from random_tasks import EFFECTS, draw_task

from skhybrid import HybridRegressor
from skhybrid.inspection.effects import effects
from skhybrid.inspection.overlap import overlap_of

RESULTS = pathlib.Path(__file__).parent / "results" / "overlap.csv"
# What first order and the fit's own error may add.
SLACK, N_ERRORS = 1.05, 2.0


def measure(number):
    """Return the figures of a task as a dict."""
    task = draw_task(number, 0)
    model = HybridRegressor(task.physics(), refine_rho=None, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(task.X, task.y)
    effect = EFFECTS[task.effect](torch.from_numpy(task.X_test[:, 0])).numpy()
    missing = task.y_test - task.k * effect
    r = missing @ effect / np.sqrt((missing @ missing) * (effect @ effect))
    found = overlap_of(effects(model, task.X_test, task.y_test)).overlaps["k"]
    residuals = effects(model, task.X, task.y).residuals
    sampling = residuals.std() / np.sqrt(len(task.y) * np.mean(effect**2))
    formula = abs(r) / np.sqrt(1 - r**2) * np.hypot(found.parallel, found.rest) / found.effect
    error, shift = model.physics_params_["k"] - task.k, found.shift(abs(r))
    allowed = N_ERRORS * sampling
    return {
        "task": task.name,
        "kind": task.kind,
        "k": task.k,
        "error": error,
        "r": r,
        "own r": found.correlation,
        "sampling": sampling,
        "formula": formula,
        "shift": shift,
        "formula covers": int(abs(error) <= SLACK * formula + allowed),
        "shift covers": int(abs(error) <= SLACK * shift + allowed),
    }


def main():
    """Measure the tasks that are asked for, and print how many are covered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=60)
    rows = [measure(number) for number in range(parser.parse_args().tasks)]
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
    for kind in sorted({row["kind"] for row in rows}):
        chosen = [row for row in rows if row["kind"] == kind]
        covered = {name: sum(row[f"{name} covers"] for row in chosen) for name in NAMES}
        print(kind, len(chosen), covered)


NAMES = ("formula", "shift")

if __name__ == "__main__":
    main()
