"""Measure the time of a search, and the time of a fit against the number of fits in a batch.

- "search": one process runs all searches, in random order in every round. The results are medians
  of ratios of runs of the same round, with the same folds, epochs, batch sizes, learning rates and
  starts. HybridSearchCV is compared with scikit-learn's GridSearchCV over the same estimator, and
  over the skorch estimators of skorch_sam.py, which take the same steps. The printed summary shows
  scores and times.
- "growth": microseconds per fit and step of sharpness-aware minimisation against the number of
  fits. The fits are all in one batch, or in the batches that HybridSearchCV makes. The floor is the
  time of the matrix products and activations of the layers alone. Times are CPU times of one
  thread, or times until a GPU has finished.
- "limits": the parts of the time of a step with 32 fits.

    python benchmarks/bench_search.py --parts search growth limits

The files in benchmarks/results were made with ``--parts search --repeats 2 --epochs 40 10`` and
``--parts growth --tasks static --repeats 2 --steps 60 26``; the rows of windows, and the limits,
are from an earlier version (``--parts growth limits --repeats 3 --steps 60 26``). The second round
of the table with one phase is a run of its own.
"""

import argparse
import contextlib
import functools
import itertools
import multiprocessing
import os
import statistics
import time
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skhybrid import ODE, HybridRegressor, HybridSearchCV, Physics
from skhybrid.batching import batch_training
from skhybrid.batching.batch_workers import BatchWork, train_batch
from skhybrid.batching.fit_tasks import FitTasks
from skhybrid.batching.trials import Trial
from skhybrid.datasets import make_pendulum, make_pendulum_acceleration
from skhybrid.exceptions import CollapseWarning
from skhybrid.training import multistart, step
from skhybrid.training.adam import Adam
from skhybrid.training.members import Members
from skhybrid.training.minibatches import PerMemberBatches
from skhybrid.training.non_finite import NonFiniteGuard
from skhybrid.training.objective import Objective
from skhybrid.training.sam import SAM

START, LEARNING_RATE, BATCH_SIZE, WIDTH = 2.5, 6e-3, 64, 64
FOLDS = KFold(5, shuffle=True, random_state=0)
RADII = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4]
ONE_BATCH = "all at once"
OURS, GRID, RIVAL = "HybridSearchCV", "GridSearchCV", "GridSearchCV of skorch"
# Number of members for the measurement of the floor: the overhead of calls is negligible.
FLOOR_MEMBERS = {"cpu": 32, "cuda": 4096}
MEMBERS = {"cpu": [2**k for k in range(11)], "cuda": [4**k for k in range(7)]}
LIMIT_MEMBERS = 32
# Timed functions of a step. None of them calls another one.
WATCHED = [
    ("forward", Objective, "__call__"),
    ("backward", Members, "backward"),
    ("SAM's two moves", SAM, "ascend"),
    ("SAM's two moves", SAM, "descend"),
    ("Adam", Adam, "step"),
    ("guards", Members, "drop_non_finite"),
    ("guards", NonFiniteGuard, "check"),
    ("rows of a minibatch", step, "rows_of"),
    ("rows of a minibatch", PerMemberBatches, "shuffled"),
    ("loss of all rows", Objective, "data_losses"),
]


def rollout_r2(model, X, y):
    """Return R² of whole trajectories; NaN if a rollout is not finite."""
    return 1.0 - float(np.mean((model.predict(X) - y) ** 2 / y.var(axis=(0, 1))))


