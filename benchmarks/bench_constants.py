"""Compare conventions for a constant that physics and network can both give.

With an offset in the physics of an additive hybrid, or a gain in a multiplicative one, data do not
tell the constant and the mean of the network apart. The table has the largest error of θ, in per
cent, for several ways to choose:

- "nothing": what training leaves;
- "shift": after the first phase, the network's mean moves to θ, which changes no prediction;
- "shift at the end": again after the second phase, which changes the network;
- "penalty w": w · (mean of the network in the minibatch)² is added to the loss.

The first tasks have a missing part with a mean of zero (additive) or a mean factor of one
(multiplicative) in the population. In the last two it is not so; then no method can know, and the
error is the distance to the convention.

    python benchmarks/bench_constants.py --output benchmarks/results/constants.csv
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from skhybrid import HybridRegressor
from skhybrid.training import multistart, penalties
from skhybrid.training.shared_constant import settle

PENALTIES = (0.1, 1.0)


def kinetics(substrate, group, *, vmax=(1.0, 1.0), km=1.0):
    """Return the rate of an enzyme in two groups."""
    return torch.where(group > 0.5, vmax[1], vmax[0]) * substrate / (km + substrate)


def make_kinetics(n, noise, rng, mean=1.0):
    """Return rates that also depend on the temperature."""
    substrate, temperature = rng.uniform(0.1, 5.0, n), rng.uniform(-1.0, 1.0, n)
    group = rng.integers(0, 2, n)
    factor = mean + 0.4 * np.tanh(2.0 * temperature) + 0.3 * (temperature**2 - 1.0 / 3.0)
    rate = np.where(group > 0, 3.0, 2.0) * substrate / (1.5 + substrate)
    X = pd.DataFrame({"substrate": substrate, "group": group, "temperature": temperature})
    return X, rate * factor + noise * rng.normal(size=n)


def cooling(hours, *, height=1.0, rate=1.0, room=0.0):
    """Return the temperature of a body that cools."""
    return height * torch.exp(-rate * hours) + room


def make_cooling(n, noise, rng, mean=0.0):
    """Return temperatures that the wind, and its effect in time, change."""
    hours, wind = rng.uniform(0.0, 3.0, n), rng.uniform(-1.0, 1.0, n)
    missing = mean + 0.8 * (wind**2 - 1.0 / 3.0) + 0.5 * np.sin(3.0 * wind)
    X = pd.DataFrame({"hours": hours, "wind": wind})
    return X, 5.0 * np.exp(-1.2 * hours) + 2.0 + missing + noise * rng.normal(size=n)


def power(flow, *, gain=1.0, exponent=1.0):
    """Return a power law."""
    return gain * flow**exponent


def make_power(n, noise, rng, mean=1.0):
    """Return losses in a pipe whose roughness depends on its age."""
    flow, age = rng.uniform(0.3, 3.0, n), rng.exponential(1.0, n)
    factor = mean + 0.3 * (age - 1.0)
    X = pd.DataFrame({"flow": flow, "age": age})
    return X, 1.7 * flow**1.5 * factor + noise * rng.normal(size=n)


def line(load, *, slope=1.0, offset=0.0):
    """Return a straight line."""
    return slope * load + offset


def make_line(n, noise, rng):
    """Return sags that a wave in the load and the humidity change."""
    load, humidity = rng.uniform(-1.0, 2.0, n), rng.beta(2.0, 5.0, n)
    missing = 3.0 * (humidity - 2.0 / 7.0) + 0.3 * np.cos(2.0 * np.pi * load)
    X = pd.DataFrame({"load": load, "humidity": humidity})
    return X, 2.0 * load + 1.0 + missing + noise * rng.normal(size=n)


KINETICS = {"vmax": (2.0, 3.0), "km": 1.5}
COOLING = {"room": 2.0, "height": 5.0, "rate": 1.2}
POWER = {"gain": 1.7, "exponent": 1.5}
LINE = {"offset": 1.0, "slope": 2.0}
# Physics, data, structure, number of rows, noise, true parameters (the constant first), options.
TASKS = {
    "kinetics": (kinetics, make_kinetics, "multiplicative", 300, 0.05, KINETICS, {}),
    "kinetics, noisy": (kinetics, make_kinetics, "multiplicative", 100, 0.3, KINETICS, {}),
    "power law": (power, make_power, "multiplicative", 300, 0.1, POWER, {}),
    "cooling": (cooling, make_cooling, "additive", 300, 0.1, COOLING, {}),
    "line, noisy": (line, make_line, "additive", 100, 0.3, LINE, {}),
    "kinetics, mean factor 1.3": (
        *(kinetics, make_kinetics, "multiplicative", 300, 0.05, KINETICS, {"mean": 1.3}),
    ),
    "cooling, mean 0.5": (*(cooling, make_cooling, "additive", 300, 0.1, COOLING, {"mean": 0.5}),),
}
N_RESTARTS = 3


def errors_of(params, truth):
    """Return the errors of the constant and the largest errors of θ, in per cent."""
    errors = {
        name: 100.0 * float(np.max(np.abs(np.asarray(params[name]) / np.asarray(value) - 1.0)))
        for name, value in truth.items()
    }
    return errors[next(iter(truth))], max(errors.values())


def squared_mean(contribution, physics, coordinates):
    """Return the squared mean of the network's output in an additive hybrid."""
    return contribution.mean().square()


