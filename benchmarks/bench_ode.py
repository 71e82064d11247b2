"""Compare the cost of a step through windows with a hand-written loop over torchdiffeq.

- "step": the same steps of SAM through windows of 2 steps of the pendulum, run alternately on one
  thread. The main result is the median ratio of neighbouring runs.
- "accuracy": seconds until ω₀² is within one per cent and stays there. The hand-written loop trains
  on whole trajectories, skhybrid on windows.
- "growth": milliseconds of a step against the number of windows, their length, the number of states
  and the width of the network.
- "memory": megabytes kept for the backward pass of a rollout with an adaptive method, against its
  length, with and without the adjoint equation.

    python benchmarks/bench_ode.py --output benchmarks/results/ode.csv
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torchdiffeq
from rich.console import Console
from rich.table import Table

from skhybrid import ODE, HybridRegressor, Physics
from skhybrid.data.rows import as_tensors
from skhybrid.data.times import uniform_step
from skhybrid.datasets import make_pendulum, pendulum
from skhybrid.prediction.new_trajectories import read_new_trajectories

RHO, LEARNING_RATE, BATCH_SIZE, START = 0.05, 6e-3, 64, 2.5
LIMIT = 0.01


def cut(X, y, window):
    """Return the first state and the later states of every window of `window` steps."""
    whole = torch.tensor(np.concatenate([X[:, None], y], axis=1), dtype=torch.float32)
    windows = whole.unfold(1, window + 1, 1).movedim(-1, 2).flatten(0, 1)
    return windows[:, 0].contiguous(), windows[:, 1:].contiguous()


def fit_by_hand(X, y, dt, window, n_steps, batch_size, watch=None):
    """Take SAM steps with a relative radius per layer through torchdiffeq's RK4; return ω₀².

    The loop calls ``watch`` with ω₀² after every epoch.
    """
    start, states = cut(X, y, window)
    scale = states.std(dim=(0, 1), correction=0)
    mean, std = start.mean(0), start.std(0, correction=0)
    rate_scale = ((states[:, 0] - start) / dt).std(0)
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 64),
        torch.nn.SiLU(),
        torch.nn.Linear(64, 64),
        torch.nn.SiLU(),
        torch.nn.Linear(64, 2),
    )
    z = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam(
        [
            {"params": network.parameters(), "rate": LEARNING_RATE},
            {"params": [z], "rate": 10 * LEARNING_RATE},
        ],
        fused=True,
    )
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    times = dt * torch.arange(window + 1)

    def rate(t, state):
        return pendulum(t, state, omega2=START * (1 + z)) + rate_scale * network(
            (state - mean) / std
        )

    def loss(first, later):
        path = torchdiffeq.odeint(rate, first, times, method="rk4")
        return ((path[1:].movedim(0, 1) - later) / scale).square().mean()

    n_batches = math.ceil(len(start) / batch_size)
    size, step = len(start) // n_batches, 0
    while step < n_steps:
        order = torch.randperm(len(start))
        for begin in range(0, n_batches * size, size):
            rows = order[begin : begin + size]
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * 0.5 * (1 + math.cos(math.pi * step / n_steps))
            optimizer.zero_grad()
            loss(start[rows], states[rows]).backward()
            with torch.no_grad():
                saved = [weight.clone() for weight in weights]
                for weight in weights:
                    weight.add_(weight.grad * (RHO * weight.norm() / (weight.grad.norm() + 1e-12)))
            optimizer.zero_grad()
            loss(start[rows], states[rows]).backward()
            with torch.no_grad():
                for weight, value in zip(weights, saved, strict=True):
                    weight.copy_(value)
            optimizer.step()
            step = min(step + 1, n_steps)
        if watch is not None:
            watch(START * (1 + z.item()))
    return START * (1 + z.item())


def fit_ours(X, y, dt, window, n_steps, batch_size=BATCH_SIZE, **settings):
    """Take the same steps with HybridRegressor; return ω₀²."""
    n_windows = len(X) * (y.shape[1] + 1 - window)
    settings = {"nn": (64, 64), "compile": False, "physics_init": "given", **settings}
    model = HybridRegressor(
        Physics(pendulum, omega2=START),
        structure=ODE(dt=dt, window=window),
        rho=RHO,
        refine_rho=None,
        learning_rate=LEARNING_RATE,
        batch_size=batch_size,
        max_epochs=max(1, round(n_steps / math.ceil(n_windows / batch_size))),
        random_state=0,
        **settings,
    )
    return model.fit(X, y).physics_params_["omega2"]


def timed(function, *arguments, **options):
    """Return the CPU seconds of a call and its result."""
    began = time.process_time()
    value = function(*arguments, **options)
    return time.process_time() - began, value


def measure_step(repeats, n_steps, compiled):
    """Time the same steps of the hand-written loop and of skhybrid alternately."""
    swings = make_pendulum(random_state=0)
    task = swings.data, swings.target, swings.dt, 2, n_steps
    variants = {"skhybrid": False} | ({"skhybrid, compiled": True} if compiled else {})
    first = {name: timed(fit_ours, *task, compile=on)[0] for name, on in variants.items()}
    for _ in range(repeats):
        by_hand, _ = timed(fit_by_hand, *task, BATCH_SIZE)
        for name, on in variants.items():
            seconds, _ = timed(fit_ours, *task, compile=on)
            yield {
                "part": "step",
                "what": name,
                "by hand, ms": 1e3 * by_hand / n_steps,
                "ours, ms": 1e3 * seconds / n_steps,
                "ratio": seconds / by_hand,
                "first fit, s": first[name],
            }


def measure_accuracy(limit_seconds):
    """Time whole trajectories by hand, and windows with skhybrid, until ω₀² is right."""
    swings = make_pendulum(random_state=0)
    truth = swings.physics_params["omega2"]
    n_times = swings.target.shape[1]
    for n_steps in (250, 500, 1000, 2000):
        began, wrong = time.process_time(), [0.0]

        def watch(omega2, began=began, wrong=wrong):
            if abs(omega2 / truth - 1) > LIMIT:
                wrong[0] = time.process_time() - began

        omega2 = fit_by_hand(
            swings.data, swings.target, swings.dt, n_times, n_steps, len(swings.data), watch
        )
        total = time.process_time() - began
        error = omega2 / truth - 1
        yield {
            "part": "accuracy",
            "what": f"by hand, whole trajectories, {n_steps} steps",
            "seconds": total,
            "seconds until within 1 %": wrong[0] if abs(error) <= LIMIT else math.nan,
            "error, %": 100 * error,
        }
        if abs(error) <= LIMIT or total > limit_seconds:
            break
    for n_steps in (250, 500, 1000, 1500):
        settings = {"physics_init": "least_squares"}
        seconds, omega2 = timed(
            fit_ours, swings.data, swings.target, swings.dt, 2, n_steps, **settings
        )
        error = omega2 / truth - 1
        yield {
            "part": "accuracy",
            "what": f"skhybrid, windows of 2, {n_steps} steps",
            "seconds": seconds,
            "seconds until within 1 %": seconds if abs(error) <= LIMIT else math.nan,
            "error, %": 100 * error,
        }


def chain(t, state, *, stiffness=1.0):
    """Couple oscillators to their neighbours; the state has positions, then velocities."""
    position, velocity = state.chunk(2, dim=-1)
    pull = position.roll(1, -1) + position.roll(-1, -1) - 2 * position - position
    return torch.cat([velocity, stiffness * pull], dim=-1)


def measure_growth(n_steps):
    """Time a step while one quantity at a time grows."""
    base = {"windows": 64, "length": 2, "states": 2, "width": 64}
    values = {
        "windows": (16, 64, 256, 1024),
        "length": (1, 2, 5, 10, 20),
        "states": (2, 8, 32, 128),
        "width": (16, 64, 256),
    }
    random = np.random.default_rng(0)
    for what, points in values.items():
        for value in points:
            size = {**base, what: value}
            X = random.normal(size=(size["windows"], size["states"]))
            y = random.normal(size=(size["windows"], size["length"], size["states"]))

            def fit(n_epochs, size=size, X=X, y=y):
                model = HybridRegressor(
                    chain,
                    nn=(size["width"],) * 2,
                    structure=ODE(dt=0.1, window=size["length"]),
                    refine_rho=None,
                    physics_init="given",
                    batch_size=None,
                    max_epochs=n_epochs,
                    random_state=0,
                )
                model.fit(X, y)

            fit(1)
            few, many = (timed(fit, n)[0] for n in (2, 2 + n_steps))
            yield {
                "part": "growth",
                "what": what,
                "value": value,
                "ours, ms": 1e3 * (many - few) / n_steps,
            }


def measure_memory():
    """Measure the memory that autograd keeps for the backward pass of an adaptive rollout."""
    swings = make_pendulum(4, n_times=200, dt=0.1, random_state=0)
    for adjoint in (False, True):
        for length in (10, 50, 200):
            model = HybridRegressor(
                swings.physics,
                structure=ODE(dt=0.1, method="dopri5", window=length, adjoint=adjoint),
                refine_rho=None,
                physics_init="given",
                batch_size=4,
                max_epochs=1,
                random_state=0,
            )
            X, y = swings.data, swings.target[:, :length]
            fitted = model.fit(X[:1], y[:1])._fitted
            new = read_new_trajectories(model, X, times=0.1 * np.arange(1, length + 1))
            dynamics = fitted.hybrid.at_step(uniform_step(new.times, new.lengths))
            x = as_tensors(new.x, torch.float32, "cpu")
            kept = {}

            def keep(tensor, kept=kept):
                kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                for parameter in dynamics.network.parameters():
                    parameter.requires_grad_()
                loss = dynamics(x, fitted.coordinates).square().mean()
            seconds, _ = timed(loss.backward)
            yield {
                "part": "memory",
                "what": "adjoint" if adjoint else "direct",
                "value": length,
                "MB kept": sum(kept.values()) / 1e6,
                "backward, s": seconds,
            }


def main():
    """Run the measurements from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("step", "accuracy", "growth", "memory")
    parser.add_argument("--parts", nargs="+", default=list(parts), choices=parts)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--compile", action="store_true", help="also with compile=True")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    measures = {
        "step": lambda: measure_step(arguments.repeats, arguments.steps, arguments.compile),
        "accuracy": lambda: measure_accuracy(limit_seconds=200),
        "growth": lambda: measure_growth(n_steps=50),
        "memory": measure_memory,
    }
    rows = []
    for part in arguments.parts:
        found = pd.DataFrame(list(measures[part]()))
        rows.append(found)
        shown = found
        if part == "step":
            shown = found.groupby(["part", "what"], sort=False, as_index=False).median()
        table = Table(title=part)
        for column in shown.columns[1:]:
            table.add_column(column, justify="left" if column == "what" else "right")
        for values in shown.itertuples(index=False):
            table.add_row(*(v if isinstance(v, str) else f"{v:.4g}" for v in values[1:]))
        Console(width=140).print(table)
        if arguments.output is not None:
            pd.concat(rows).to_csv(arguments.output, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