@dataclass(frozen=True)
class Task:
    """Data, a model and a grid.

    Attributes
    ----------
    rival : tuple of str and dict
        Name of the estimator in skorch_sam.py, and its additional parameters.
    n_training_rows : int
        Number of rows or windows in four of five folds.
    n_outputs : int
        Number of outputs of the network.
    n_evaluations : int
        Number of sequential evaluations of the network in one pass through the model.
    """

    X: np.ndarray
    y: np.ndarray
    physics: Any
    structure: Any
    grid: dict
    scoring: Any
    rival: tuple[str, dict]
    n_training_rows: int
    n_outputs: int
    n_evaluations: int

    @property
    def n_batches(self):
        """Number of minibatches per epoch."""
        return -(-self.n_training_rows // BATCH_SIZE)

    @property
    def n_rows(self):
        """Number of rows in a minibatch of skhybrid."""
        return self.n_training_rows // self.n_batches

    def ours(self, n_epochs, *, refine_rho=None, device="cpu"):
        """Return the estimator of skhybrid."""
        return HybridRegressor(
            Physics(self.physics, omega2=START),
            structure=self.structure,
            refine_rho=refine_rho,
            physics_init="given",
            learning_rate=LEARNING_RATE,
            batch_size=BATCH_SIZE,
            max_epochs=n_epochs,
            device=device,
            random_state=0,
        )

    def theirs(self, n_epochs):
        """Return the estimator of skorch_sam.py."""
        try:
            import skorch_sam
        except ModuleNotFoundError as error:
            raise SystemExit(
                f"The skorch estimators need {error.name}: pip install skorch, or pip install "
                "'.[bench]'. The parts growth and limits do not need it: --parts growth limits."
            ) from error
        name, parameters = self.rival
        return getattr(skorch_sam, name)(
            **parameters,
            max_epochs=n_epochs,
            batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            omega2_start=START,
            random_state=0,
        )


def static_task():
    """Return the task on a table of 400 rows."""
    states = make_pendulum_acceleration(400, noise=0.05, random_state=0)
    return Task(
        states.data,
        states.target,
        states.physics,
        structure="additive",
        grid={"rho": RADII, "l2": [0.0, 1e-5, 1e-4]},
        scoring="r2",
        rival=("SkorchStatic", {}),
        n_training_rows=320,
        n_outputs=1,
        n_evaluations=1,
    )


def windows_task():
    """Return the task on trajectories in windows of two steps; the solver has four stages."""
    swings = make_pendulum(random_state=0)
    return Task(
        swings.data,
        swings.target,
        swings.physics,
        structure=ODE(dt=swings.dt, window=2),
        grid={"rho": RADII},
        scoring=rollout_r2,
        rival=("SkorchWindows", {"dt": swings.dt}),
        n_training_rows=20 * 39,
        n_outputs=2,
        n_evaluations=8,
    )


TASKS = {"static": static_task, "windows": windows_task}
# Radius of the second phase; None leaves the second phase out.
PHASES = {"one": None, "both": 0.0}
TITLES = {
    "static": "Table, minibatches of 64 rows",
    "windows": "Windows of two steps, minibatches of 60",
}


def measure_search(tasks, phases, epochs, n_rounds, n_jobs, save):
    """Time all searches of every round; call ``save`` with the rows so far."""
    rows, random = [], np.random.default_rng(0)
    for number in range(n_rounds):
        for name in random.permutation(tasks):
            task, n_epochs = TASKS[name](), epochs[name]
            for which in phases:
                found = [
                    {"round": number, "task": name, "phases": which, **run}
                    for run in one_round(task, n_epochs, PHASES[which], n_jobs, random)
                ]
                rows += compared(found, n_jobs)
                save(pd.DataFrame(rows).drop(columns="scores"))
    return pd.DataFrame(rows).drop(columns="scores")


def one_round(task, n_epochs, refine_rho, n_jobs, random):
    """Yield times and scores of every search, in random order."""

    def searches(n_epochs):
        ours = functools.partial(task.ours, n_epochs, refine_rho=refine_rho)
        common = {"scoring": task.scoring, "cv": FOLDS, "refit": False}
        several, alone = {**common, "n_jobs": n_jobs}, {**common, "n_jobs": 1}
        made = {
            (OURS, n_jobs): lambda: HybridSearchCV(ours(), task.grid, **several),
            (GRID, n_jobs): lambda: GridSearchCV(ours(), task.grid, **several),
        }
        if refine_rho is None:
            made[OURS, 1] = lambda: HybridSearchCV(ours(), task.grid, **alone)
            made[RIVAL, n_jobs] = lambda: GridSearchCV(task.theirs(n_epochs), task.grid, **several)
        return made

    made, tiny = searches(n_epochs), searches(1)
    for place, key in enumerate(random.permutation(len(made))):
        name, processes = [*made][key]
        # A first search starts the processes and imports before the clock runs.
        first = tiny[name, processes]().set_params(param_grid={"rho": RADII[:2]})
        first.fit(task.X, task.y)
        search = made[name, processes]()
        cpu_began, began = cpu_seconds(), time.perf_counter()
        search.fit(task.X, task.y)
        seconds, cpu = time.perf_counter() - began, cpu_seconds() - cpu_began
        results = search.cv_results_
        scores = np.stack([results[f"split{k}_test_score"] for k in range(FOLDS.n_splits)])
        yield {
            "search": name,
            "processes": processes,
            "place": place,
            "fits": scores.size,
            "steps": n_epochs * task.n_batches,
            "seconds": seconds,
            "CPU seconds": cpu,
            "mean score": scores.mean(),
            "median score": np.median(scores),
            "best score": scores.mean(axis=0).max(),
            "scores": scores,
        }


def compared(runs, n_jobs):
    """Add comparisons with HybridSearchCV to the runs of a round."""
    (base,) = (run for run in runs if (run["search"], run["processes"]) == (OURS, n_jobs))
    for run in runs:
        run["times HybridSearchCV"] = run["seconds"] / base["seconds"]
        if run["search"] != RIVAL:  # the rival has other random numbers
            run["largest difference of scores"] = np.abs(run["scores"] - base["scores"]).max()
    return runs


def cpu_seconds():
    """Return CPU seconds of this process and its children; NaN if the system hides them."""
    ticks = 0
    try:
        for child in multiprocessing.active_children():
            fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return float("nan")


def print_search(results):
    """Print medians over the rounds."""
    keys = ["task", "phases", "search", "processes"]
    rows = []
    for key, runs in results.groupby(keys):
        ratio = runs["times HybridSearchCV"]
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "seconds": runs["seconds"].median(),
                "CPU seconds": runs["CPU seconds"].median(),
                "ratio": f"{ratio.median():.2f}",
                "range": f"{ratio.min():.2f}–{ratio.max():.2f}",
                "mean score": runs["mean score"].median(),
                "median score": runs["median score"].median(),
                "best score": runs["best score"].median(),
                "scores differ by at most": runs["largest difference of scores"].max(),
            }
        )
    shown = pd.DataFrame(rows).sort_values(
        ["task", "phases", "seconds"], ascending=[True, False, True]
    )
    n_rounds = results["round"].nunique()
    title = f"Search: medians of {n_rounds} rounds; ratios to HybridSearchCV in the same round"
    show(
        title, shown.rename(columns={"processes": "jobs", "scores differ by at most": "differ by"})
    )


