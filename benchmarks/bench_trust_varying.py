"""Judge the verdict "identified" beside functions of features and values of groups.

For every task of trust_varying_tasks.py, the script fits the model with its defaults (a smaller
network, which takes less time) and makes the identifiability report with intervals. A file keeps
the evidence about each number, and its true value. The first half of the tasks chose how much of an
effect functions and groups may make up for (MAX_MADE_UP_FOR in
skhybrid/inspection/report/verdicts.py, as large as possible so that no identified number is off by
more than 10 %, inside of its interval or outside); other thresholds are those of bench_trust.py.
``--summary`` judges the file: for each verdict and kind of tasks, how many intervals cover the
truth, how many numbers are off by more than 10 %, and how many outside of their interval. "Can be
imitated" says that the function, the values of sites or the correction can make up for the number,
by construction.

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
from skhybrid.inspection.report.verdicts import IDENTIFIED, VERDICTS, judge

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
        del found["opinions"], found["opinion_errors"], found["overlap"]
        found["partners"] = " ".join(found["partners"])
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


def run(output, numbers):
    """Run the tasks that the file does not have yet; return all rows."""
    rows = pd.read_csv(output).to_dict("records") if output.exists() else []
    done = {row["number"] for row in rows}
    for number in range(*numbers):
        if number in done:
            continue
        rows += measure(number)
        pd.DataFrame(rows).to_csv(output, index=False, float_format="%.6g")
        print(rows[-1]["task"], f"{rows[-1]['seconds of the report']:.0f} s", flush=True)
    return pd.DataFrame(rows)


def judged(results):
    """Return the numbers whose truth is known, with verdicts and coverage."""
    # The common value of sites is not known.
    rows = []
    for row in results[results["true"].notna()].to_dict("records"):
        half = half_width(row["sampling"], row["over_radii"], LEVEL, N_REPLICATES)
        row |= {"low": row["value"] - half, "high": row["value"] + half}
        error = abs(row["true"] - row["value"])
        covered = error <= half
        row |= {"verdict": judge(evidence_of(row)).name, "covered": covered, "error": error}
        off = error > OFF * abs(row["true"])
        row |= {"off": off, "off outside": off and not covered}
        rows.append(row | {"relative width": half / abs(row["true"])})
    return pd.DataFrame(rows)


def print_summary(results, console):
    """Print how good the verdicts are, and which kinds of tasks get them."""
    found = judged(results)
    chose = found["number"] < N_TASKS // 2
    for title, rows in (("kept aside", found[~chose]), ("that chose", found[chose])):
        print_verdicts(
            rows, f"{rows['number'].nunique()} tasks {title}, {len(rows)} numbers", console
        )
    table = Table(title="All tasks: the number beside the function, the sites or the correction")
    for heading in ("kind", "numbers", "identified", "made up for, median", "median error"):
        table.add_column(heading, no_wrap=True)
    for kind in KINDS:
        own = found[(found["kind"] == kind) & (found["name"] != "m")]
        for imitable in sorted(own["imitable"].unique()):
            some = own[own["imitable"] == imitable]
            name = f"{kind}, sees all" if kind == "corrected" and imitable else kind
            identified = f"{(some['verdict'] == IDENTIFIED).sum()}"
            error = (some["error"] / some["true"].abs()).median()
            part = f"{some['predictable'].median():.0%}"
            table.add_row(name, str(len(some)), identified, part, f"{error:.1%}")
    console.print(table)


def print_verdicts(rows, title, console):
    """Print how many intervals cover and how many numbers are off, for each verdict."""
    table = Table(title=title)
    for heading in ("verdict", "can be imitated", "numbers", "interval covers", "off",
                    "off outside", "half width"):  # fmt: skip
        table.add_column(heading, no_wrap=True)
    for verdict in VERDICTS:
        for imitable in (False, True):
            own = rows[(rows["verdict"] == verdict) & (rows["imitable"] == imitable)]
            if len(own):
                shares = [share_of(own[each]) for each in ("covered", "off", "off outside")]
                width = f"{own['relative width'].median():.1%}"
                table.add_row(verdict, "yes" if imitable else "no", str(len(own)), *shares, width)
    console.print(table)


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--tasks", type=int, nargs=2, default=[0, N_TASKS], metavar=("FIRST", "END"), help="numbers"
    )
    parser.add_argument("--summary", action="store_true", help="judge the output file")
    parser.add_argument("--text", type=Path, help="file for the tables as text")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.summary:
        results = pd.read_csv(arguments.output)
    else:
        results = run(arguments.output, arguments.tasks)
    print_summary(results, Console(width=130))
    if arguments.text is not None:
        with arguments.text.open("w", encoding="utf-8") as file:
            print_summary(results, Console(file=file, width=130))


if __name__ == "__main__":
    main()
