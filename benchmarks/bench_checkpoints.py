"""What checkpoints cost, and whether fits and searches that are killed go on to the same result.

    python benchmarks/bench_checkpoints.py                 # some 15 minutes on one core
    python benchmarks/bench_checkpoints.py --only kills --kills 10 --search-kills 3

Kills: a process runs a fit or a search that writes a checkpoint after every epoch. It is killed
(SIGKILL) after a random time, then the same call runs again, and its result is compared with the
one of a call that was never killed, bit for bit. Of searches with workers, every second kill hits a
worker.

Cost: CPU seconds of the same fit with and without checkpoints at the default interval, and the part
of its time that the calls which write them took. Counts of kills are added to those in the file, so
that the benchmark can be run in pieces, with other seeds.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from skhybrid import ODE, HybridRegressor, HybridSearchCV
from skhybrid.datasets import make_pendulum, make_pendulum_acceleration, pendulum
from skhybrid.training import checkpoint

RESULTS = Path(__file__).parent / "results" / "checkpoints.csv"
TABLE = make_pendulum_acceleration(120, random_state=0)
SWINGS = make_pendulum(12, n_times=15, random_state=0)
FORK = multiprocessing.get_context("fork")


def table_model(**settings):
    return HybridRegressor(TABLE.physics, **{"nn": (16,), "random_state": 0, **settings})


def dropout():
    """Return a network with random numbers of its own."""
    return torch.nn.Sequential(
        torch.nn.Linear(2, 16), torch.nn.SiLU(), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1)
    )


def swing_model():
    structure = ODE(dt=SWINGS.dt, window=(2, 4, 8))
    return HybridRegressor(pendulum, nn=(8,), structure=structure, max_epochs=6, random_state=0)


ON_TABLE, ON_SWINGS = (TABLE.data, TABLE.target), (SWINGS.data, SWINGS.target)
FITS = {
    "two phases": (lambda: table_model(max_epochs=20), ON_TABLE),
    "restarts and early stopping": (
        lambda: table_model(max_epochs=15, n_restarts=3, early_stopping=True, n_iter_no_change=8),
        ON_TABLE,
    ),
    "dropout": (lambda: table_model(nn=dropout(), max_epochs=20), ON_TABLE),
    "windows that grow": (swing_model, ON_SWINGS),
    'rho="auto"': (lambda: table_model(max_epochs=2, rho="auto"), ON_TABLE),
}
GRID = {"rho": [0.02, 0.05], "l2": [0.0, 1e-4]}


def search(n_jobs=None, max_epochs=3):
    model = table_model(max_epochs=max_epochs)
    return HybridSearchCV(model, GRID, cv=3, max_members=4, n_jobs=n_jobs)


SEARCHES = {
    "search": (search, ON_TABLE),
    "search with two workers": (lambda: search(n_jobs=2, max_epochs=30), ON_TABLE),
}


def digest(fitted) -> str:
    """Return a hash of everything that training gave."""
    parts = (
        [fitted.cv_results_[name] for name in fitted.cv_results_ if "test_score" in name]
        if (hasattr(fitted, "cv_results_"))
        else []
    )
    model = getattr(fitted, "best_estimator_", fitted)
    parts += [np.array(model.loss_curve_), *map(np.asarray, model.physics_params_.values())]
    parts += [value.numpy() for value in model.module_.state_dict().values()]
    return hashlib.sha256(
        b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
    ).hexdigest()


def call(make, data, folder, pipe) -> None:
    """Fit in a process of its own, and send what came out."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in ("FIRST_SECONDS", "INTERVAL_SECONDS", "COST_FACTOR", "KEPT_SECONDS"):
        setattr(checkpoint, name, 0.0)
    pipe.send("begun")
    fitted = make().set_params(checkpoint=folder).fit(*data)
    pipe.send(digest(fitted))


def start(make, data, folder):
    """Start a call; return its process and the pipe to it."""
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=call, args=(make, data, folder, theirs))
    process.start()
    theirs.close()
    ours.recv()
    return process, ours


def outcome(process, pipe) -> str | None:
    """Wait for a call; return its digest, or None if it was killed."""
    try:
        found = pipe.recv()
    except EOFError:
        found = None
    process.join()
    return found