def prepared_fits(task, n_members, n_steps, device="cpu"):
    """Return prepared fits with different radii; they use the five folds in turn."""
    n_epochs = max(1, round(n_steps / task.n_batches))
    model, splits = task.ours(n_epochs, device=device), [*enumerate(FOLDS.split(task.X))]
    radii = np.geomspace(RADII[0], RADII[-1], -(-n_members // len(splits)))
    tasks = FitTasks()
    for k in range(n_members):
        radius, split = {"rho": float(radii[k // len(splits)])}, splits[k % len(splits)]
        Trial(k, radius, split, clone(model)).prepare(tasks, task.X, task.y, {})
    return tasks.tasks


def train_all(fits, max_members, clock):
    """Train fits as HybridSearchCV does in one process; return seconds per fit and step."""
    seconds = 0.0
    for number, batch in enumerate(batch_training.make_batches(fits, 1, max_members)):
        together = [task.fit for task in batch.tasks]
        began = clock()
        work = BatchWork(
            number, together, batch.max_members, batch.n_threads, [None] * len(together)
        )
        results = train_batch(work).results
        seconds += clock() - began
        for result in results:
            if result.error is not None:
                raise result.error
    return seconds / (len(fits) * steps_of(fits))


def steps_of(fits):
    """Return the number of steps per fit."""
    schedule = fits[0].fit.config.schedule
    return schedule.n_epochs * schedule.n_batches


def device_clock():
    """Return the time in seconds after the GPU has finished its work."""
    torch.cuda.synchronize()
    return time.perf_counter()


CLOCKS = {"cpu": time.process_time, "cuda": device_clock}


def floor(task, device="cpu", n_members=None, repeats=3):
    """Return seconds of the arithmetic of one fit in a SAM step: two forward and backward passes.

    A matrix product and its transpose can differ in speed by several times; the faster one counts.
    """
    n_members = n_members or FLOOR_MEMBERS[device]
    random = functools.partial(torch.randn, device=device)
    seconds = defaultdict(float)

    def add(part, n_times, function, *tensors):
        out = function(*tensors)
        each = median_seconds(lambda: function(*tensors, out=out), CLOCKS[device], repeats)
        if function is torch.bmm:
            left, right = (tensor.mT for tensor in reversed(tensors))
            turned = torch.bmm(left, right)
            other = median_seconds(
                lambda: torch.bmm(left, right, out=turned), CLOCKS[device], repeats
            )
            each = min(each, other)
        seconds[part] += 2 * n_times * each / n_members

    n_times, n_rows = task.n_evaluations, task.n_rows
    sizes = [2, WIDTH, WIDTH, task.n_outputs]
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        x, weight = random(n_members, n_rows, n_in), random(n_members, n_out, n_in)
        y = random(n_members, n_rows, n_out)
        forward, backward = "matrix products, forward", "matrix products, backward"
        add(forward, n_times, torch.bmm, x, weight.mT)
        add(backward, n_times, torch.bmm, y.mT, x)
        # The first inputs of a pass are data; they need no gradient.
        add(backward, n_times if layer else n_times - 1, torch.bmm, y, weight)
        if layer < len(sizes) - 2:
            gradient = random(n_members, n_rows, n_out)
            add("silu, forward", n_times, silu, y)
            add("silu, backward", n_times, silu_backward, gradient, y)
    return dict(seconds)


def silu(x, *, out=None):
    """Return the activation, written to ``out`` if it is given."""
    return torch.ops.aten.silu(x) if out is None else torch.ops.aten.silu.out(x, out=out)


def silu_backward(gradient, x, *, out=None):
    """Return the gradient of the activation's input, written to ``out`` if it is given."""
    if out is None:
        return torch.ops.aten.silu_backward(gradient, x)
    return torch.ops.aten.silu_backward.grad_input(gradient, x, grad_input=out)


def median_seconds(function, clock, repeats, least=0.02):
    """Return the median seconds of a call, over loops of at least ``least`` seconds."""
    n_calls, seconds = 1, 0.0
    while True:
        began = clock()
        for _ in range(n_calls):
            function()
        seconds = clock() - began
        if seconds >= least:
            break
        n_calls = max(2 * n_calls, int(1.2 * n_calls * least / max(seconds, 1e-6)))
    found = []
    for _ in range(repeats):
        began = clock()
        for _ in range(n_calls):
            function()
        found.append((clock() - began) / n_calls)
    return statistics.median(found)


def measure_growth(tasks, steps, repeats, device):
    """Time a step per fit against the number of fits."""
    clock, random = CLOCKS[device], np.random.default_rng(0)
    fastest = batch_training.FAST_MEMBERS
    if device == "cuda":
        fastest = batch_training.FAST_MEMBERS_ON_CUDA
    rows = []
    for name in tasks:
        task = TASKS[name]()
        train_all(prepared_fits(task, 2, 2 * task.n_batches, device), None, clock)
        fits = {n: prepared_fits(task, n, steps[name], device) for n in MEMBERS[device]}
        runs = [(ONE_BATCH, n, n) for n in fits]
        runs += [(f"at most {fastest}", n, None) for n in fits if n > fastest]
        found, outside, floors = defaultdict(list), defaultdict(list), []
        for _ in range(repeats):
            for which in random.permutation(len(runs)):
                batches, n_members, limit = runs[which]
                with watched([("loop", multistart, "train")], clock) as inside:
                    seconds = train_all(fits[n_members], limit, clock)
                found[batches, n_members].append(seconds)
                n_steps = steps_of(fits[n_members])
                outside[batches, n_members].append(n_steps * seconds - inside["loop"] / n_members)
            floors.append(sum(floor(task, device).values()))
        lowest = statistics.median(floors)
        for batches, n_members, _ in runs:
            seconds = found[batches, n_members]
            rows.append(
                {
                    "task": name,
                    "device": device,
                    "batch": batches,
                    "members": n_members,
                    "steps": steps_of(fits[n_members]),
                    "us for a fit and step": 1e6 * statistics.median(seconds),
                    "lowest": 1e6 * min(seconds),
                    "highest": 1e6 * max(seconds),
                    "members per second": 1.0 / statistics.median(seconds),
                    "floor, us": 1e6 * lowest,
                    "times the floor": statistics.median(seconds) / lowest,
                    "ms outside the loop": 1e3 * statistics.median(outside[batches, n_members]),
                }
            )
    return pd.DataFrame(rows)


def plot_growth(results, path):
    """Plot the time of a step against the number of fits."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    names = results["task"].unique()
    figure, axes = plt.subplots(
        1, len(names), figsize=(5.5 * len(names), 4.5), squeeze=False, layout="constrained"
    )
    for ax, name in zip(axes[0], names, strict=True):
        for device, of_device in results[results["task"] == name].groupby("device", sort=False):
            draw_device(ax, device, of_device)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        rate = ax.secondary_yaxis("right", functions=(per_second, per_second))
        for axis in (ax.yaxis, rate.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_formatter(NullFormatter())
            axis.set_major_formatter("{x:g}")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set(title=TITLES[name], xlabel="fits", ylabel="time per fit and step / µs")
        rate.set_ylabel("steps of fits per second")
        ax.grid(color="0.9", linewidth=0.6)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize="small")
    figure.suptitle("Time of one step of sharpness-aware minimisation")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def per_second(microseconds):
    """Convert microseconds per step to steps per second, or back."""
    return 1e6 / np.maximum(microseconds, 1e-9)


def draw_device(ax, device, results):
    """Plot the curves of one device."""
    where = {"cpu": "one CPU thread", "cuda": "GPU"}[device]
    colour = {"cpu": "#0072B2", "cuda": "#009E73"}[device]
    together = results["batch"] == ONE_BATCH
    whole, parts = results[together], results[~together]
    cost = "us for a fit and step"
    ax.plot(whole["members"], whole[cost], "o-", color=colour, label=f"{where}, all in one batch")
    if len(parts):
        # Up to this number of fits, one batch holds all fits in both cases.
        shared = whole[whole["members"] < parts["members"].min()].tail(1)
        parts = pd.concat([shared, parts])
        label = f"{where}, {parts['batch'].iloc[-1]} per batch"
        ax.plot(parts["members"], parts[cost], "s-", color="#D55E00", label=label)
    label = f"{where}, matrix products and silu alone"
    ax.axhline(whole["floor, us"].iloc[0], color=colour, linestyle="--", label=label)


@contextlib.contextmanager
def watched(places, clock):
    """Sum the seconds of functions under the given names; they must not call each other."""
    seconds = defaultdict(float)

    def watch(name, function):
        @functools.wraps(function)
        def timed(*args, **options):
            began = clock()
            try:
                return function(*args, **options)
            finally:
                seconds[name] += clock() - began

        return timed

    before = [(owner, attribute, getattr(owner, attribute)) for _, owner, attribute in places]
    for (name, owner, attribute), (*_, function) in zip(places, before, strict=True):
        setattr(owner, attribute, watch(name, function))
    try:
        yield seconds
    finally:
        for owner, attribute, function in before:
            setattr(owner, attribute, function)


def measure_limits(tasks, steps, repeats):
    """Split the time of a step of one batch of fits into parts."""
    for name in tasks:
        fits = prepared_fits(TASKS[name](), LIMIT_MEMBERS, steps[name])
        runs = [parts_of_step(TASKS[name](), fits) for _ in range(repeats + 1)][1:]
        medians = {part: statistics.median(run[part] for run in runs) for part in runs[0]}
        for part, seconds in medians.items():
            yield {
                "task": name,
                "part": part,
                "us for a fit and step": 1e6 * seconds,
                "per cent": 100 * seconds / medians["all"],
            }


def parts_of_step(task, fits):
    """Return seconds per fit and step for each part of a step."""
    clock = time.process_time
    with watched([*WATCHED, ("loop", multistart, "train")], clock) as seconds:
        whole = train_all(fits, len(fits), clock)
    n_steps = len(fits) * steps_of(fits)
    found = {name: value / n_steps for name, value in seconds.items()}
    arithmetic = floor(task, n_members=len(fits))
    parts = dict(arithmetic)
    for way in ("forward", "backward"):
        known = sum(value for name, value in arithmetic.items() if name.endswith(way))
        parts[f"the rest of {way}"] = found[way] - known
    inside = dict.fromkeys(name for name, *_ in WATCHED)
    parts |= {name: found[name] for name in inside if name not in ("forward", "backward")}
    parts["the rest of the loop"] = found["loop"] - sum(found[name] for name in inside)
    parts["before and after the loop"] = whole - found["loop"]
    return parts | {"all": whole}


def show(title, results):
    """Print results under a title."""
    table = Table(title=title)
    for column, values in results.items():
        justify = "right" if pd.api.types.is_numeric_dtype(values) else "left"
        table.add_column(column, justify=justify, no_wrap=justify == "left")
    for values in results.itertuples(index=False):
        table.add_row(*(v if isinstance(v, str) else "" if v != v else f"{v:.4g}" for v in values))
    Console(width=150).print(table)


def main():
    """Run the measurements from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("search", "growth", "limits")
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=parts)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--phases", nargs="+", default=list(PHASES), choices=list(PHASES))
    parser.add_argument("--repeats", type=int, default=5)
    numbers = {"type": int, "nargs": 2, "metavar": ("STATIC", "WINDOWS")}
    parser.add_argument("--epochs", default=[120, 15], help="epochs of the searches", **numbers)
    parser.add_argument("--steps", default=[500, 65], help="steps of growth and limits", **numbers)
    parser.add_argument("--jobs", type=int, default=2, help="processes of the searches")
    parser.add_argument("--devices", nargs="+", default=["cpu"], choices=["cpu", "cuda"])
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder for results"
    )
    arguments = parser.parse_args()
    epochs = dict(zip(TASKS, arguments.epochs, strict=True))
    steps = dict(zip(TASKS, arguments.steps, strict=True))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", CollapseWarning)
    arguments.output.mkdir(parents=True, exist_ok=True)

    def save(results, name):
        results.to_csv(arguments.output / name, index=False, float_format="%.5g")

    if "search" in arguments.parts:
        results = measure_search(
            arguments.tasks,
            arguments.phases,
            epochs,
            arguments.repeats,
            arguments.jobs,
            functools.partial(save, name="search.csv"),
        )
        print_search(results)
    if "growth" in arguments.parts:
        found = []
        for device in arguments.devices:
            if device == "cuda" and not torch.cuda.is_available():
                print("Torch finds no GPU here: the device cuda is left out.")
                continue
            found.append(measure_growth(arguments.tasks, steps, arguments.repeats, device))
        if found:
            results = pd.concat(found)
            shown = results.drop(columns=["lowest", "highest"])
            show(f"Growth: medians of {arguments.repeats} runs", shown)
            save(results, "search_growth.csv")
            plot_growth(results, arguments.output / "search_growth.png")
    if "limits" in arguments.parts:
        results = pd.DataFrame(measure_limits(arguments.tasks, steps, arguments.repeats))
        show(f"Limits: {LIMIT_MEMBERS} fits, medians of {arguments.repeats} runs", results)
        save(results, "search_limits.csv")


if __name__ == "__main__":
    main()
