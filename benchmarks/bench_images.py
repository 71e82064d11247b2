"""Measure the error of ω and of predicted images for a pendulum that is seen only in images.

The images have 16 × 16 pixels; the physics lacks friction. The fits use two more known facts. The
rate of change of the angle is the velocity, so the network adds to the acceleration only. Friction
depends on the velocity, so the network sees the velocity only. Fits start from two values of ω²,
far from the true 1.097 s^-2. They leave out the second phase, which holds θ fixed. The test images
show new swings; they are predicted over 10 s. Each fit uses one thread.

The latent states may be larger or smaller than the angle and the velocity; then ω is wrong too. The
table has their sizes at time 0, relative to the true ones.

The settings, the first guess of the states and the rate of their units were chosen on seeds 10 to
14. In seed 11 a pendulum goes over the top. Seed 0 is not a default: its fits were seen before
earlier changes to the first guess.

    python benchmarks/bench_images.py --output benchmarks/results/images.csv

The file in the repository combines two runs, one per value of ``--starts``, beside other programs:
its CPU seconds are too long to compare.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from skhybrid import HybridRegressor, LatentODE, Physics
from skhybrid.datasets import make_pendulum_images
from skhybrid.exceptions import CollapseWarning
from skhybrid.model.batch import Windows

N_TRAJECTORIES = 60
STARTS = [{"omega2": 0.5}, {"omega2": 2.0}]
SETTINGS = {
    "nn": (32, 32),
    "nn_features": [1],
    "physics_learning_rate": 0.02,
    "max_epochs": 40,
}
MODELS = {"SAM": {"refine_rho": None}, "Adam": {"optimizer": "adam"}}


def to_acceleration(t, state, physics, nn):
    """Add the network to the acceleration only; the angle's rate of change is the velocity."""
    return physics(t, state) + nn(t, state) * state.new_tensor([0.0, 1.0])


def fit_one(model, start, seed, n_trajectories):
    """Fit one model and return its errors."""
    film = make_pendulum_images(n_trajectories, random_state=seed)
    test = make_pendulum_images(n_trajectories, random_state=10_000 + seed)
    estimator = HybridRegressor(
        Physics(film.physics, **STARTS[start]),
        structure=LatentODE(n_states=2, dt=film.dt, join=to_acceleration),
        random_state=seed,
        **SETTINGS,
        **MODELS[model],
    )
    began = time.process_time()
    estimator.fit(film.data, film.target)
    seconds = time.process_time() - began
    ratio = estimator.physics_params_["omega2"] / film.physics_params["omega2"]
    squares = (estimator.predict(test.data) - test.target) ** 2
    return {
        "error of omega, %": 100 * (np.sqrt(ratio) - 1),
        "error of omega2, %": 100 * (ratio - 1),
        **sizes_of_states(estimator, film),
        "test MSE": squares.mean(),
        "R2": 1 - squares.mean() / test.target.var(),
        "CPU seconds": seconds,
    }


def sizes_of_states(estimator, film):
    """Return the standard deviations of the latent states at time 0, relative to the true ones."""
    model = estimator._fitted.hybrid
    images = torch.tensor(film.data, dtype=model.scales.target_scale.dtype)
    with torch.no_grad():
        found = model.first_states(Windows(images, None, None), None)
    ratios = found.numpy().std(axis=0) / film.initial_states.std(axis=0)
    return {f"size of {name}": ratio for name, ratio in zip(film.state_names, ratios, strict=True)}


def main():
    """Run the fits from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--starts", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--n-trajectories", type=int, default=N_TRAJECTORIES)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", CollapseWarning)
    rows = []
    for seed in arguments.seeds:
        for model in arguments.models:
            for start in arguments.starts:
                found = fit_one(model, start, seed, arguments.n_trajectories)
                rows.append({"model": model, **STARTS[start], "seed": seed} | found)
                if arguments.output is not None:
                    results = pd.DataFrame(rows)
                    results.to_csv(arguments.output, index=False, float_format="%.5g")
    print_table(pd.DataFrame(rows), len(arguments.seeds), len(arguments.starts))


def print_table(results, n_seeds, n_starts):
    """Print mean sizes and extremes over seeds and starts."""
    table = Table(title=f"Images of a pendulum, {n_seeds} seeds and {n_starts} starts")
    table.add_column("model", no_wrap=True)
    for heading in (
        "error of ω, %\nmean size",
        "error of ω, %\nlargest",
        "size of\nangle",
        "size of\nvelocity",
        "test MSE\nmean",
        "R²\nsmallest",
        "CPU\nseconds",
    ):
        table.add_column(heading, justify="right")
    for model, group in results.groupby("model", sort=False):
        errors = group["error of omega, %"]
        table.add_row(
            model,
            f"{errors.abs().mean():.1f}",
            f"{errors.abs().max():.1f}",
            f"{group['size of angle'].mean():.2f}",
            f"{group['size of velocity'].mean():.2f}",
            f"{group['test MSE'].mean():.2g}",
            f"{group['R2'].min():.2f}",
            f"{group['CPU seconds'].mean():.0f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