def workers_of(pid: int) -> list[int]:
    """Return the process ids of the workers that a search has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            about = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(about[1]) == pid and "popen_loky" in command:
            found.append(int(status.parent.name))
    return found


def kill_test(name, make, data, n_kills, rng) -> list[tuple]:
    """Kill calls at random times; return the counts."""
    counts = dict.fromkeys(("kills", "during the call", "with a checkpoint", "same result"), 0)
    # What the first fit imports takes longer than the others as a whole. Workers of this process
    # would be of no use to its children.
    first = make()
    (first.set_params(n_jobs=None) if "n_jobs" in first.get_params() else first).fit(*data)
    began = time.perf_counter()
    expected = outcome(*start(make, data, None))
    seconds = time.perf_counter() - began
    for number in range(n_kills):
        with tempfile.TemporaryDirectory() as folder:
            process, pipe = start(make, data, folder)
            time.sleep(rng.uniform(0.0, seconds))
            workers = workers_of(process.pid) if number % 2 else []
            os.kill(workers[-1] if workers else process.pid, signal.SIGKILL)
            counts["kills"] += 1
            found = outcome(process, pipe)
            if not workers:
                counts["during the call"] += found is None
                counts["with a checkpoint"] += bool([*Path(folder).glob("*.checkpoint")])
            elif found is not None:
                counts["during the call"] += 1
            if found is None:
                found = outcome(*start(make, data, folder))
            same = found == expected and not [*Path(folder).iterdir()]
            counts["same result"] += same
            print(
                f"{name}: kill {number + 1} of {n_kills}: {'same' if same else 'DIFFERENT'}",
                flush=True,
            )
    return [(name, key, value) for key, value in counts.items()]


def timed_fit(make, folder) -> tuple[float, float, int]:
    """Return the CPU seconds of a fit, the part of its time for writing, and how often it wrote."""
    writing = []
    write = checkpoint.Checkpoint.write

    def timed(self, running):
        began = time.perf_counter()
        write(self, running)
        writing.append(time.perf_counter() - began)

    checkpoint.Checkpoint.write = timed
    try:
        began, wall = time.process_time(), time.perf_counter()
        make().set_params(checkpoint=folder).fit(*ON_TABLE)
        seconds, wall = time.process_time() - began, time.perf_counter() - wall
        return seconds, sum(writing) / wall, len(writing)
    finally:
        checkpoint.Checkpoint.write = write


COSTS = {
    "fit with 1,185 weights": lambda: table_model(nn=(32, 32), max_epochs=3000, refine_rho=None),
    "fit with a million weights": lambda: table_model(
        nn=(1000, 1000), max_epochs=150, refine_rho=None
    ),
}


def cost(name, make, n_repeats) -> list[tuple]:
    """Return medians with and without checkpoints, in turn."""
    without, together, writing, n_writes = [], [], [], []
    for _ in range(n_repeats):
        without.append(timed_fit(make, None)[0])
        with tempfile.TemporaryDirectory() as folder:
            seconds, wrote, n = timed_fit(make, folder)
        together.append(seconds)
        writing.append(wrote)
        n_writes.append(n)
    rows = {
        "CPU seconds without": statistics.median(without),
        "CPU seconds with": statistics.median(together),
        "checkpoints written": statistics.median(n_writes),
        "per cent of the time for writing": 100 * statistics.median(writing),
    }
    print(name, rows, flush=True)
    return [(name, key, round(value, 3)) for key, value in rows.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["kills", "cost"])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--search-kills", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(given.seed)
    if given.only != "cost":
        for tests, n_kills in ((FITS, given.kills), (SEARCHES, given.search_kills)):
            for number, (name, (make, data)) in enumerate(tests.items()):
                share = len(range(number, n_kills, len(tests)))
                if not share:
                    continue
                write(given.output, kill_test(name, make, data, share, rng))
    if given.only != "kills":
        for name, make in COSTS.items():
            write(given.output, cost(name, make, given.repeats))


def write(path: Path, rows: list[tuple]) -> None:
    """Write rows; add counts of kills to those in the file, and replace measured costs."""
    known = {}
    if path.exists():
        with open(path, newline="") as file:
            known = {(task, quantity): value for task, quantity, value in [*csv.reader(file)][1:]}
    for task, quantity, value in rows:
        if task not in COSTS:
            value += int(known.get((task, quantity), 0))
        known[task, quantity] = value
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("task", "quantity", "value"))
        writer.writerows((*key, value) for key, value in known.items())


if __name__ == "__main__":
    main()
