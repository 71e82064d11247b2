"""Fit thousands of odd inputs, and count how they end.

``tests/fuzzing.py`` makes the cases: data, options, physics and networks with faults and odd
habits. Every case must end within 20 seconds, in a fitted model with finite predictions or in an
error that a user can read. Each case runs in a worker process, which is killed if it does not
answer.

    python benchmarks/fuzz.py --cases 3000 --output benchmarks/results/fuzz.csv
    python benchmarks/fuzz.py --only 17 342
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fuzzing import KINDS, LIMIT, Outcome, make_case, run_case

# The cases end themselves after LIMIT seconds of processor time. A worker that waits, or hangs
# where Python cannot stop it, is killed after so many times as long.
PATIENCE = 3.0

# Characters of a message that are printed.
WIDTH = 400


def work(pipe) -> None:
    """Run the cases whose numbers come through the pipe."""
    torch.set_num_threads(1)
    while True:
        outcome = run_case(pipe.recv())
        pipe.send((outcome.end, outcome.text))


class Worker:
    """A process that runs one case after the other."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=work, args=(other,), daemon=True
        )
        self.process.start()
        other.close()

    def give(self, number: int) -> None:
        self.number, self.since = number, time.perf_counter()
        self.pipe.send(number)

    def answer(self) -> Outcome | None:
        """Return the outcome if there is one; a worker that hangs or died begins anew."""
        try:
            if self.pipe.poll(0.02):
                return Outcome(*self.pipe.recv())
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            self.start()
            return Outcome("bad", f"the process ended with code {code}")
        if time.perf_counter() - self.since > PATIENCE * LIMIT:
            self.process.kill()
            self.process.join()
            self.start()
            return Outcome("bad", f"killed after {PATIENCE * LIMIT:g} s")
        return None


def run_all(numbers: list[int], n_jobs: int) -> dict[int, tuple[Outcome, float]]:
    """Run cases in worker processes; return outcomes and seconds by number."""
    waiting, results = list(numbers)[::-1], {}
    workers = [Worker() for _ in range(min(n_jobs, len(numbers)))]
    busy = []
    for worker in workers:
        worker.give(waiting.pop())
        busy.append(worker)
    while busy:
        for worker in list(busy):
            outcome = worker.answer()
            if outcome is None:
                continue
            results[worker.number] = outcome, time.perf_counter() - worker.since
            if outcome.bad:
                case = make_case(worker.number)
                changes = "; ".join(case.changes)
                text = outcome.text[:WIDTH]
                print(f"{worker.number} {case.kind} [{changes}]: {text}", flush=True)
            if waiting:
                worker.give(waiting.pop())
            else:
                busy.remove(worker)
    for worker in workers:
        worker.process.kill()
    return results


def table_of(results: dict[int, tuple[Outcome, float]]) -> pd.DataFrame:
    """Return counts by kind and end."""
    counts = Counter((KINDS[n % len(KINDS)], outcome.end) for n, (outcome, _) in results.items())
    rows = [{"kind": kind, "end": end, "cases": count} for (kind, end), count in counts.items()]
    return pd.DataFrame(rows).sort_values(["kind", "end"]).reset_index(drop=True)


def main() -> None:
    """Run the cases that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of single cases")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    numbers = arguments.only or range(arguments.first, arguments.first + arguments.cases)
    results = run_all(list(numbers), arguments.jobs)
    if arguments.only:
        for number, (outcome, seconds) in sorted(results.items()):
            changes = "; ".join(make_case(number).changes)
            print(
                f"{number} [{changes}] {seconds:.2f} s\n    {outcome.end}: {outcome.text[:WIDTH]}"
            )
    table = table_of(results)
    print(table.to_string(index=False))
    bad = sorted(number for number, (outcome, _) in results.items() if outcome.bad)
    seconds = {number: seconds for number, (_, seconds) in results.items()}
    longest = sorted(seconds, key=seconds.get)[:-4:-1]
    print(
        f"{len(results)} cases in {sum(seconds.values()):.0f} s. The longest: "
        + ", ".join(f"case {number} with {seconds[number]:.1f} s" for number in longest)
    )
    print(f"{len(bad)} bad cases: {bad}")
    if arguments.output:
        table.to_csv(arguments.output, index=False)


if __name__ == "__main__":
    main()
