"""Compare four models of the light tunnel: is θ right, and do predictions hold outside the data?

The script fits four models to the same 6,000 rows of the light tunnel (real measurements; Gamella
et al. 2025). It tests them on unseen rows under three conditions: in the range of the training
data, with polarizer 1 turned far beyond that range, and with the red LED brighter than in that
range. It prints a table and saves a figure.

Run ``make demo``, or ``python examples/demo_light_tunnel.py --help`` for the options.
"""

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from skhybrid import HybridRegressor, Physics
from skhybrid.datasets import fetch_light_tunnel, make_light_tunnel
from skhybrid.exceptions import DataNotAvailableError

N_TRAINING_ROWS = 6000
# The option --quick only shows that everything runs.
N_QUICK_ROWS, N_QUICK_EPOCHS = 500, 5
CONDITIONS = {
    "in range": "reference",
    "polarizer shift": "polarizer_shift",
    "red shift": "red_shift",
}
CHANNELS = ("red", "green", "blue")
# The palette of Okabe and Ito: colour-blind readers can tell the colours apart.
COLOURS = {
    "physics alone": "#999999",
    "network alone": "#E69F00",
    "hybrid, Adam": "#56B4E9",
    "hybrid, SAM": "#D55E00",
}


def load_data(n_rows):
    """Return training rows, test rows by condition, physics, published gains and data source."""
    try:
        sets = {name: fetch_light_tunnel(subset=subset) for name, subset in CONDITIONS.items()}
        source = "measured"
    except DataNotAvailableError as error:
        print(f"{error}\nThe demo uses simulated data with the same physics instead:\n")
        sets = {
            name: make_light_tunnel(
                10_000 if subset == "reference" else 1000, subset=subset, random_state=seed
            )
            for seed, (name, subset) in enumerate(CONDITIONS.items())
        }
        source = "simulated"
    reference = sets["in range"]
    training = reference.data[:n_rows], reference.target[:n_rows]
    tests = {name: (bunch.data, bunch.target) for name, bunch in sets.items()}
    tests["in range"] = reference.data[N_TRAINING_ROWS:], reference.target[N_TRAINING_ROWS:]
    known = reference.get("physics_params_published") or reference["physics_params"]
    published = np.array(known["gain"])
    return training, tests, reference.physics, published, source


def make_models(physics, seed, max_epochs):
    """Return the four models."""
    settings = {"max_epochs": max_epochs, "random_state": seed}
    return {
        "physics alone": HybridRegressor(physics, nn=None),
        # Free extrapolation: with "hold" the network alone is far worse outside the data.
        "network alone": HybridRegressor(optimizer="adam", nn_extrapolation="free", **settings),
        "hybrid, Adam": HybridRegressor(physics, optimizer="adam", **settings),
        "hybrid, SAM": HybridRegressor(physics, **settings),
    }


def compare(seeds, starts, n_rows=N_TRAINING_ROWS, max_epochs="auto"):
    """Fit every model from every start with every seed; return one row for each fit."""
    training, tests, malus, published, source = load_data(n_rows)
    rows = []
    for start in starts:
        physics = malus if start is None else Physics(malus, gain=(start,) * 3)
        for seed in seeds:
            for name, model in make_models(physics, seed, max_epochs).items():
                began = time.perf_counter()
                model.fit(*training)
                row = {"model": name, "seed": seed, "start": start or 1.0}
                row["seconds"] = time.perf_counter() - began
                for condition, (X, y) in tests.items():
                    row[condition] = float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))
                gain = model.physics_params_.get("gain", np.full(3, np.nan))
                row |= dict(zip(CHANNELS, gain, strict=True))
                row["leak"] = model.physics_params_.get("leak", np.nan)
                row["cosine"] = gain @ published / np.linalg.norm(gain) / np.linalg.norm(published)
                rows.append(row)
    return pd.DataFrame(rows), published, source


