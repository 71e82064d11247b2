"""Measure fits to many rows: seconds, peak memory, and errors of θ and of the prediction.

Each fit runs in a process of its own. Memory is the peak during the fit and during a prediction of
all rows, beyond what the process used before them, with the data. The option ``--schedules`` also
fits with other sizes of minibatches and numbers of epochs: the rule for ``batch_size="auto"`` rests
on these results.

    python benchmarks/bench_rows.py --output benchmarks/results/rows.csv
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from skhybrid import HybridRegressor, Param, Physics

N_TEST = 5000
# Task, rows and options. "auto" is the default of both options.
FITS = [
    ("respiration", 10_000, {}),
    ("respiration", 50_000, {}),
    ("respiration", 200_000, {}),
    ("wiggly", 50_000, {}),
    ("wiggly", 200_000, {}),
    ("ten columns", 1_000_000, {}),
]
SCHEDULES = [
    (task, 50_000, {"batch_size": size, "max_epochs": n_epochs})
    for task in ("respiration", "wiggly")
    for size, n_epochs in ((64, 20), (160, 20), (320, 20))
]


def respiration(temperature, *, base=1.0, q10=1.5):
    """Respiration of soil at a temperature."""
    return base * q10 ** (0.1 * (temperature - 15))


def sine(x0, *, gain=0.5):
    """Restoring force of a pendulum."""
    return -gain * torch.sin(x0)


def decay(x0, x1, *, size=1.0, slope=1.5):
    """Decay along one column, and a line along another."""
    return size * torch.exp(-x0) + slope * x1


def make(task, n_rows, seed):
    """Return features, the noiseless target, the standard deviation of noise, θ and the model."""
    rng = np.random.default_rng(seed)
    if task == "respiration":
        X = np.column_stack([rng.uniform(-5, 30, n_rows), rng.uniform(0, 1, n_rows)])
        clean = 2.0 * 1.8 ** (0.1 * (X[:, 0] - 15)) * (1 + 0.4 * np.sin(3 * X[:, 1]))
        physics = Physics(respiration, q10=Param(1.5, (1, 4)))
        return X, clean, 0.05 * clean, {"q10": 1.8}, (physics, "multiplicative", [1])
    if task == "wiggly":
        X = np.column_stack([rng.uniform(-2.5, 2.5, n_rows), rng.uniform(-2, 2, n_rows)])
        clean = -1.0966 * np.sin(X[:, 0]) + 0.3 * np.cos(3 * X[:, 0]) + 0.2 * X[:, 1]
        return X, clean, 0.2, {"gain": 1.0966}, (sine, "additive", None)
    X = rng.uniform(size=(n_rows, 10))
    clean = 2.0 * np.exp(-X[:, 0]) + 1.2 * X[:, 1] + 0.3 * np.sin(5 * X[:, 2]) * X[:, 3]
    return X, clean, 0.1, {"size": 2.0, "slope": 1.2}, (decay, "additive", None)


def peak(reset=False):
    """Return this process's peak memory in MB; with ``reset``, forget earlier peaks first."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def fit_one(task, n_rows, options, seed):
    """Fit once and return the measurements."""
    warnings.simplefilter("ignore")
    X, clean, noise, truth, (physics, structure, columns) = make(task, n_rows + N_TEST, seed)
    y = clean + noise * np.random.default_rng(seed + 1000).standard_normal(len(clean))
    X_test, clean_test, X, y = X[n_rows:].copy(), clean[n_rows:].copy(), X[:n_rows], y[:n_rows]
    model = HybridRegressor(
        physics, structure=structure, nn_features=columns, random_state=seed, **options
    )
    HybridRegressor(physics, structure=structure, max_epochs=1).fit(X[:200], y[:200])  # loads all
    before = peak(reset=True)
    began = time.process_time()
    model.fit(X, y)
    seconds, memory = time.process_time() - began, peak() - before
    before = peak(reset=True)
    model.predict(X)
    error = max(abs(model.physics_params_[name] / value - 1) for name, value in truth.items())
    residual = model.predict(X_test) - clean_test
    return {
        "task": task,
        "rows": n_rows,
        "batch size": options.get("batch_size", "auto"),
        "epochs": options.get("max_epochs", "auto"),
        "seed": seed,
        "CPU seconds": round(seconds, 1),
        "MB of the data": round((X.nbytes + y.nbytes) / 2**20, 1),
        "MB to fit": round(memory),
        "MB to predict": round(peak() - before),
        "error of θ, %": float(f"{100 * error:.3g}"),
        "RMSE / std": float(f"{np.sqrt(np.mean(residual**2)) / clean_test.std():.3g}"),
    }


def main():
    """Run the measurements from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--schedules", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(fit_one(*json.loads(arguments.one))))
        return
    results = []
    for task, n_rows, options in FITS + (SCHEDULES if arguments.schedules else []):
        for seed in arguments.seeds:
            one = json.dumps([task, n_rows, options, seed])
            command = [sys.executable, __file__, "--one", one]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
            results.append(json.loads(answer.stdout.splitlines()[-1]))
            print(results[-1], flush=True)
            if arguments.output:
                pd.DataFrame(results).to_csv(arguments.output, index=False)


if __name__ == "__main__":
    main()
