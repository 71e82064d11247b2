"""Time fits to records with inputs and one observed state of two.

Simulated records of a driven oscillator: the input is a torque, the output is the angle, with noise
of 2 % of its standard deviation; the velocity is hidden. The physics knows stiffness and gain, and
lacks the damping: linear friction and drag. Records are cut into segments, whose first states are
learned: 40 segments of 200 samples, or 8 of 300. Test: free runs over new records without noise,
from first states that are estimated from their first 20 noisy outputs, which do not count.

Every fit has the defaults of the estimator and uses one thread; seconds are of the CPU. The network
reads the states and corrects the velocity's rate. An older version takes turns with this one. The
rate of learned first states was chosen with seed 0.

    git worktree add ../before f2e194e
    python benchmarks/bench_record_speed.py --before ../before \\
        --output benchmarks/results/record_speed.csv --text docs/reports/record_speed.txt
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from skhybrid import ODE, HybridRegressor, Param, Physics

TRUTH = {"stiffness": 1.5, "gain": 0.8}
FRICTION, DRAG = 0.3, 0.2
NOISE = 0.02
DT = 0.8
# Steps of the simulation in an interval.
N_STEPS = 40
N_FIRST = 20
SIZES = {"40 x 200": (40, 200), "8 x 300": (8, 300)}
POSITIVE = (0, None)


def oscillator(t, state, inputs, *, stiffness, gain):
    """Return rates of angle and velocity, without damping."""
    angle, velocity = state[:, :1], state[:, 1:]
    return torch.cat([velocity, gain * inputs - stiffness * torch.sin(angle)], dim=1)


def simulate(random, n_records, n_times):
    """Return torques and angles, each of shape (n_records, n_times, 1)."""
    torque = np.repeat(random.uniform(-1.0, 1.0, (n_records, n_times // 3 + 1)), 3, axis=1)
    torque = torque[:, :n_times]
    angle, velocity = random.uniform(-1.0, 1.0, (2, n_records))

    def rates(state, now):
        a, v = state
        damping = FRICTION * v + DRAG * np.abs(v) * v
        return np.stack([v, TRUTH["gain"] * now - TRUTH["stiffness"] * np.sin(a) - damping])

    state, angles = np.stack([angle, velocity]), []
    h = DT / N_STEPS
    for now in torque.T:
        angles.append(state[0])
        for _ in range(N_STEPS):
            k1 = rates(state, now)
            k2 = rates(state + h / 2 * k1, now)
            k3 = rates(state + h / 2 * k2, now)
            k4 = rates(state + h * k3, now)
            state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return torque[..., None], np.stack(angles, axis=1)[..., None]


def measure(size, seed):
    """Return a row: times, errors of θ and of free runs, of one fit."""
    random = np.random.default_rng(seed)
    X, y = simulate(random, *SIZES[size])
    X_new, y_new = simulate(random, 10, 200)
    noisy, noisy_new = (
        each + NOISE * y.std() * random.normal(size=each.shape) for each in (y, y_new)
    )
    starts = {"stiffness": 1.0, "gain": 1.0}
    model = HybridRegressor(
        Physics(oscillator, **{name: Param(at, POSITIVE) for name, at in starts.items()}),
        structure=ODE(
            dt=DT,
            inputs="hold",
            observe=lambda state: state[:, :1],
            n_states=2,
            state_names=["angle", "velocity"],
            corrects=["velocity"],
        ),
        nn_features=["angle", "velocity"],
        n_threads=1,
        random_state=seed,
    )
    began, wall = time.process_time(), time.perf_counter()
    model.fit(X, noisy)
    seconds = time.process_time() - began
    wall = time.perf_counter() - wall
    runs = model.predict(X_new, first_outputs=noisy_new[:, :N_FIRST])
    error = np.sqrt(np.mean((runs - y_new)[:, N_FIRST:] ** 2)) / y_new.std()
    row = {"segments": size, "seed": seed}
    for name, true in TRUTH.items():
        row[f"error of {name}, %"] = round(
            100.0 * (float(model.physics_params_[name]) / true - 1), 3
        )
    row["free runs, part of the spread"] = round(float(error), 5)
    row["substeps"] = model.substeps_
    row["epochs"] = model.n_iter_
    return row | {"CPU s": round(seconds, 1), "wall s": round(wall, 1)}


def measure_elsewhere(size, seed, source):
    """Return what :func:`measure` returns in another process, with another version if given."""
    environment = dict(os.environ)
    if source is not None:
        environment["PYTHONPATH"] = str(source.resolve())
    command = [sys.executable, __file__, "--answer", "--sizes", size, "--seeds", str(seed)]
    answer = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--before", type=Path, help="source folder of an older version")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--text", type=Path, help="write a table of means to this file")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        print(json.dumps(measure(arguments.sizes[0], arguments.seeds[0])))
        return
    versions = {"now": None}
    if arguments.before is not None:
        versions = {"before": arguments.before, "now": None}
    rows = []
    for seed in arguments.seeds:
        for size in arguments.sizes:
            for version, source in versions.items():
                rows.append({"version": version} | measure_elsewhere(size, seed, source))
                print(rows[-1], flush=True)
                if arguments.output is not None:
                    pd.DataFrame(rows).to_csv(arguments.output, index=False)
    if arguments.text is not None:
        arguments.text.write_text(table(pd.DataFrame(rows)))


def table(results):
    """Return means over seeds as text; of errors, the mean size."""
    left_out = ("seed", "substeps", "wall s")
    figures = [c for c in results.select_dtypes("number") if c not in left_out]
    means = results[figures].abs().groupby([results["segments"], results["version"]]).mean()
    return means.round(3).T.to_string() + "\n"


if __name__ == "__main__":
    main()
