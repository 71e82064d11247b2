"""How far 10 % gross outliers move θ, for every loss.

The physics is nonlinear in its two parameters, y = a exp(-b t), and lacks a term of a second
feature (for the physics alone there is nothing to lack). A tenth of the 300 rows gets one-sided
outliers of 10 to 20 standard deviations, of the clean target ("target") or of the noise ("noise").
Places of the outliers are random, or all late ("late": a sensor that fails at the end), which
biases θ most.
Each row of the table is the mean over three seeds of how far the outliers move each parameter, in
per cent of its true value, and the largest part of the move under squared error that the loss
leaves (the larger of both parameters, of the mean moves).

    python benchmarks/bench_robust.py --output benchmarks/results/robust.csv
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from skhybrid import HybridRegressor

TRUE = {"a": 2.0, "b": 0.8}
NOISE = 0.05
LOSSES = ("squared_error", "huber", "absolute_error")


def decay(t, wind, *, a=1.0, b=1.0):
    """Return what is known: a decay in time."""
    return a * torch.exp(-b * t)


def make(seed, *, missing, unit, late, n=300):
    """Return X, y without outliers, and y with them."""
    rng = np.random.default_rng(seed)
    t, wind = rng.uniform(0.0, 3.0, n), rng.uniform(-1.0, 1.0, n)
    clean = TRUE["a"] * np.exp(-TRUE["b"] * t)
    if missing:
        clean = clean + 0.3 * np.sin(3.0 * wind)
    y = clean + NOISE * rng.normal(size=n)
    bad = rng.permutation(n)[: n // 10]
    if late:
        bad = rng.permutation(np.flatnonzero(t > np.quantile(t, 0.75)))[: n // 10]
    size = clean.std() if unit == "target" else NOISE
    outlying = y.copy()
    outlying[bad] += rng.uniform(10.0, 20.0, len(bad)) * size
    return np.column_stack([t, wind]), y, outlying


def measure(nn, unit, late, loss, n_seeds):
    """Return the moves of both parameters in per cent, and the seconds of a fit."""
    moves, began = [], time.perf_counter()
    for seed in range(n_seeds):
        X, *targets = make(seed, missing=nn is not None, unit=unit, late=late)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = HybridRegressor(decay, nn=nn, loss=loss, random_state=seed)
            before, after = (dict(model.fit(X, y).physics_params_) for y in targets)
        moves.append([100.0 * abs(after[name] - before[name]) / TRUE[name] for name in TRUE])
    return np.mean(moves, axis=0), (time.perf_counter() - began) / (2 * n_seeds)


def main():
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    rows = []
    for nn in (None, (64, 64)):
        for unit, late in (("target", False), ("target", True), ("noise", False), ("noise", True)):
            squared = None
            for loss in LOSSES:
                moves, seconds = measure(nn, unit, late, loss, given.seeds)
                squared = moves if squared is None else squared
                rows.append(
                    {
                        "model": "physics alone" if nn is None else "hybrid",
                        "outliers in units of": unit,
                        "place": "late" if late else "random",
                        "loss": loss,
                        "move of a, %": moves[0],
                        "move of b, %": moves[1],
                        "part of squared error's": (moves / squared).max(),
                        "seconds": seconds,
                    }
                )
                print(pd.DataFrame(rows[-1:]).round(3).to_string(header=False), flush=True)
    table = pd.DataFrame(rows).round(3)
    print(table.to_string())
    if given.output is not None:
        table.to_csv(given.output, index=False)


if __name__ == "__main__":
    main()
