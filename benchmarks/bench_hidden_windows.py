"""Compare lengths of training windows where states are not observed.

- Oscillator: lightly damped, observed in its position only; the physics lacks the damping.
- Pendulum and Duffing oscillator, observed in their position only; friction or damping is missing.
- Predator seen only through its prey; the physics lacks the prey's capacity.
- Wall: a room's temperature is measured, its wall's is hidden; outside temperature, sun and heating
  are inputs. One record of two weeks, hour by hour. For the hybrid, the physics lacks the sun.
- Tanks: the cascaded tanks (measured), whose upper level is hidden.

The truth of the simulated tasks is known. The prediction is a whole rollout over new trajectories
(for the wall, over the two weeks that follow).

    python benchmarks/bench_hidden_windows.py --output benchmarks/results/hidden_windows.csv

The environment variable SKHYBRID_DATA gives the folder of the measured data.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.integrate import solve_ivp

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import fetch_cascaded_tanks, make_duffing, make_pendulum

POSITIVE = (0, None)


def first_component(state):
    """Return the first state."""
    return state[:, :1]


def simulate(rates, first, n_times, dt):
    """Return the states after the first ones."""
    times = dt * np.arange(1, n_times + 1)
    solutions = [
        solve_ivp(rates, (0, times[-1]), x, t_eval=times, rtol=1e-9, atol=1e-9) for x in first
    ]
    return np.stack([solution.y.T for solution in solutions])


def initial_value_task(rates, draw, n_times, dt, noise, seed, n=10):
    """Return first states and noisy first components of simulated trajectories, and new ones."""
    rng = np.random.default_rng(seed)
    first, new = draw(rng, n), draw(rng, 20)
    y = simulate(rates, first, n_times, dt)[..., :1]
    noisy = y + noise * y.std() * rng.normal(size=y.shape)
    return (first, noisy), (new, simulate(rates, new, n_times, dt)[..., :1])


def spring(t, state, *, stiffness):
    """Return the rates of an oscillator without damping."""
    position, velocity = state.unbind(-1)
    return torch.stack([velocity, -stiffness * position], -1)


def oscillator(seed):
    """Lightly damped, damping missing."""
    train, test = initial_value_task(
        lambda t, s: [s[1], -4.0 * s[0] - 0.2 * s[1]],
        lambda rng, n: rng.normal(size=(n, 2)) * [1.0, 2.0],
        100,
        0.1,
        0.02,
        seed,
    )
    physics = Physics(spring, stiffness=Param(2.0, POSITIVE))
    return physics, {"dt": 0.1}, train, test, {"stiffness": 4.0}


def known_states(make):
    """Return a task with a data set of the package, observed in its first state."""

    def task(seed):
        data, test = make(noise=0.02, random_state=seed), make(random_state=10_000 + seed)
        train = data.data, data.target[..., :1]
        test = test.data, test.target[..., :1]
        return data.physics, {"dt": data.dt}, train, test, data.physics_params

    return task


def prey(t, state, *, growth, hunting, gain, death):
    """Return the rates of prey and predators without a capacity."""
    hares, foxes = state.unbind(-1)
    return torch.stack(
        [growth * hares - hunting * hares * foxes, gain * hares * foxes - death * foxes], -1
    )


def predator(seed):
    """A predator seen only through its prey; the capacity is missing."""
    train, test = initial_value_task(
        lambda t, s: [
            s[0] * (1 - s[0] / 20) - 0.5 * s[0] * s[1],
            0.2 * s[0] * s[1] - 0.6 * s[1],
        ],
        lambda rng, n: rng.uniform([1.0, 0.5], [6.0, 3.0], size=(n, 2)),
        60,
        0.2,
        0.02,
        seed,
    )
    truth = {"growth": 1.0, "hunting": 0.5, "gain": 0.2, "death": 0.6}
    physics = Physics(prey, **{name: Param(0.8 * value, POSITIVE) for name, value in truth.items()})
    return physics, {"dt": 0.2}, train, test, truth


def room(t, state, inputs, *, exchange, leak, storage, sun, heating):
    """Return the rates of a room and its wall, in K/h."""
    inside, wall = state.unbind(-1)
    outside, light, power = inputs.unbind(-1)
    air = exchange * (wall - inside) + leak * (outside - inside) + sun * light + heating * power
    return torch.stack([air, storage * (inside - wall) + 0.02 * (outside - wall)], -1)


def shaded_room(t, state, inputs, *, exchange, leak, storage, heating):
    """Return the rates of a room and its wall without the sun."""
    return room(
        t, state, inputs, exchange=exchange, leak=leak, storage=storage, sun=0.0, heating=heating
    )


WALL = {"exchange": 0.6, "leak": 0.05, "storage": 0.06, "sun": 0.23, "heating": 1.2}


def weather(seed, n_hours):
    """Return outside temperature, sun and heating, hour by hour."""
    rng = np.random.default_rng(seed)
    hours = np.arange(n_hours)
    slow = np.cumsum(rng.normal(size=n_hours)) * 0.4
    outside = 5 + slow - slow.mean() + 4 * np.sin(2 * np.pi * (hours - 9) / 24)
    clouds = np.repeat(rng.uniform(0.1, 1.0, size=n_hours // 24 + 1), 24)[:n_hours]
    light = 3 * clouds * np.clip(np.sin(2 * np.pi * (hours % 24 - 6) / 24), 0, None)
    power = ((hours % 24 > 5) & (hours % 24 < 22)) * rng.uniform(0.3, 1.0, size=n_hours)
    return np.column_stack([outside, light, power])


def wall_with(physics, names):
    """Return a task of a room whose wall is hidden."""

    def task(seed):
        n = 24 * 14
        inputs = weather(seed, 2 * n)
        held = torch.tensor(inputs)
        state, states = torch.tensor([[20.0, 17.0]], dtype=torch.float64), []
        values = {k: torch.tensor(v) for k, v in WALL.items()}
        for hour in range(2 * n):
            states.append(state)
            for _ in range(20):  # inputs are constant over an hour
                state = state + 0.05 * room(0, state, held[hour : hour + 1], **values)
        y = torch.stack(states, 1).numpy()
        rng = np.random.default_rng(1000 + seed)
        noisy = y[:, :n, :1] + 0.1 * rng.normal(size=(1, n, 1))
        free = Physics(physics, **{name: Param(0.3, POSITIVE) for name in names})
        structure = {"dt": 1.0, "inputs": "hold", "n_states": 2, "state_guess": (20.0, 20.0)}
        truth = {name: WALL[name] for name in names}
        test = inputs[None, n:], y[:, n:, :1], y[:, n]
        return free, structure, (inputs[None, :n], noisy), test, truth

    return task


def tanks(seed):
    """Return the cascaded tanks."""
    data = fetch_cascaded_tanks()
    levels = {f"k{i}": Param(0.05, bounds=POSITIVE) for i in (1, 2, 3)}
    physics = Physics(data.physics, **levels, k4=Param(0.05, fixed=True))
    structure = {
        "dt": data.dt,
        "inputs": "hold",
        "observe": data.observe,
        "n_states": 2,
        "state_guess": (5.0, 5.0),
        "method": "euler",
    }
    test = data.data_test, data.target_test, None
    return physics, structure, (data.data, data.target), test, {}


TASKS = {
    "oscillator": oscillator,
    "pendulum": known_states(make_pendulum),
    "Duffing": known_states(make_duffing),
    "predator": predator,
    "wall": wall_with(room, [*WALL]),
    "wall, no sun": wall_with(shaded_room, [name for name in WALL if name != "sun"]),
    "tanks": tanks,
}


def parsed(window):
    """Return a window from the command line."""
    return (
        {"None": None, "auto": "auto"}.get(window, window) if not window.isdigit() else int(window)
    )


def fit_one(task, model_name, window, seed):
    """Fit one model and return its errors."""
    physics, structure, (X, y), (X_test, y_test, *starts), truth = TASKS[task](seed)
    structure = {"observe": first_component, "n_states": 2} | structure
    settings = {"nn": None} if model_name == "physics" else {}
    model = HybridRegressor(
        physics, structure=ODE(**structure, window=window), random_state=seed, **settings
    )
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    seconds = time.process_time() - began
    errors = [100 * (model.physics_params_[k] / v - 1) for k, v in truth.items()]
    given = {"initial_states": starts[0]} if starts and starts[0] is not None else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = np.asarray(model.predict(X_test, **given)) - y_test
        train = (
            np.asarray(
                model.predict(X, **({"initial_states": model.initial_states_} if given else {}))
            )
            - y
        )
    scale = np.std(y)
    return {
        "largest error of theta, %": max(errors, key=abs, default=np.nan),
        "RMSE train": np.sqrt(np.mean(train**2)) / scale,
        "RMSE test": np.sqrt(np.mean(test**2)) / scale,
        "CPU seconds": seconds,
        "loss": model.loss_,
        "window used": getattr(model, "window_", window),
        "parameters": ", ".join(f"{k}={v:.4g}" for k, v in model.physics_params_.items()),
    }


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--models", nargs="+", default=["physics", "hybrid"])
    parser.add_argument("--windows", nargs="+", default=["5", "10", "20", "None", "auto"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for task in arguments.tasks:
        for name in arguments.models:
            for window in arguments.windows:
                for seed in arguments.seeds:
                    keys = {"task": task, "model": name, "window": window, "seed": seed}
                    rows.append(keys | fit_one(task, name, parsed(window), seed))
                    print(
                        " ".join(
                            f"{v:.4g}" if isinstance(v, float) else str(v)
                            for v in rows[-1].values()
                        ),
                        flush=True,
                    )
                    if arguments.output is not None:
                        results = pd.DataFrame(rows)
                        results.to_csv(arguments.output, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
