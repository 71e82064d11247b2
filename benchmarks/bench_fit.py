"""Compare the time of one fit with a hand-written PyTorch loop of the same steps and data.

Both run alternately in this process, on one thread. The main result is the median ratio of
neighbouring runs. The hand-written loop is code that a careful user would write: it standardises
the inputs once, shuffles the data once per epoch, uses fused Adam, and perturbs with torch
functions.

    python benchmarks/bench_fit.py --output benchmarks/results/bench_fit.csv
"""

import argparse
import math
import time
from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from skhybrid import HybridRegressor
from skhybrid.datasets import make_light_tunnel, make_pendulum_acceleration

RHO, LEARNING_RATE, BATCH_SIZE = 0.05, 6e-3, 64


def pendulum_task():
    """Return X, y, the physics, the hand-written physics and its initial coordinates."""
    bunch = make_pendulum_acceleration(random_state=0)

    def prediction(X, z):
        return -(1.0 + z["omega2"]) * torch.sin(X[:, 0])

    return bunch.data, bunch.target, bunch.physics, prediction, {"omega2": torch.zeros(())}


def light_tunnel_task():
    """Return the same for the light tunnel; simulated data need no download."""
    bunch = make_light_tunnel(random_state=0)

    def prediction(X, z):
        gain = 1.0 + z["gain"]
        light = gain[0] * X[:, 0] + gain[1] * X[:, 1] + gain[2] * X[:, 2]
        aligned = torch.cos(torch.deg2rad(X[:, 3] - X[:, 4])) ** 2
        return light * (aligned + (0.1 + 0.1 * z["leak"]) * (1 - aligned))

    start = {"gain": torch.zeros(3), "leak": torch.zeros(())}
    return bunch.data.to_numpy(), bunch.target.to_numpy(), bunch.physics, prediction, start


TASKS = {"pendulum, 400 rows": pendulum_task, "light tunnel, 6,000 rows": light_tunnel_task}


def fit_by_hand(X, y, physics, start, n_epochs):
    """Take SAM steps with a relative radius per layer; return the final mean squared error."""
    X, y = (torch.tensor(array, dtype=torch.float32) for array in (X, y))
    scale = y.std(correction=0)
    inputs = (X - X.mean(0)) / X.std(0, correction=0)
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1], 64),
        torch.nn.SiLU(),
        torch.nn.Linear(64, 64),
        torch.nn.SiLU(),
        torch.nn.Linear(64, 1),
    )
    z = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimizer = torch.optim.Adam(
        [
            {"params": network.parameters(), "rate": LEARNING_RATE},
            {"params": z.values(), "rate": 10 * LEARNING_RATE},
        ],
        fused=True,
    )
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]

    def loss(x, inputs, y):
        error = physics(x, z) + scale * network(inputs).squeeze(-1) - y
        return (error / scale).square().mean()

    n_batches = math.ceil(len(X) / BATCH_SIZE)
    size = len(X) // n_batches
    n_steps, step = n_epochs * n_batches, 0
    for _ in range(n_epochs):
        order = torch.randperm(len(X))
        data = X[order], inputs[order], y[order]
        for start_row in range(0, n_batches * size, size):
            batch = [tensor[start_row : start_row + size] for tensor in data]
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * 0.5 * (1 + math.cos(math.pi * step / n_steps))
            optimizer.zero_grad()
            loss(*batch).backward()
            with torch.no_grad():
                saved = [weight.clone() for weight in weights]
                for weight in weights:
                    weight.add_(weight.grad * (RHO * weight.norm() / (weight.grad.norm() + 1e-12)))
            optimizer.zero_grad()
            loss(*batch).backward()
            with torch.no_grad():
                for weight, value in zip(weights, saved, strict=True):
                    weight.copy_(value)
            optimizer.step()
            step += 1
    with torch.no_grad():
        return float(loss(X, inputs, y))


def fit_ours(X, y, physics, n_epochs, compile=False):
    """Take the same steps with HybridRegressor; return the final mean squared error."""
    model = HybridRegressor(
        physics,
        rho=RHO,
        refine_rho=None,
        physics_init="given",
        learning_rate=LEARNING_RATE,
        batch_size=BATCH_SIZE,
        max_epochs=n_epochs,
        compile=compile,
        random_state=0,
    )
    return model.fit(X, y).loss_


def timed(function, *arguments, **options):
    """Return the seconds of a call and its result."""
    began = time.perf_counter()
    value = function(*arguments, **options)
    return time.perf_counter() - began, value


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--compile", action="store_true", help="also with compile=True")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for task, make in TASKS.items():
        X, y, physics, by_hand, start = make()
        n_epochs = max(1, round(arguments.steps / math.ceil(len(X) / BATCH_SIZE)))
        variants = {"skhybrid": False} | ({"skhybrid, compiled": True} if arguments.compile else {})
        first = {
            name: timed(fit_ours, X, y, physics, n_epochs, on)[0] for name, on in variants.items()
        }
        for _ in range(arguments.repeats):
            hand_seconds, hand_loss = timed(fit_by_hand, X, y, by_hand, start, n_epochs)
            for name, on in variants.items():
                seconds, loss = timed(fit_ours, X, y, physics, n_epochs, compile=on)
                rows.append(
                    {
                        "task": task,
                        "variant": name,
                        "steps": n_epochs * math.ceil(len(X) / BATCH_SIZE),
                        "by hand, s": hand_seconds,
                        "skhybrid, s": seconds,
                        "ratio": seconds / hand_seconds,
                        "first fit, s": first[name],
                        "loss by hand": hand_loss,
                        "loss": loss,
                    }
                )
    results = pd.DataFrame(rows)
    medians = results.groupby(["task", "variant"], sort=False).median()
    table = Table(title=f"One fit on one thread, medians of {arguments.repeats} alternating runs")
    table.add_column("task", no_wrap=True)
    table.add_column("variant", no_wrap=True)
    for column in medians.columns:
        table.add_column(column, justify="right")
    for (task, variant), median in medians.iterrows():
        table.add_row(task, variant, *(f"{value:.4g}" for value in median))
    Console(width=140).print(table)
    if arguments.output is not None:
        results.to_csv(arguments.output, index=False, float_format="%.5g")
        print(f"Results of all runs: {arguments.output}")


if __name__ == "__main__":
    main()
