"""Judge verdicts, intervals and overlap statements on random tasks with known parameters.

For every task of trust_tasks.py, the script fits the model with its defaults and makes the
identifiability report with the parts that a verdict needs: intervals and starts, and, by the second
command, assumptions. A file keeps the evidence about each parameter, and its true value. One task
in four served to choose the thresholds of skhybrid/inspection/report/verdicts.py and the factor of
the intervals. ``--summary`` judges the others: for each verdict, how many intervals cover the
truth, and how many parameters are off by more than 10 % outside of their interval. Shares have
Wilson intervals. A parameter overlaps if the missing term and its effect have a centred correlation
above 0.1, by construction or by chance.

    python benchmarks/bench_trust.py --output benchmarks/results/trust.csv
    python benchmarks/bench_trust.py --output benchmarks/results/trust.csv --assumptions
    python benchmarks/bench_trust.py --output benchmarks/results/trust.csv --summary \\
        --text docs/reports/verdicts.txt

The same command goes on where it was stopped. ``--share 0 2`` runs every second task, so that two
processes share the work, each with its own file; ``--join`` joins files.
"""

import argparse
import math
import time
import warnings
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest
from trust_tasks import N_DYNAMIC, N_STATIC, draw_trust_task

from skhybrid import HybridRegressor
from skhybrid.inspection import identifiability_report, other_assumptions
from skhybrid.inspection.intervals import half_width
from skhybrid.inspection.report.evidence import Evidence
from skhybrid.inspection.report.identifiability_report import ASSUMPTIONS
from skhybrid.inspection.report.verdicts import VERDICTS, judge

PARTS = ("intervals", "starts")
OFF = 0.1
OVERLAP = 0.1
# Of every four blocks of tasks, one of each kind, the first one chose.
N_KINDS, CHOOSING = 4, 4
LEVEL, N_REPLICATES = 0.95, 10
OPINION, ERROR, DONE = "under ", "error under ", "assumptions"


def measure(number):
    """Return a row for each parameter of a task: the truth and the evidence."""
    task = draw_trust_task(number)
    model = model_of(task)
    began = time.process_time()
    model.fit(task.X, task.y)
    fitted = time.process_time()
    report = identifiability_report(model, task.X, task.y, parts=PARTS, n_replicates=N_REPLICATES)
    seconds = time.process_time() - fitted
    for name, evidence in report.evidence.items():
        found = asdict(evidence)
        del found["opinions"], found["opinion_errors"]
        found["partners"] = " ".join(found["partners"])
        r = task.correlation.get(name, math.nan)
        yield {
            "number": number,
            "task": task.name,
            "kind": task.kind,
            "sees all": task.nn_features is None,
            "true": task.truth[name],
            "correlation": r,
            "centred correlation": task.overlap.get(name, math.nan),
            **overlap_at(report.details.get("overlap"), name, r),
            "seconds of the fit": fitted - began,
            "seconds of the report": seconds,
        } | found


def add_assumptions(output, share):
    """Add values under other assumptions to the rows of the file that lack them."""
    rows = pd.read_csv(output)
    if DONE not in rows:
        rows[DONE] = False
    rows[DONE] = rows[DONE].fillna(False).astype(bool)
    first, every = share
    for number in rows["number"].unique()[first::every]:
        own = rows["number"] == number
        if rows.loc[own, DONE].all():
            continue
        task = draw_trust_task(number)
        model = model_of(task)
        began = time.process_time()
        found = other_assumptions(model, task.X, task.y, assumptions=ASSUMPTIONS)
        rows.loc[own, "seconds of the assumptions"] = time.process_time() - began
        for opinion in found.opinions[1:]:
            for name in found.names:
                at = own & (rows["name"] == name)
                rows.loc[at, f"{OPINION}{opinion.assumption}"] = opinion.values.get(name, math.nan)
                error = opinion.errors.get(name, math.nan)
                rows.loc[at, f"{ERROR}{opinion.assumption}"] = error
        rows.loc[own, DONE] = True
        rows.to_csv(output, index=False, float_format="%.6g")
        print(task.name, "assumptions", flush=True)
    return rows


def model_of(task):
    """Return the model of a task, with the defaults."""
    return HybridRegressor(
        task.physics, structure=task.structure, nn_features=task.nn_features, random_state=0
    )


def overlap_at(overlap, name, r):
    """Return where a parameter is if the missing part has the overlap r, which is the true one."""
    low, high = (math.nan, math.nan) if math.isnan(r) else overlap.interval(r)[name]
    return {"overlap low": low, "overlap high": high}


def run(output, share):
    """Run the tasks that the file does not have yet; return all rows."""
    rows = pd.read_csv(output).to_dict("records") if output is not None and output.exists() else []
    done = {row["number"] for row in rows}
    first, every = share
    # Dynamic tasks come in between, so that an unfinished file has some of them.
    order = sorted(range(N_STATIC + N_DYNAMIC), key=lambda i: (i * 37) % (N_STATIC + N_DYNAMIC))
    for number in order[first::every]:
        if number in done:
            continue
        found = list(measure(number))
        rows += found
        if output is not None:
            pd.DataFrame(rows).to_csv(output, index=False, float_format="%.6g")
        print(found[0]["task"], f"{found[0]['seconds of the report']:.0f} s", flush=True)
    return pd.DataFrame(rows)