def squared_mean_factor(contribution, physics, coordinates):
    """Return the squared mean of the network's output in a multiplicative hybrid."""
    return (contribution / physics(coordinates)).mean().square()


def fit_all(task, seed, n_steps):
    """Yield method, number of the restart and errors, for every method on one task."""
    physics, make, structure, n, noise, truth, options = TASKS[task]
    X, y = make(n, noise, np.random.default_rng(seed), **options)
    settings = {
        "structure": structure,
        "refine_rho": None,
        "batch_size": None,
        "max_epochs": n_steps,
        "n_restarts": N_RESTARTS,
        "random_state": seed,
    }
    before = []

    def watched(hybrid, data, weights, coordinates):
        before.append(hybrid.space.values(coordinates))
        return settle(hybrid, data, weights, coordinates)

    multistart.settle = watched
    model = HybridRegressor(physics, **settings).fit(X, y)
    for number in range(N_RESTARTS):
        yield "nothing", number, errors_of(before[number], truth)
        yield "shift", number, errors_of(model.restarts_[number]["physics_params"], truth)
    multistart.settle = lambda hybrid, data, weights, coordinates: (weights, coordinates)
    own = squared_mean if structure == "additive" else squared_mean_factor
    published = penalties.ON_CONTRIBUTION["functional_norm"]
    penalties.ON_CONTRIBUTION["functional_norm"] = own
    for weight in PENALTIES:
        model = HybridRegressor(physics, functional_norm=weight, **settings).fit(X, y)
        for number in range(N_RESTARTS):
            params = model.restarts_[number]["physics_params"]
            yield f"penalty {weight:g}", number, errors_of(params, truth)
    penalties.ON_CONTRIBUTION["functional_norm"] = published
    multistart.settle = settle


def main():
    """Fit all tasks, write the table and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows = []
    began = time.process_time()
    for task in arguments.tasks:
        for seed in range(100, 100 + arguments.seeds):
            for method, number, (constant, largest) in fit_all(task, seed, arguments.steps):
                rows.append(
                    {
                        "task": task,
                        "start": "drawn" if number else "least squares",
                        "seed": seed,
                        "restart": number,
                        "method": method,
                        "error of the constant, %": float(f"{constant:.4g}"),
                        "error of theta, %": float(f"{largest:.4g}"),
                    }
                )
        print(f"{task}: {time.process_time() - began:.0f} CPU seconds", flush=True)
    table = pd.DataFrame(rows)
    if arguments.output:
        table.to_csv(arguments.output, index=False)
    for column in ("error of the constant, %", "error of theta, %"):
        medians = table.pivot_table(
            index=["task", "start"], columns="method", values=column, aggfunc="median", sort=False
        )
        shown = Table("task", "start", *medians.columns, title=f"Median {column}")
        for index, row in medians.iterrows():
            shown.add_row(*index, *(f"{each:.2f}" for each in row))
        Console(width=160).print(shown)


if __name__ == "__main__":
    main()
