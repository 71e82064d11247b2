"""Compare ways to fit a parameter that differs between groups of rows.

"enzymes" are Michaelis-Menten rates of groups with their own maximal rate, with a missing effect of
the temperature that all share. "doses" are concentrations after an oral dose in
subjects with their own clearance; the part of a dose that is available falls with the dose and is a
neural parameter (``depends_on``). Subjects have few rows, at other times. The ways:

- "per": one hybrid with ``Param(per=...)``, the default training;
- "per, Adam": the same without sharpness-aware minimisation;
- "pooled": one hybrid with one value for all groups;
- "separate": one hybrid for each group.

The columns are the error of the parameter that all share, of the common value against the mean over
the groups, and the root mean square error of the groups' values, in per cent of the true ones. For
"pooled", each group has the common value.

    python benchmarks/bench_groups.py --output benchmarks/results/groups.csv

The stored results have the tasks of the enzymes (--tasks "enzymes, 2 groups" "enzymes, 8 groups").
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from skhybrid import HybridRegressor, Param, Physics


def rate(substrate, *, vmax=1.0, km=1.0):
    """Return the rate of an enzyme."""
    return vmax * substrate / (km + substrate)


def make_enzymes(n_groups, n_rows, rng):
    """Return rates of several enzymes that the temperature changes."""
    values = {2: np.array([2.0, 3.0])}.get(n_groups, 2.5 * np.exp(0.3 * rng.normal(size=n_groups)))
    group = np.repeat(np.arange(n_groups), n_rows)
    substrate = rng.uniform(0.1, 5.0, len(group))
    temperature = rng.uniform(-1.0, 1.0, len(group))
    known = values[group] * substrate / (1.5 + substrate)
    missing = 0.3 * np.sin(3.0 * temperature)
    X = pd.DataFrame({"substrate": substrate, "temperature": temperature})
    X["group"] = [f"enzyme {each}" for each in group]
    return X, known + missing + 0.05 * rng.normal(size=len(group)), values


def concentration(time, dose, *, clearance=1.0, absorption=1.0, available=1.0):
    """Return the concentration after an oral dose, for a volume of distribution of one."""
    gap = absorption - clearance
    gap = torch.where(gap.abs() < 1e-3, 1e-3, gap)
    curve = torch.exp(-clearance * time) - torch.exp(-absorption * time)
    return available * dose * absorption / gap * curve


def make_doses(n_groups, n_rows, rng):
    """Return concentrations at irregular times; less of a high dose is available."""
    values = 0.5 * np.exp(0.3 * rng.normal(size=n_groups))
    group = np.repeat(np.arange(n_groups), n_rows)
    time_, dose = rng.uniform(0.2, 6.0, len(group)), rng.uniform(0.5, 3.0, n_groups)[group]
    clearance, absorption = values[group], 1.8
    curve = np.exp(-clearance * time_) - np.exp(-absorption * time_)
    y = dose / (1.0 + 0.3 * dose) * absorption / (absorption - clearance) * curve
    X = pd.DataFrame({"time": time_, "dose": dose})
    X["group"] = [f"subject {each}" for each in group]
    return X, y + 0.02 * rng.normal(size=len(group)), values


def positive(start, **options):
    """Return a positive parameter."""
    return Param(start, bounds=(0.0, None), **options)


# Physics, data, groups, rows of a group, parameter of the groups, shared parameter and its value.
TASKS = {
    "enzymes, 2 groups": (rate, make_enzymes, 2, 100, "vmax", "km", 1.5),
    "enzymes, 8 groups": (rate, make_enzymes, 8, 30, "vmax", "km", 1.5),
    "doses, 12 subjects": (*(concentration, make_doses, 12, 8, "clearance", "absorption", 1.8),),
}
WAYS = ("per", "per, Adam", "pooled", "separate")


def fit(task, way, X, y, seed):
    """Return the shared parameter, the common value, and the values of the groups."""
    function, _, _, _, grouped, shared, _ = task
    per = "group" if way.startswith("per") else None
    params = {grouped: positive(1.0, per=per), shared: positive(1.0)}
    # Absorption and clearance may change places, so the slower one must be the clearance.
    if function is concentration:
        params = {
            grouped: Param(0.4, bounds=(0.0, 1.3), per=per),
            shared: Param(3.0, bounds=(1.3, None)),
        }
        params["available"] = positive(1.0, depends_on=["dose"])
    physics = Physics(function, **params)
    others = [column for column in X.columns if column != "group"]
    options = {"optimizer": "adam"} if way == "per, Adam" else {}
    model = HybridRegressor(physics, nn=(32, 32), random_state=seed, **options)
    if per:
        found = model.fit(X, y)
        values = found.group_params_[grouped]
        order = [*dict.fromkeys(X["group"])]
        params = found.physics_params_
        return params[shared], params[grouped], values.loc[order].to_numpy()
    groups = [*dict.fromkeys(X["group"])]
    if way == "pooled":
        params = model.fit(X[others], y).physics_params_
        return params[shared], params[grouped], np.full(len(groups), params[grouped])
    own = []
    for each in groups:
        rows = (X["group"] == each).to_numpy()
        own.append(model.fit(X.loc[rows, others], y[rows]).physics_params_)
    values = np.array([params[grouped] for params in own])
    return np.mean([params[shared] for params in own]), values.mean(), values


def write(rows, path):
    """Write all rows, and the root mean squares over the seeds beside them."""
    table = pd.DataFrame(rows)
    table.to_csv(path, index=False, float_format="%.3f")
    errors = [column for column in table.columns if column.startswith("error")]
    squares = table.assign(**{column: table[column] ** 2 for column in errors})
    means = squares.groupby(["task", "way"], sort=False)[[*errors, "CPU s"]].mean()
    means[errors] = means[errors] ** 0.5
    means.round(1).reset_index().to_csv(path.with_stem(f"{path.stem}_means"), index=False)


def main():
    """Fit all tasks, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="*", default=[*TASKS])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name in arguments.tasks:
        task = TASKS[name]
        _, make, n_groups, n_rows, _, _, shared_value = task
        for seed in range(arguments.seeds):
            X, y, values = make(n_groups, n_rows, np.random.default_rng(seed))
            for way in WAYS:
                began = time.process_time()
                shared, common, found = fit(task, way, X, y, seed)
                row = {
                    "task": name,
                    "seed": seed,
                    "way": way,
                    "error of shared, %": 100.0 * float(shared / shared_value - 1.0),
                    "error of common, %": 100.0 * float(common / values.mean() - 1.0),
                    "error of groups, %": 100.0
                    * float(np.sqrt(np.mean((found / values - 1.0) ** 2))),
                    "CPU s": time.process_time() - began,
                }
                rows.append(row)
                print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()})
                if arguments.output:
                    write(rows, arguments.output)


if __name__ == "__main__":
    main()
