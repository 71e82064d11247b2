"""The main job in one script: how right is θ, and does the model hold outside of its data?

Four models are fitted to the same 6,000 rows of the light tunnel (real measurements; Gamella et
al. 2025) and judged on rows they have not seen: in the range of the training data, with polarizer 1
turned far beyond it, and with the red LED driven beyond it. Prints a table and saves a figure.

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
CONDITIONS = {
    "in range": "reference",
    "polarizer shift": "polarizer_shift",
    "red shift": "red_shift",
}
CHANNELS = ("red", "green", "blue")
# Okabe and Ito's palette: distinct for colour-blind readers.
COLOURS = {
    "physics alone": "#999999",
    "network alone": "#E69F00",
    "hybrid, Adam": "#56B4E9",
    "hybrid, SAM": "#D55E00",
}


def load_data():
    """Return training rows, test rows by condition, the physics and the simulator's gains."""
    try:
        sets = {name: fetch_light_tunnel(subset=subset) for name, subset in CONDITIONS.items()}
        origin = "measured"
    except DataNotAvailableError as error:
        print(f"{error}\nThe same comparison on a simulated set with the same physics:\n")
        sets = {
            name: make_light_tunnel(
                10_000 if subset == "reference" else 1000, subset=subset, random_state=seed
            )
            for seed, (name, subset) in enumerate(CONDITIONS.items())
        }
        origin = "simulated"
    reference = sets["in range"]
    training = reference.data[:N_TRAINING_ROWS], reference.target[:N_TRAINING_ROWS]
    tests = {name: (bunch.data, bunch.target) for name, bunch in sets.items()}
    tests["in range"] = reference.data[N_TRAINING_ROWS:], reference.target[N_TRAINING_ROWS:]
    known = reference.get("physics_params_published") or reference["physics_params"]
    published = np.array(known["gain"])
    return training, tests, reference.physics, published, origin


def make_models(physics, seed):
    """Return the four models. The network alone may extrapolate; held, it is far worse."""
    return {
        "physics alone": HybridRegressor(physics, nn=None),
        "network alone": HybridRegressor(
            optimizer="adam", nn_extrapolation="free", random_state=seed
        ),
        "hybrid, Adam": HybridRegressor(physics, optimizer="adam", random_state=seed),
        "hybrid, SAM": HybridRegressor(physics, random_state=seed),
    }


def compare(seeds, starts):
    """Fit every model from every start with every seed; return one row for each fit."""
    training, tests, malus, published, origin = load_data()
    rows = []
    for start in starts:
        physics = malus if start is None else Physics(malus, gain=(start,) * 3)
        for seed in seeds:
            for name, model in make_models(physics, seed).items():
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
    return pd.DataFrame(rows), published, origin


def print_table(results, origin):
    """Print the means over seeds, one line for each model and start."""
    n_seeds = results["seed"].nunique()
    table = Table(title=f"Light tunnel ({origin}), mean over {n_seeds} seed(s)")
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
    """Say in two sentences what the table means, from its own numbers."""
    mean = results.groupby("model").mean(numeric_only=True)
    sam, adam, network = (mean.loc[m] for m in ("hybrid, SAM", "hybrid, Adam", "network alone"))
    physics = mean.loc["physics alone"]
    print(
        f"In range the hybrid trained with SAM ({sam['in range']:.0f} counts) predicts as well as "
        f"the network alone ({network['in range']:.0f}) and better than the physics alone "
        f"({physics['in range']:.0f}); under the red shift it errs by {sam['red shift']:.0f} "
        f"counts where the network alone errs by {network['red shift']:.0f} and the hybrid "
        f"trained with plain Adam by {adam['red shift']:.0f}.\n"
        f"Its gains point where the published simulator's do (cosine {sam['cosine']:.4f}; plain "
        f"Adam {adam['cosine']:.4f}, physics alone {physics['cosine']:.4f}): the network explains "
        "what the physics leaves out, and not what the physics can explain itself."
    )


def draw(results, published, origin, path):
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
    errors.set_title("Error on unseen rows")
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
    gains.set_ylabel("gain / length of all gains")
    gains.set_title("Direction of the fitted gains")
    gains.legend(frameon=False)
    for axes in (errors, gains):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Light tunnel ({origin}): the same rows, four models")
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
        help="initial value of the three gains (default: those of the physics, 1)",
    )
    parser.add_argument("--output", type=Path, help="CSV file for one row per fit")
    parser.add_argument("--figure", type=Path, default=Path("demo_light_tunnel.png"))
    arguments = parser.parse_args()
    results, published, origin = compare(arguments.seeds, arguments.starts)
    print_table(results, origin)
    print_meaning(results)
    draw(results, published, origin, arguments.figure)
    print(f"Figure: {arguments.figure}")
    if arguments.output is not None:
        results.round(4).to_csv(arguments.output, index=False)
        print(f"Every fit: {arguments.output}")


if __name__ == "__main__":
    main()