def print_table(results, source):
    """Print the means over seeds, one line for each start and model."""
    n_seeds = results["seed"].nunique()
    table = Table(title=f"Light tunnel ({source}), mean over {n_seeds} seed(s)")
    table.add_column("model", no_wrap=True)
    several_starts = results["start"].nunique() > 1
    if several_starts:
        table.add_column("start", justify="right")
    for condition in CONDITIONS:
        table.add_column(f"{condition}\nRMSE, counts", justify="right", no_wrap=True)
    table.add_column("gains\nred, green, blue", justify="right", no_wrap=True)
    table.add_column("cosine with\nsimulator", justify="right")
    table.add_column("seconds", justify="right")
    for (start, name), group in results.groupby(["start", "model"], sort=False):
        mean = group.mean(numeric_only=True)
        known = np.isfinite(mean["cosine"])
        cells = [name, f"{start:g}"] if several_starts else [name]
        cells += [f"{mean[condition]:.1f}" for condition in CONDITIONS]
        cells.append(", ".join(f"{mean[c]:.2f}" for c in CHANNELS) if known else "none")
        cells.append(f"{mean['cosine']:.4f}" if known else "none")
        cells.append(f"{mean['seconds']:.1f}")
        table.add_row(*cells)
    Console(width=120).print(table)


def print_meaning(results):
    """Print in two sentences what the table means, with its own numbers."""
    mean = results.groupby("model").mean(numeric_only=True)
    sam, adam, network = (mean.loc[m] for m in ("hybrid, SAM", "hybrid, Adam", "network alone"))
    physics = mean.loc["physics alone"]
    print(
        f"In range, the RMSE in counts is {sam['in range']:.0f} for the hybrid trained with SAM, "
        f"{network['in range']:.0f} for the network alone and {physics['in range']:.0f} for the "
        f"physics alone; under the red shift it is {sam['red shift']:.0f} for the hybrid trained "
        f"with SAM, {adam['red shift']:.0f} for the hybrid trained with Adam and "
        f"{network['red shift']:.0f} for the network alone.\n"
        "A cosine of 1 means that the fitted gains have the direction of the published gains: "
        f"it is {sam['cosine']:.4f} with SAM, {adam['cosine']:.4f} with Adam and "
        f"{physics['cosine']:.4f} for the physics alone."
    )


def draw(results, published, source, path):
    """Draw the same numbers: errors in and out of range, and the direction of the gains."""
    mean = results.groupby("model", sort=False).mean(numeric_only=True)
    figure, (errors, gains) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(3, 2))
    places = np.arange(len(CONDITIONS))
    for offset, (name, colour) in enumerate(COLOURS.items()):
        heights = mean.loc[name, list(CONDITIONS)]
        bars = errors.bar(places + 0.2 * (offset - 1.5), heights, 0.18, color=colour, label=name)
        errors.bar_label(bars, fmt="%.0f", padding=2, fontsize=8)
    errors.set_xticks(places, CONDITIONS)
    errors.set_ylabel("RMSE of the infrared sensor (counts)")
    errors.set_title("Prediction error on unseen rows")
    errors.legend(frameon=False)
    errors.margins(y=0.12)
    markers = dict(zip(COLOURS, "s_o^", strict=True))
    reference = published / np.linalg.norm(published)
    gains.hlines(
        reference, places - 0.35, places + 0.35, color="black", label="published simulator"
    )
    for offset, (name, colour) in zip((-1, 0, 0, 1), COLOURS.items(), strict=True):
        gain = mean.loc[name, list(CHANNELS)].to_numpy(dtype=float)
        if np.isfinite(gain).all():
            gains.plot(
                places + 0.2 * offset,
                gain / np.linalg.norm(gain),
                markers[name],
                color=colour,
                label=name,
            )
    gains.set_xticks(places, CHANNELS)
    gains.set_ylabel("gain / norm of the three gains")
    gains.set_title("Direction of the fitted gains")
    gains.legend(frameon=False)
    for axes in (errors, gains):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Light tunnel ({source} data): four models, the same training rows")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--starts",
        type=float,
        nargs="+",
        default=[None],
        help="initial value of the three gains (default: 1, from the physics)",
    )
    parser.add_argument("--output", type=Path, help="CSV file with one row per fit")
    parser.add_argument("--figure", type=Path, default=Path("demo_light_tunnel.png"))
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"only show that everything runs: {N_QUICK_ROWS} rows, {N_QUICK_EPOCHS} epochs",
    )
    arguments = parser.parse_args()
    size = (N_QUICK_ROWS, N_QUICK_EPOCHS) if arguments.quick else ()
    results, published, source = compare(arguments.seeds, arguments.starts, *size)
    print_table(results, source)
    if arguments.quick:
        print("Quick run: the models are not trained to the end, and the numbers mean nothing.")
    else:
        print_meaning(results)
    draw(results, published, source, arguments.figure)
    print(f"Figure saved to {arguments.figure}")
    if arguments.output is not None:
        results.round(4).to_csv(arguments.output, index=False)
        print(f"All fits saved to {arguments.output}")


if __name__ == "__main__":
    main()