def evidence_of(row):
    """Return the evidence of a row of the file."""
    names = {field.name for field in fields(Evidence)}
    names -= {"opinions", "opinion_errors", "partners"}
    names &= row.keys()
    texts = {"unknown", "beside", "misfit", "overlap", "unit", "name"}
    given = {
        name: ("" if isinstance(row[name], float) else row[name]) if name in texts else row[name]
        for name in names
    }
    opinions = {
        name.removeprefix(OPINION): value
        for name, value in row.items()
        if name.startswith(OPINION) and not math.isnan(value)
    }
    errors = {
        name.removeprefix(ERROR): value
        for name, value in row.items()
        if name.startswith(ERROR) and not math.isnan(value)
    }
    partners = row["partners"]
    partners = () if isinstance(partners, float) else tuple(partners.split())
    return Evidence(**given, opinions=opinions, opinion_errors=errors, partners=partners)


def judged(results):
    """Return the results with verdicts, and whether intervals and statements cover the truth."""
    rows = []
    for row in results.to_dict("records"):
        half = half_width(row["sampling"], row["over_radii"], LEVEL, N_REPLICATES)
        row |= {"low": row["value"] - half, "high": row["value"] + half}
        evidence = evidence_of(row)
        error = abs(row["true"] - row["value"])
        covered = row["low"] <= row["true"] <= row["high"]
        rows.append(
            row
            | {
                "verdict": judge(evidence).name,
                "covered": covered,
                "off": not covered and error > OFF * abs(row["true"]),
                "relative width": half / abs(row["true"]),
                "stated": row["overlap low"] - half <= row["true"] <= row["overlap high"] + half,
                "overlaps": row["kind"] == "overlap" or row["centred correlation"] > OVERLAP,
                "kept aside": row["number"] // N_KINDS % CHOOSING != 0,
            }
        )
    return pd.DataFrame(rows)


def share_of(truths):
    """Return a share with its Wilson interval as text."""
    truths = truths.astype(bool)
    if not len(truths):
        return "none"
    test = binomtest(int(truths.sum()), len(truths)).proportion_ci(method="wilson")
    return f"{truths.mean():.1%} ({test.low:.0%} to {test.high:.0%})"


def print_summary(results, console):
    """Print the tables on the tasks that were kept aside, and on the others."""
    found = judged(results)
    for title, rows in (
        ("Tasks kept aside", found[found["kept aside"]]),
        ("Tasks that chose", found[~found["kept aside"]]),
    ):
        table = Table(title=f"{title}: {rows['number'].nunique()} tasks, {len(rows)} parameters")
        for heading in ("verdict", "missing term", "parameters", "interval covers", "off outside",
                        "median half width"):  # fmt: skip
            table.add_column(heading, no_wrap=True)
        for verdict in VERDICTS:
            for overlaps in (False, True):
                own = rows[(rows["verdict"] == verdict) & (rows["overlaps"] == overlaps)]
                known = own[own["true"].notna()]
                if not len(own):
                    continue
                table.add_row(
                    verdict,
                    "overlaps" if overlaps else "does not overlap",
                    str(len(own)),
                    share_of(known["covered"]),
                    share_of(known["off"]),
                    f"{known['relative width'].median():.1%}" if len(known) else "",
                )
        console.print(table)
        products = rows[rows["kind"] == "product"]
        named = (products["verdict"] == "not identified") & products["partners"].notna()
        stated = rows[rows["overlap low"].notna() & rows["true"].notna()]
        console.print(f"Products called not identified, with the other factor: {share_of(named)}")
        console.print(f"Overlap statements that cover the error: {share_of(stated['stated'])}")


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--share", type=int, nargs=2, default=[0, 1], metavar=("I", "N"))
    parser.add_argument("--join", type=Path, nargs="+", help="files to join into the output")
    parser.add_argument("--assumptions", action="store_true", help="add the part of assumptions")
    parser.add_argument("--summary", action="store_true", help="judge the output file")
    parser.add_argument("--text", type=Path, help="file for the tables as text")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.join:
        joined = pd.concat([pd.read_csv(each) for each in arguments.join])
        joined.sort_values("number").to_csv(arguments.output, index=False)
    if arguments.summary or arguments.join:
        results = pd.read_csv(arguments.output)
    elif arguments.assumptions:
        results = add_assumptions(arguments.output, arguments.share)
    else:
        results = run(arguments.output, arguments.share)
    print_summary(results, Console(width=130))
    if arguments.text is not None:
        with arguments.text.open("w", encoding="utf-8") as file:
            print_summary(results, Console(file=file, width=130))


if __name__ == "__main__":
    main()
