"""Compare "auto" radii and network features with the best choices for known truth.

Part "rho" compares ``rho="auto"`` and ``refine_rho="auto"`` with every fixed rho of the same grid
(with the default second phase); the truth selects the best fixed one. The tasks are the static
tasks, the pendulum and the light tunnel. For the light tunnel, "error of theta" is 10⁴ times one
minus the cosine of the angle between the gains and the gains of the published simulator.

Part "features" tests ``nn_features="auto"`` on the Duffing oscillator, on the damped pendulum and
on the static tasks, from two initial values of θ, and on the light tunnel.

The rules were chosen on seeds 10 to 12, 100, 110 and 111, without looking at the default seeds.

    python benchmarks/bench_tuning.py --output benchmarks/results
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.utils import Bunch

from skhybrid import ODE, HybridRegressor, HybridSearchCV, Param, Physics
from skhybrid.datasets import (
    duffing,
    fetch_light_tunnel,
    make_duffing,
    make_pendulum,
    make_pendulum_acceleration,
    pendulum,
    pendulum_acceleration,
)

RADII = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
STATIC = {
    "static, 400 rows, noise 0.05": {"n_samples": 400, "noise": 0.05},
    "static, 100 rows, noise 0.2": {"n_samples": 100, "noise": 0.2},
    "static, wiggly": {"n_samples": 400, "noise": 0.05, "missing": "wiggly"},
}
PENDULUM = {"pendulum": 0.0, "pendulum, noise 0.02": 0.02}
TUNNEL = "light tunnel"
STARTS = (0.2, 2.5)
N_TRAINING_ROWS = 6000


def make_task(task, seed):
    """Return a model, its training data, and its test data (None for the light tunnel)."""
    if task in STATIC:
        options = STATIC[task]
        train = make_pendulum_acceleration(**options, random_state=seed)
        missing = options.get("missing", "drag")
        test = make_pendulum_acceleration(
            1000, noise=0.0, missing=missing, random_state=10_000 + seed
        )
        model = HybridRegressor(train.physics)
    elif task in PENDULUM:
        train = make_pendulum(noise=PENDULUM[task], random_state=seed)
        test = make_pendulum(random_state=10_000 + seed)
        model = HybridRegressor(train.physics, structure=ODE(dt=train.dt))
    else:
        reference = fetch_light_tunnel()
        published = np.array(reference.physics_params_published["gain"])
        tests = {
            "RMSE": (reference.data[N_TRAINING_ROWS:], reference.target[N_TRAINING_ROWS:]),
            **{
                f"RMSE, {subset}": (bunch.data, bunch.target)
                for subset in ("polarizer_shift", "red_shift")
                for bunch in [fetch_light_tunnel(subset=subset)]
            },
        }
        train = Bunch(
            data=reference.data[:N_TRAINING_ROWS],
            target=reference.target[:N_TRAINING_ROWS],
            published=published,
            tests=tests,
        )
        test = None
        model = HybridRegressor(reference.physics)
    return model.set_params(random_state=seed), train, test


def judged(model, train, test):
    """Return the error of θ in per cent and the error of the prediction."""
    if test is None:
        return judged_on_tunnel(model, train)
    truth = train.physics_params["omega2"]
    error = 100 * (model.physics_params_["omega2"] / truth - 1)
    rmse = np.sqrt(np.mean((model.predict(test.data) - test.target) ** 2))
    return {"error of theta": error, "RMSE": rmse}


def judged_on_tunnel(model, tunnel):
    """Return the angle error of the gains to the published simulator, and the held-out errors."""
    gain, published = model.physics_params_["gain"], tunnel.published
    cosine = gain @ published / np.linalg.norm(gain) / np.linalg.norm(published)
    errors = {
        name: np.sqrt(np.mean((model.predict(X) - y) ** 2)) for name, (X, y) in tunnel.tests.items()
    }
    return {"error of theta": 1e4 * (1 - cosine), "cosine": cosine, **errors}


def compare_radii(task, seed):
    """Yield one row per fixed radius, and one row for the automatic radii."""
    model, train, test = make_task(task, seed)
    # A search over one fold that holds all rows trains all radii in one batch.
    rows = np.arange(len(train.target))
    found = []

    def score(fitted, X, y):
        found.append({"rho": fitted.rho, **judged(fitted, train, test)})
        return 0.0

    HybridSearchCV(
        model, {"rho": list(RADII)}, cv=[(rows, rows[:5])], scoring=score, refit=False
    ).fit(train.data, train.target)
    for row in found:
        yield {"task": task, "seed": seed, "variant": "fixed", **row}
    model.set_params(rho="auto", refine_rho="auto")
    began = time.process_time()
    model.fit(train.data, train.target)
    yield {
        "task": task,
        "seed": seed,
        "variant": "auto",
        "rho": model.rho_,
        "refine_rho": model.refine_rho_,
        **judged(model, train, test),
        "CPU seconds": time.process_time() - began,
    }


def choose_features(task, seed, start):
    """Return the chosen network features and the error of θ with them."""
    if task.startswith("Duffing"):
        train = make_duffing(noise=0.01, random_state=seed)
        truth = train.physics_params
        model = HybridRegressor(
            Physics(duffing, **{name: start * truth[name] for name in truth}),
            structure=ODE(dt=train.dt),
        )
    elif task == "pendulum":
        train = make_pendulum(random_state=seed)
        truth = train.physics_params
        omega2 = Param(start * truth["omega2"], bounds=(0.0, None))
        model = HybridRegressor(Physics(pendulum, omega2=omega2), structure=ODE(dt=train.dt))
    elif task in STATIC:
        train = make_pendulum_acceleration(**STATIC[task], random_state=seed)
        truth = train.physics_params
        physics = Physics(pendulum_acceleration, omega2=start * truth["omega2"])
        model = HybridRegressor(physics)
    else:
        model, train, _ = make_task(task, seed)
        truth = {}
    model.set_params(nn_features="auto", random_state=seed)
    began = time.process_time()
    model.fit(train.data, train.target)
    seconds = time.process_time() - began
    errors = [100 * abs(model.physics_params_[name] / truth[name] - 1) for name in truth]
    row = {
        "task": task,
        "seed": seed,
        "start": start,
        "nn_features": " ".join(map(str, model.nn_features_)),
        "largest error of theta": max(errors, default=np.nan),
        "CPU seconds": seconds,
    }
    if task == TUNNEL:
        row |= judged_on_tunnel(model, train)
    return row


def radii_table(results):
    """Return the printed summary of the part "rho"."""
    table = Table(title="rho='auto' compared with the best fixed rho, means over seeds")
    headings = ("best rho\nfor θ", "its |error|", "auto |error|", "ratio")
    headings += ("best RMSE", "its std.\nerror", "auto RMSE", "auto rho", "CPU\nseconds")
    table.add_column("task", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    for task, group in results.groupby("task", sort=False):
        fixed = group[group["variant"] == "fixed"].copy()
        auto = group[group["variant"] == "auto"]
        fixed["absolute"] = fixed["error of theta"].abs()
        error = fixed.groupby("rho")["absolute"].mean()
        rmse = fixed.groupby("rho")["RMSE"].agg(["mean", "sem"])
        best, lowest = error.idxmin(), rmse["mean"].idxmin()
        ours = auto["error of theta"].abs().mean()
        table.add_row(
            task,
            f"{best:g}",
            f"{error[best]:.2f}",
            f"{ours:.2f}",
            f"{ours / error[best]:.2f}",
            f"{rmse['mean'][lowest]:.4g}",
            f"{rmse['sem'][lowest]:.2g}",
            f"{auto['RMSE'].mean():.4g}",
            " ".join(f"{rho:g}" for rho in auto["rho"]),
            f"{auto['CPU seconds'].mean():.0f}",
        )
    return table


def features_table(results):
    """Return the printed summary of the part "features"."""
    table = Table(title="nn_features='auto'")
    for heading in ("task", "seed", "start", "network features"):
        table.add_column(heading, no_wrap=True)
    for heading in ("largest error\nof θ, %", "CPU seconds"):
        table.add_column(heading, justify="right")
    for row in results.to_dict("records"):
        table.add_row(
            row["task"],
            str(row["seed"]),
            f"{row['start']:g}",
            row["nn_features"],
            f"{row['largest error of theta']:.2f}",
            f"{row['CPU seconds']:.0f}",
        )
    return table


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["rho", "features"])
    parser.add_argument("--tasks", nargs="+", default=[*STATIC, *PENDULUM, TUNNEL])
    parser.add_argument("--feature-tasks", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[112, 113, 114])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    console = Console(width=150)
    if "rho" in arguments.parts:
        rows = []
        for seed in arguments.seeds:
            for task in arguments.tasks:
                rows += compare_radii(task, seed)
                print(rows[-1], flush=True)
                save(rows, arguments.output, "tuning_rho.csv")
        console.print(radii_table(pd.DataFrame(rows)))
    if "features" in arguments.parts:
        tasks = arguments.feature_tasks or ["Duffing, noise 0.01", "pendulum", *STATIC, TUNNEL]
        rows = []
        for task in tasks:
            for seed in arguments.seeds[: 1 if task == TUNNEL else None]:
                for start in STARTS[: 1 if task == TUNNEL else None]:
                    rows.append(choose_features(task, seed, start))
                    print(rows[-1], flush=True)
                    save(rows, arguments.output, "tuning_features.csv")
        console.print(features_table(pd.DataFrame(rows)))


def save(rows, folder, name):
    """Write the rows so far."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(folder / name, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
