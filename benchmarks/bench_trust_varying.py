"""Judge the verdict "identified" beside functions of features and values of groups.

For every task of trust_varying_tasks.py, the script fits the model with its defaults (a smaller
network, which takes less time) and makes the identifiability report with intervals. A file keeps
the evidence about each number, and its true value. ``--summary`` judges the file with the
thresholds of skhybrid/inspection/report/verdicts.py, which bench_trust.py chose: for each verdict
and kind of tasks, how many intervals cover the truth, and how many numbers are off by more than
10 % outside of their interval. "Can be imitated" says that the function, the values of sites or the
correction can make up for the number, by construction.

    python benchmarks/bench_trust_varying.py --output benchmarks/results/trust_varying.csv
    python benchmarks/bench_trust_varying.py --output benchmarks/results/trust_varying.csv \\
        --summary --text docs/reports/verdicts_varying.txt

The same command goes on where it was stopped.
"""

import argparse
import math
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from bench_trust import LEVEL, N_REPLICATES, OFF, evidence_of, share_of
from rich.console import Console
from rich.table import Table
from trust_varying_tasks import KINDS, N_TASKS, draw_varying_trust_task

from skhybrid import HybridRegressor
from skhybrid.inspection import identifiability_report
from skhybrid.inspection.intervals import half_width
from skhybrid.inspection.report.verdicts import VERDICTS, judge

NN = (32, 32)


def measure(number):
    """Return a row for each number of a task: the truth and the evidence."""
    task = draw_varying_trust_task(number)
    began = time.process_time()
    model = HybridRegressor(task.physics, nn=NN, random_state=0, **task.settings)
    model.fit(task.X, task.y)
    fitted = time.process_time()
    report = identifiability_report(
        model, task.X, task.y, parts=["intervals"], n_replicates=N_REPLICATES
    )
    rows = []
    for name, evidence in report.evidence.items():
        found = asdict(evidence)
        del found["opinions"], found["opinion_errors"]
        found["partners"] = " ".join(found["partners"])
        # The common value of sites is the mean of theirs, which nothing fixes better.
        rows.append(
            {
                "number": number,
                "task": task.name,
                "kind": task.kind,
                "true": task.truth.get(name, math.nan),
                "imitable": name in task.imitable,
                "seconds of the fit": fitted - began,
                "seconds of the report": time.process_time() - fitted,
            }
            | found
        )
    return rows


def run(output, n_tasks):
    """Run the tasks that the file does not have yet; return all rows."""
    rows = pd.read_csv(output).to_dict("records") if output.exists() else []
    done = {row["number"] for row in rows}
    for number in range(n_tasks):
        if number in done:
            continue
        rows += measure(number)
        pd.DataFrame(rows).to_csv(output, index=False, float_format="%.6g")
        print(rows[-1]["task"], f"{rows[-1]['seconds of the report']:.0f} s", flush=True)
    return pd.DataFrame(rows)


def judged(results):
    """Return the numbers whose truth is known, with verdicts and coverage."""
    rows = []
    for row in results[results["true"].notna()].to_dict("records"):
        half = half_width(row["sampling"], row["over_radii"], LEVEL, N_REPLICATES)
        row |= {"low": row["value"] - half, "high": row["value"] + half}
        error = abs(row["true"] - row["value"])
        covered = error <= half
        row |= {"verdict": judge(evidence_of(row)).name, "covered": covered, "error": error}
        row |= {"off": not covered and error > OFF * abs(row["true"])}
        rows.append(row | {"relative width": half / abs(row["true"])})
    return pd.DataFrame(rows)


def print_summary(results, console):
    """Print how good the verdicts are, and which kinds of tasks get them."""
    found = judged(results)
    title = f"{found['number'].nunique()} tasks, {len(found)} numbers"
    table = Table(title=title)
    for heading in ("verdict", "can be imitated", "numbers", "interval covers", "off outside",
                    "median half width"):  # fmt: skip
        table.add_column(heading, no_wrap=True)
    for verdict in VERDICTS:
        for imitable in (False, True):
            own = found[(found["verdict"] == verdict) & (found["imitable"] == imitable)]
            if len(own):
                width = f"{own['relative width'].median():.1%}"
                known = share_of(own["covered"]), share_of(own["off"])
                table.add_row(verdict, "yes" if imitable else "no", str(len(own)), *known, width)
    console.print(table)
    table = Table(title="The number beside the function, the sites or the correction, by kind")
    for heading in ("kind", "numbers", "identified", "made up for, median", "median error"):
        table.add_column(heading, no_wrap=True)
    for kind in KINDS:
        own = found[(found["kind"] == kind) & (found["name"] != "m")]
        if len(own):
            identified = f"{(own['verdict'] == 'identified').sum()}"
            error = (own["error"] / own["true"].abs()).median()
            part = f"{own['predictable'].median():.0%}"
            table.add_row(kind, str(len(own)), identified, part, f"{error:.1%}")
    console.print(table)


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tasks", type=int, default=N_TASKS, help="how many of the tasks")
    parser.add_argument("--summary", action="store_true", help="judge the output file")
    parser.add_argument("--text", type=Path, help="file for the tables as text")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.summary:
        results = pd.read_csv(arguments.output)
    else:
        results = run(arguments.output, arguments.tasks)
    print_summary(results, Console(width=110))
    if arguments.text is not None:
        with arguments.text.open("w", encoding="utf-8") as file:
            print_summary(results, Console(file=file, width=110))


if __name__ == "__main__":
    main()
