"""Compare the CPU time of two versions of skhybrid: fits, rollouts in windows and searches.

    git worktree add ../before SOME_COMMIT
    python benchmarks/compare_versions.py --before ../before --output versions.csv

Each version runs in its own process. The process stays alive, so the timing includes no imports
and no warm-up. The versions take turns. Each pair of runs gives a ratio of CPU times, after divided
by before. The table shows the median of the ratios, their geometric mean, and the upper limit of
its 95 % confidence interval (t-distribution of the logarithms). ``--setup`` gives code that the
process of "after" runs first, and ``--without`` switches one change off there: they measure one
change within a version (then ``--before .``).

``benchmarks/results/versions.csv`` compares the versions before and after the layout in rooms.
``what_pays.csv`` beside it was made on a busy computer with
``--before . --without members_as_rows --tasks defaults search --pairs 8``, and the same with
``own_gradient``.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats
from rich.console import Console
from rich.table import Table

# Code that switches one change off, for --without.
WITHOUT = {
    "members_as_rows": """
import skhybrid.model.dynamics as dynamics, skhybrid.model.hybrid as hybrid
hybrid.Hybrid.allows_members_as_rows = property(lambda self: False)
dynamics.Dynamics.allows_members_as_rows = property(lambda self: False)
""",
    "own_gradient": """
import torch
import skhybrid.model.stacked_networks as stacked
def perceptrons(self, weights):
    frozen = {
        name: own.expand(self.n_members, *own.shape)
        for name, own in self.network.named_parameters()
        if name not in weights
    }
    layers = self.network.layers({**weights, **frozen})
    def function(rows):
        x = rows.reshape(self.n_members, -1, rows.shape[-1])
        for i, (weight, bias) in enumerate(layers):
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.mT)
            if i + 1 < len(layers):
                x = torch.nn.functional.silu(x)
        return x.reshape(*rows.shape[:-1], x.shape[-1])
    return function
stacked.StackedNetworks._perceptrons = perceptrons
""",
}
STEPS = {"static": 600, "windows": 120, "search static": 200, "search windows": 78}


def make_tasks():
    """Return tasks by name: functions without arguments that use public names of any version."""
    from skhybrid import ODE, HybridRegressor, HybridSearchCV, Physics
    from skhybrid.datasets import make_pendulum, make_pendulum_acceleration

    states = make_pendulum_acceleration(400, noise=0.05, random_state=0)
    swings = make_pendulum(random_state=0)
    common = {"physics_init": "given", "batch_size": 64, "random_state": 0, "n_threads": 1}

    def static(steps, **settings):
        physics = Physics(states.physics, omega2=2.5)
        return HybridRegressor(physics, max_epochs=max(1, steps // 7), **common, **settings)

    def windows(steps, **settings):
        physics = Physics(swings.physics, omega2=2.5)
        structure = ODE(dt=swings.dt, window=2)
        epochs = max(1, steps // 15)
        return HybridRegressor(
            physics, structure=structure, max_epochs=epochs, **common, **settings
        )

    radii = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4]
    one, both = {"refine_rho": None}, {}
    table, trajectories = (states.data, states.target), (swings.data, swings.target)

    def search(model, grid, data):
        return lambda: HybridSearchCV(model, grid, cv=5, refit=False).fit(*data)

    return {
        "fit, static, one phase": lambda: static(STEPS["static"], **one).fit(*table),
        "fit, static, defaults": lambda: static(STEPS["static"] // 4, **both).fit(*table),
        "fit, windows, one phase": lambda: windows(STEPS["windows"], **one).fit(*trajectories),
        "fit, windows, defaults": lambda: windows(STEPS["windows"] // 4, **both).fit(*trajectories),
        "search, static, 90 fits": search(
            static(STEPS["search static"], **one), {"rho": radii, "l2": [0.0, 1e-5, 1e-4]}, table
        ),
        "search, windows, 30 fits": search(
            windows(STEPS["search windows"], **one), {"rho": radii}, trajectories
        ),
    }


def work(setup):
    """Read names of tasks from standard input; run each task and print its CPU seconds."""
    import torch

    torch.set_num_threads(1)
    exec(setup)
    import skhybrid

    tasks = make_tasks()
    print(Path(skhybrid.__file__).parent, flush=True)
    for line in sys.stdin:
        began = time.process_time()
        tasks[line.strip()]()
        print(time.process_time() - began, flush=True)


class Worker:
    """A process that runs one version."""

    def __init__(self, folder, setup):
        command = [sys.executable, "-W", "ignore", __file__, "--work", setup]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(folder).resolve())},
        )
        self.folder = self.process.stdout.readline().strip()

    def seconds(self, task):
        """Return the CPU seconds of a task."""
        self.process.stdin.write(task + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{task!r} failed with {self.folder}.")
        return float(answer)


def summary(results):
    """Return one row of statistics per task."""
    rows = []
    for task, runs in results.groupby("task", sort=False):
        logs = np.log(runs["ratio"])
        error = logs.std(ddof=1) / np.sqrt(len(logs))
        upper = logs.mean() + scipy.stats.t.ppf(0.975, len(logs) - 1) * error
        rows.append(
            {
                "task": task,
                "pairs": len(runs),
                "before, s": runs["before"].median(),
                "after, s": runs["after"].median(),
                "median ratio": runs["ratio"].median(),
                "geometric mean": np.exp(logs.mean()),
                "upper 95 % limit": np.exp(upper),
            }
        )
    return pd.DataFrame(rows)


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", default=".", help="checkout of the version 'before'")
    parser.add_argument("--after", default=".", help="checkout of the version 'after'")
    parser.add_argument("--setup", default="", help="code that the process of 'after' runs first")
    parser.add_argument(
        "--tasks", nargs="*", help="parts of the names of tasks; default: all tasks"
    )
    parser.add_argument("--without", choices=WITHOUT, help="switch this off in 'after'")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--output", type=Path, help="CSV with one row per pair")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work is not None:
        work(arguments.work)
        return
    workers = {
        "before": Worker(arguments.before, ""),
        "after": Worker(arguments.after, WITHOUT.get(arguments.without, arguments.setup)),
    }
    for name, worker in workers.items():
        print(f"{name}: {worker.folder}")
    names = [
        name
        for name in make_tasks()
        if not arguments.tasks or any(part in name for part in arguments.tasks)
    ]
    rows = []
    for name in names:
        for worker in workers.values():
            worker.seconds(name)  # warm-up
        for pair in range(arguments.pairs):
            order = list(workers) if pair % 2 == 0 else list(workers)[::-1]
            seconds = {which: workers[which].seconds(name) for which in order}
            rows.append(
                {"task": name, "pair": pair, **seconds}
                | {"ratio": seconds["after"] / seconds["before"]}
            )
        if arguments.output is not None:
            pd.DataFrame(rows).round(6).to_csv(arguments.output, index=False)
        print(summary(pd.DataFrame(rows)).iloc[-1].to_dict(), flush=True)
    table = Table(title=f"CPU time on one thread, {arguments.pairs} pairs of runs")
    shown = summary(pd.DataFrame(rows))
    for column in shown:
        table.add_column(column, justify="left" if column == "task" else "right")
    for row in shown.itertuples(index=False):
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row))
    Console().print(table)


if __name__ == "__main__":
    main()
