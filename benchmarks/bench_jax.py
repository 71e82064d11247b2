"""Compare the time of a step with JAX, whose whole training loop is compiled, for 1 and 32 fits.

The tasks are the pendulum's accelerations as a table, and windows of two RK4 steps of its
trajectories: a perceptron 64-64, minibatches of 64, SAM per layer, Adam, a half cosine. Variants
take turns on one thread; each has 1 or 32 fits side by side. A time is CPU time per step and fit:
the median epoch of a fit with skhybrid, the mean of the other loops. The column "first, s" is the
CPU time of the first fit, with compilation. JAX is not a part of the environment: its folder is
given.

    python -m pip install --target JAX_FOLDER jax
    git worktree add ../before SOME_COMMIT
    python benchmarks/bench_jax.py --jax JAX_FOLDER --before ../before \\
        --output benchmarks/results/speed.csv
"""

import argparse
import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

# Epochs of a training of one fit and of many.
EPOCHS = {("table", 1): 100, ("table", 32): 20, ("windows", 1): 20, ("windows", 32): 4}
N_FITS = 32
VARIANTS = ("before", "default", "compiled", "by hand", "jax")
RHO, LEARNING_RATE, BATCH_SIZE, START = 0.05, 6e-3, 64, 2.5


class Clock:
    """A callback that keeps the CPU time at the end of every epoch."""

    def __init__(self):
        self.times = []

    def setup(self, estimator, context):
        """Take part in the protocol of scikit-learn's callbacks."""

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context):
        """Note the time."""
        if context.task_name.endswith("epoch"):
            self.times.append(time.process_time())

    def median(self):
        """Return the median CPU time of an epoch."""
        return statistics.median(b - a for a, b in itertools.pairwise(self.times))


def fit_ours(task, n_fits, n_epochs, compile):
    """Fit with HybridRegressor; return the median CPU seconds of an epoch."""
    from skhybrid import ODE, HybridRegressor, Physics
    from skhybrid.datasets import make_pendulum_acceleration, pendulum

    settings = {"rho": RHO, "refine_rho": None, "physics_init": "given", "random_state": 0}
    settings |= {"learning_rate": LEARNING_RATE, "batch_size": BATCH_SIZE, "compile": compile}
    settings |= {"max_epochs": n_epochs, "n_restarts": n_fits}
    if task == "table":
        bunch = make_pendulum_acceleration(random_state=0)
        model = HybridRegressor(bunch.physics, **settings)
    else:
        bunch = swings()
        structure = ODE(dt=bunch.dt, window=2, substeps=1)
        physics = Physics(pendulum, omega2=START)
        model = HybridRegressor(physics, structure=structure, **settings)
    clock = Clock()
    model.set_callbacks(clock).fit(bunch.data, bunch.target)
    return clock.median()


@functools.cache
def swings():
    """Return trajectories of the pendulum."""
    from skhybrid.datasets import make_pendulum

    return make_pendulum(random_state=0)


@functools.cache
def n_batches(task):
    """Return the number of minibatches of an epoch."""
    from bench_fit import pendulum_task
    from bench_ode import cut

    bunch = swings()
    n_rows = len(pendulum_task()[1] if task == "table" else cut(bunch.data, bunch.target, 2)[0])
    return -(-n_rows // BATCH_SIZE)


def fit_by_hand(task, n_fits, n_epochs, compile):
    """Fit with the hand-written loops of the other benchmarks, one fit after the other."""
    import bench_fit
    import bench_ode

    if task == "table":
        X, y, _, physics, start = bench_fit.pendulum_task()
        bench_fit.fit_by_hand(X, y, physics, start, n_epochs)
        return
    bunch, n_steps = swings(), n_epochs * n_batches(task)
    bench_ode.fit_by_hand(bunch.data, bunch.target, bunch.dt, 2, n_steps, BATCH_SIZE)


def fit_with_jax(task, n_fits, n_epochs, compile, _compiled={}):  # noqa: B006
    """Fit with JAX; the loop is compiled at the first call."""
    import jax
    import jax_loop
    from bench_fit import pendulum_task
    from bench_ode import cut

    if (task, n_fits, n_epochs) not in _compiled:
        if task == "table":
            X, y = (each.astype("float32") for each in pendulum_task()[:2])
            loss, n_rows, start = jax_loop.table_loss(X, y), len(X), (X.shape[1], 1)
        else:
            bunch = swings()
            first, later = (each.numpy() for each in cut(bunch.data, bunch.target, 2))
            loss = jax_loop.windows_loss(first, later, bunch.dt, START)
            n_rows, start = len(first), (2, 2)
        n_steps = n_epochs * n_batches(task)
        train = jax_loop.training(loss, n_rows, n_steps, BATCH_SIZE, RHO, LEARNING_RATE)
        _compiled[task, n_fits, n_epochs] = train, jax_loop.start(*start, n_fits)
    train, parameters = _compiled[task, n_fits, n_epochs]
    jax.block_until_ready(train(parameters))


def answer_requests():
    """Measure what each line of the standard input asks for; write the times as JSON."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    functions = {"by hand": fit_by_hand, "jax": fit_with_jax}
    for line in sys.stdin:
        variant, task, n_fits = json.loads(line)
        fit = functions.get(variant, fit_ours)
        n_epochs, n_steps = EPOCHS[task, n_fits], EPOCHS[task, n_fits] * n_batches(task)
        began = time.process_time()
        epoch = fit(task, n_fits, n_epochs, variant == "compiled")
        total = time.process_time() - began
        step = total / n_steps if epoch is None else epoch * n_epochs / n_steps
        print(json.dumps([total, step]), flush=True)


def main():
    """Run the comparison from the command line."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="source folder of an older version")
    parser.add_argument("--jax", type=Path, help="folder with JAX; without, it is left out")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", default=["table", "windows"])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.answer:
        answer_requests()
        return
    here = Path(__file__).resolve().parents[1]
    left_out = {"before"} if arguments.before is None else set()
    left_out |= {"jax"} if arguments.jax is None else set()
    variants = [each for each in VARIANTS if each not in left_out]
    processes = {}
    for variant in variants:
        source = arguments.before if variant == "before" else here
        paths = [source, *([arguments.jax] if variant == "jax" else [])]
        variables = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        processes[variant] = subprocess.Popen(
            [sys.executable, __file__, "--answer"],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(variant, task, n_fits):
        process = processes[variant]
        print(json.dumps([variant, task, n_fits]), file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())

    rows = []
    for task in arguments.tasks:
        for n_fits in (1, N_FITS):
            there = [each for each in variants if n_fits == 1 or each != "by hand"]
            first = {variant: ask(variant, task, n_fits)[0] for variant in there}
            for repeat in range(arguments.repeats):
                for variant in there:
                    each = ask(variant, task, n_fits)[1] / n_fits
                    rows.append(
                        {
                            "task": task,
                            "fits side by side": n_fits,
                            "variant": variant,
                            "repeat": repeat,
                            "µs per step and fit": 1e6 * each,
                            "first, s": first[variant],
                        }
                    )
            results = pd.DataFrame(rows)
            keys = ["task", "fits side by side", "variant"]
            medians = results.groupby(keys, sort=False)[
                ["µs per step and fit", "first, s"]
            ].median()
            print(medians.loc[task, n_fits], flush=True)
            if arguments.output is not None:
                results.to_csv(arguments.output, index=False, float_format="%.4g")
    for process in processes.values():
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
