"""Measure how long the code of the README takes, and when a second process pays.

    python benchmarks/bench_times.py --output benchmarks/results
    python benchmarks/bench_times.py --parts processes

``readme`` runs the code blocks of the README that fit a model, and writes the CPU seconds of each
to ``readme_times.csv``. With one thread these are the seconds on a free core.

``processes`` runs searches of small and of larger fits without ``n_jobs`` and with ``n_jobs=2``,
and writes seconds of wall-clock time to ``processes.csv``: with processes that begin ("new") and
with processes of an earlier search ("used"). It needs two free cores.

The environment variable SKHYBRID_DATA gives the folder of the measured data.
"""

import argparse
import re
import time
import warnings
from pathlib import Path

import pandas as pd
from joblib.externals.loky import get_reusable_executor

from skhybrid import HybridRegressor, HybridSearchCV
from skhybrid.datasets import make_pendulum_acceleration

ROOT = Path(__file__).parents[1]
# What a block of the README contains, and its name in the results.
BLOCKS = {
    "fetch_light_tunnel()": "light tunnel",
    "make_pendulum(": "pendulum",
}
# Rows and epochs of the fits, and the number of fits.
SEARCHES = {"small": (200, 50, 12), "larger": (500, 50, 42)}


def readme_times() -> pd.DataFrame:
    """Return the CPU seconds of the code blocks of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names, rows = {}, []
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        for part, name in BLOCKS.items():
            if part in block:
                began = time.process_time()
                exec(block, names)
                rows.append({"block": name, "CPU seconds": time.process_time() - began})
                print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def process_times() -> pd.DataFrame:
    """Return the seconds of searches in one process and in two."""
    rows = []
    for name, (n_rows, n_epochs, n_fits) in SEARCHES.items():
        data = make_pendulum_acceleration(n_rows, random_state=0)
        model = HybridRegressor(data.physics, max_epochs=n_epochs, random_state=0)
        grid = {"l2": [0.0, *(10.0**-power for power in range(3, 2 + n_fits // 3))]}
        for n_jobs, processes in ((None, "none"), (2, "new"), (2, "used")):
            if processes == "new":
                get_reusable_executor().shutdown()
            search = HybridSearchCV(model, grid, cv=3, n_jobs=n_jobs, refit=False)
            began = time.perf_counter()
            search.fit(data.data, data.target)
            row = {"search": name, "fits": n_fits, "n_jobs": n_jobs or 1, "processes": processes}
            rows.append(row | {"seconds": time.perf_counter() - began})
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


PARTS = {
    "readme": (readme_times, "readme_times.csv"),
    "processes": (process_times, "processes.csv"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--output", type=Path, help="folder of the results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for part in options.parts:
        measure, file = PARTS[part]
        results = measure()
        if options.output:
            results.round(2).to_csv(options.output / file, index=False)


if __name__ == "__main__":
    main()
