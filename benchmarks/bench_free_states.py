"""A hidden state that the physics does not know: a room whose walls store heat.

Simulated records, hour by hour: the temperature of a room, with noise of 0.05 K; outdoor
temperature and heating are inputs. The truth is an RC model of two nodes, the room and its inner
walls, whose temperature is not measured. The physics knows the heat balance of the room without the
walls: ``loss`` (1/h) and ``gain`` (K/h per unit of heating). Six records of four days for training;
six new ones, without noise, for free runs. Initial states of new records are estimated from their
first 24 noisy outputs, which do not count in the error.

Models: the physics alone; hybrids without and with one free state, trained with SAM (the default)
and with Adam, whose networks read the room's temperature (and the free state) or all inputs as
well; and the true physics of both nodes, whose wall is hidden, as the best that is possible.

    python benchmarks/bench_free_states.py --output benchmarks/results/free_states.csv
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from skhybrid import ODE, HybridRegressor, Param, Physics

TRUTH = {"loss": 0.05, "gain": 0.8}
# Exchange between room and walls, seen from the room and from the walls, in 1/h.
EXCHANGE, STORAGE = 0.25, 0.03
NOISE = 0.05
N_RECORDS, N_HOURS, N_FIRST = 6, 97, 24
# Steps of Euler's method in an hour of the simulation.
N_STEPS = 20
POSITIVE = (0, None)


def room(t, state, inputs, *, loss, gain):
    """Return the rate of the room's temperature without its walls, in K/h."""
    outside, heating = inputs[:, :1], inputs[:, 1:]
    return loss * (outside - state) + gain * heating


def room_and_walls(t, state, inputs, *, loss, gain, exchange, storage):
    """Return the rates of the true model, in K/h."""
    inside, walls = state[:, :1], state[:, 1:]
    between = walls - inside
    air = room(t, inside, inputs, loss=loss, gain=gain) + exchange * between
    return torch.cat([air, -storage * between], dim=1)


def simulate(random):
    """Return inputs and room temperatures of several records."""
    hours = np.arange(N_HOURS)
    records, outputs = [], []
    for _ in range(N_RECORDS):
        drift = np.cumsum(random.normal(0.0, 0.3, N_HOURS))
        outside = 5.0 + 4.0 * np.sin(2.0 * np.pi * (hours / 24.0 + random.uniform())) + drift
        heating = np.repeat(random.uniform(0.0, 2.0, N_HOURS // 6 + 1), 6)[:N_HOURS]
        inside, walls = random.uniform(16.0, 22.0), random.uniform(14.0, 22.0)
        measured = []
        for now in zip(outside, heating, strict=True):
            measured.append(inside)
            for _ in range(N_STEPS):  # inputs are constant over an hour
                between = walls - inside
                rate = TRUTH["loss"] * (now[0] - inside) + TRUTH["gain"] * now[1]
                inside += (rate + EXCHANGE * between) / N_STEPS
                walls -= STORAGE * between / N_STEPS
        records.append(np.column_stack([outside, heating]))
        outputs.append(np.array(measured)[:, None])
    return np.stack(records), np.stack(outputs)


def make_model(n_free_states=None, *, optimizer="sam", reads=None, seed):
    """Return a hybrid with this number of free states; None is the physics alone."""
    parameters = {"loss": Param(0.1, POSITIVE), "gain": Param(0.5, POSITIVE)}
    structure = ODE(
        dt=1.0,
        inputs="hold",
        n_free_states=n_free_states or 0,
        state_names=["room"],
        input_names=["outside", "heating"],
    )
    return HybridRegressor(
        Physics(room, **parameters),
        nn=None if n_free_states is None else (16,),
        structure=structure,
        nn_features=reads,
        optimizer=optimizer,
        random_state=seed,
    )


def make_true_model(seed):
    """Return the true physics; the temperature of the walls is not observed."""
    starts = {"loss": 0.1, "gain": 0.5, "exchange": 0.1, "storage": 0.1}
    return HybridRegressor(
        Physics(room_and_walls, **{name: Param(at, POSITIVE) for name, at in starts.items()}),
        nn=None,
        structure=ODE(
            dt=1.0,
            inputs="hold",
            observe=lambda state: state[:, :1],
            n_states=2,
            state_guess=(20.0, 20.0),
        ),
        random_state=seed,
    )


ROOM = ["room"]
MODELS = {
    "physics alone": lambda seed: make_model(seed=seed),
    "hybrid, no free state": lambda seed: make_model(0, reads=ROOM, seed=seed),
    "hybrid, one free state": lambda seed: make_model(1, reads=ROOM, seed=seed),
    "hybrid, one free state, Adam": lambda seed: make_model(
        1, optimizer="adam", reads=ROOM, seed=seed
    ),
    "hybrid, no free state, all inputs": lambda seed: make_model(0, seed=seed),
    "hybrid, one free state, all inputs": lambda seed: make_model(1, seed=seed),
    "true physics, hidden wall": make_true_model,
}


def measure(name, seed):
    """Return a row: errors of θ and of free runs on new records, for one model."""
    random = np.random.default_rng(seed)
    X, y = simulate(random)
    X_new, y_new = simulate(random)
    noisy, noisy_new = (each + random.normal(0.0, NOISE, each.shape) for each in (y, y_new))
    model = MODELS[name](seed)
    began = time.process_time()
    model.fit(X, noisy)
    seconds = time.process_time() - began
    errors = []
    for records, true, given in ((X, y, noisy), (X_new, y_new, noisy_new)):
        runs = model.predict(records, first_outputs=given[:, :N_FIRST])
        errors.append(np.sqrt(np.mean((runs - true)[:, N_FIRST:] ** 2)))
    row = {"model": name, "seed": seed}
    for parameter, true in TRUTH.items():
        error = 100.0 * (model.physics_params_[parameter] / true - 1.0)
        row[f"error of {parameter}, %"] = round(float(error), 2)
    row["free runs, training records, K"] = round(float(errors[0]), 4)
    row["free runs, new records, K"] = round(float(errors[1]), 4)
    row["part of the spread, new records"] = round(float(errors[1] / y_new.std()), 4)
    return row | {"CPU s": round(seconds, 1)}


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = []
    for seed in arguments.seeds:
        for name in arguments.models:
            rows.append(measure(name, seed))
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(arguments.output, index=False)


if __name__ == "__main__":
    main()
