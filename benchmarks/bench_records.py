"""Measure hybrid differential equations on measured and simulated records of inputs and outputs.

- Cascaded tanks (measured): one record to train on and one to test on. The input is the pump, the
  output is the lower of two levels. The prediction is a free run over the whole record, from the
  learned initial state; both records begin in the same state.
- Wind tunnel (simulated): a hatch acts on the pressure; the physics lacks it. The prediction is a
  free run over new records without noise, from the measured first speeds.
- Chemostat (measured): four experiments on algae and rotifers, with missing days; one experiment is
  held out. The prediction is five counts ahead, repeatedly from measured counts. It is compared
  with the prediction that nothing ever changes.

The script runs every task with the physics alone, a network alone and the hybrid. The hybrid's
settings for the tanks were chosen on held-out parts of the estimation record, before the test
record was looked at. The network alone then got twice its first number of epochs. Experiment 3 of
the chemostat was looked at while substeps and windows were chosen. Each fit uses one thread.

    python benchmarks/bench_records.py --output benchmarks/results/records.csv

The environment variable SKHYBRID_DATA gives the folder of the measured data.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import fetch_cascaded_tanks, fetch_chemostat, make_wind_tunnel

POSITIVE = (0, None)
MODELS = ("physics", "network", "hybrid")
# Experiments with a constant 80 umol N/l in the medium; the last one is held out.
EXPERIMENTS = (2, 4, 10, 3)
COUNTS_AHEAD = 5
# All windows of the record are one minibatch.
TANKS_SETTINGS = {"max_epochs": 400}
TUNNEL_EPOCHS = {"network": 40, "hybrid": 250}
CHEMOSTAT_SETTINGS = {"max_epochs": 50}


def parts(model, physics):
    """Return the physics and network arguments of the regressor."""
    choice = {"physics": None if model == "network" else physics}
    return choice | ({"nn": None} if model == "physics" else {})


def timed_fit(model, data, target):
    """Fit the model; return the CPU seconds."""
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
        model.fit(data, target)
    return time.process_time() - began


def root_mean_square(errors):
    """Return the root mean square of each output."""
    return np.sqrt(np.nanmean(np.square(errors), axis=(0, 1)))


def rows_of(model, names, units, train, test, seconds, truth=None):
    """Return one row of results per output."""
    values = model.physics_params_
    errors = {} if truth is None else {k: 100 * (v / truth[k] - 1) for k, v in values.items()}
    common = {
        "parameters": ", ".join(f"{name}={value:.4g}" for name, value in values.items()),
        "errors of parameters, %": ", ".join(f"{k} {v:+.2f}" for k, v in errors.items()),
        "CPU seconds": seconds,
    }
    return [
        {"output": name, "unit": unit, "RMSE train": a, "RMSE test": b} | common
        for name, unit, a, b in zip(names, units, train, test, strict=True)
    ]


def tanks(name, seed):
    """Fit the cascaded tanks and simulate both records."""
    data = fetch_cascaded_tanks()
    # The upper level is not measured, so its scale is arbitrary: k4 sets it.
    levels = {f"k{i}": Param(0.05, bounds=POSITIVE) for i in (1, 2, 3)}
    physics = Physics(data.physics, **levels, k4=Param(0.05, fixed=True))
    structure = ODE(
        dt=data.dt,
        inputs="hold",
        observe=data.observe,
        n_states=2,
        state_guess=(5.0, 5.0),
        window=32,
        continuity=10.0,
        method="euler",
    )
    settings = {} if name == "physics" else TANKS_SETTINGS
    if name == "network":  # no θ to estimate: one phase, as long as the hybrid's two
        settings = {"optimizer": "adam", "max_epochs": 2 * TANKS_SETTINGS["max_epochs"]}
    model = HybridRegressor(
        **parts(name, physics), structure=structure, random_state=seed, **settings
    )
    seconds = timed_fit(model, data.data, data.target)
    train = root_mean_square(model.predict(data.data) - data.target)
    test = root_mean_square(model.predict(data.data_test) - data.target_test)
    return rows_of(model, data.target_names, ["V"], train, test, seconds)


def wind_tunnel(name, seed):
    """Fit the wind tunnel and simulate new records."""
    data = make_wind_tunnel(random_state=seed)
    test = make_wind_tunnel(noise=0.0, random_state=1000 + seed)
    other = make_wind_tunnel(loads="steps", noise=0.0, random_state=2000 + seed)
    starts = {"acceleration": 100.0, "omega_max": 300.0}
    physics = Physics(data.physics, **{k: Param(v, bounds=POSITIVE) for k, v in starts.items()})
    if name == "network":  # its states are all three outputs
        n_states, settings, structure = 3, {}, ODE(dt=data.dt, inputs="hold")
    else:
        n_states, settings = 2, {"nn": None if name == "physics" else (32, 32)}
        structure = ODE(
            dt=data.dt,
            inputs="hold",
            observe=data.observe,
            n_states=2,
            correct="output",
            corrected=[2],
            window=5,
            method="midpoint",
        )
    if name != "physics":
        settings["max_epochs"] = TUNNEL_EPOCHS[name]
    model = HybridRegressor(
        None if name == "network" else physics,
        structure=structure,
        random_state=seed,
        **settings,
    )
    seconds = timed_fit(model, data.data, data.target)
    errors = [
        root_mean_square(
            model.predict(each.data, initial_states=each.target[:, 0, :n_states]) - each.noise_free
        )
        for each in (data, test, other)
    ]
    units = ["rad/s", "rad/s", "Pa"]
    truth = data.physics_params
    rows = rows_of(model, data.target_names, units, *errors[:2], seconds, truth=truth)
    for row, error in zip(rows, errors[2], strict=True):
        row["RMSE test, driven by steps"] = error
    return rows


def windows_ahead(inputs, targets):
    """Cut experiments into overlapping windows that begin at complete counts."""
    pairs = [
        (x[begin : begin + COUNTS_AHEAD + 1], y[begin : begin + COUNTS_AHEAD + 1])
        for x, y in zip(inputs, targets, strict=True)
        for begin in range(len(x) - COUNTS_AHEAD)
        if not np.isnan(y[begin]).any()
    ]
    return tuple(map(np.stack, zip(*pairs, strict=True)))


def chemostat(name, seed):
    """Fit the chemostat and predict `COUNTS_AHEAD` counts ahead."""
    data = fetch_chemostat(as_frame=False)
    chosen = [number - 1 for number in EXPERIMENTS]
    inputs = [np.column_stack([data.times[i], data.data[i]]) for i in chosen]
    targets = [data.target[i] for i in chosen]
    # Half-saturation and growth are confounded, and so are cells and their nitrogen; the pump sets
    # the dilution.
    fixed = {"half_nitrogen": 4.3, "nitrogen_content": 28.0, "mortality": 0.055, "dilution": 0.55}
    physics = Physics(
        data.physics,
        growth=Param(3.3, bounds=(0.1, 10.0)),
        grazing=Param(0.18, bounds=(0.01, 2.0)),
        half_algae=Param(0.54, bounds=(0.05, 5.0)),
        conversion=Param(12.0, bounds=(1.0, 200.0)),
        **{key: Param(value, fixed=True) for key, value in fixed.items()},
    )
    settings = {} if name == "physics" else CHEMOSTAT_SETTINGS
    if name == "network":
        settings = {"optimizer": "adam", "max_epochs": 2 * CHEMOSTAT_SETTINGS["max_epochs"]}
    model = HybridRegressor(
        **parts(name, physics),
        structure=ODE(
            times=0, inputs="hold", initial_state="learned", window=5, method="midpoint", substeps=4
        ),
        missing_targets="mask",
        random_state=seed,
        **settings,
    )
    seconds = timed_fit(model, inputs[:-1], targets[:-1])
    errors, unchanged = [], ()
    for part in (slice(None, -1), slice(-1, None)):
        x, y = windows_ahead(inputs[part], targets[part])
        predicted = model.predict(list(x), initial_states=y[:, 0])
        errors.append(root_mean_square(np.stack(predicted)[:, -1:] - y[:, -1:]))
        unchanged = root_mean_square(y[:, :1] - y[:, -1:])
    rows = rows_of(model, data.target_names, ["10^6/ml", "1/ml"], *errors, seconds)
    for row, error in zip(rows, unchanged, strict=True):
        row["RMSE test if nothing changed"] = error
    return rows


TASKS = {"tanks": tanks, "wind_tunnel": wind_tunnel, "chemostat": chemostat}
# The seed does not change least squares on measured data.
WITHOUT_SEEDS = {("tanks", "physics"), ("chemostat", "physics")}


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path)
    parser.add_argument(
        "--append", action="store_true", help="keep the rows that the output file has"
    )
    arguments = parser.parse_args()
    output = arguments.output
    rows = []
    if arguments.append and output is not None and output.exists():
        rows = pd.read_csv(output).to_dict("records")
    for task in arguments.tasks:
        for name in arguments.models:
            alike = (task, name) in WITHOUT_SEEDS
            for seed in arguments.seeds[:1] if alike else arguments.seeds:
                found = TASKS[task](name, seed)
                rows += [{"task": task, "model": name, "seed": seed} | row for row in found]
                if output is not None:
                    pd.DataFrame(rows).to_csv(output, index=False, float_format="%.5g")
    results = pd.DataFrame(rows)
    table = Table(title="Records of inputs and outputs")
    for column in ("task", "model", "output"):
        table.add_column(column, no_wrap=True)
    for heading in ("RMSE train", "RMSE test\nmean", "RMSE test\nlargest", "unit", "CPU seconds"):
        table.add_column(heading, justify="right")
    table.add_column("parameters, first seed")
    table.add_column("errors, %")
    for (task, name, of), group in results.groupby(["task", "model", "output"], sort=False):
        first = group.iloc[0].fillna("")
        table.add_row(
            task,
            name,
            of,
            f"{group['RMSE train'].mean():.3f}",
            f"{group['RMSE test'].mean():.3f}",
            f"{group['RMSE test'].max():.3f}",
            first["unit"],
            f"{group['CPU seconds'].mean():.0f}",
            first["parameters"],
            first["errors of parameters, %"],
        )
    Console(width=180).print(table)
    if output is not None:
        print(f"Results of all fits: {output}")


if __name__ == "__main__":
    main()
