"""Make identifiability reports of the tasks that the documentation names, beside the truth.

    python benchmarks/bench_reports.py --folder docs/reports

The script writes a text file for each task: the report as it is printed, and what is true. The
refits of the slow tasks (tanks, images) are left out unless named with ``--all``. The environment
variable SKHYBRID_DATA gives the folder of the measured data.
"""

import argparse
import time
import warnings
from pathlib import Path

import bench_images
import numpy as np
from varying_tasks import flux_task

from skhybrid import ODE, HybridRegressor, LatentODE, Param, Physics
from skhybrid.datasets import (
    fetch_cascaded_tanks,
    fetch_light_tunnel,
    make_duffing,
    make_lotka_volterra,
    make_pendulum,
    make_pendulum_images,
)
from skhybrid.inspection import identifiability_report

POSITIVE = (0.0, None)


def light_tunnel():
    """Return the measured light tunnel; the published simulator has gains in these directions."""
    tunnel = fetch_light_tunnel()
    published = np.array(tunnel.physics_params_published["gain"])
    truth = (
        f"published direction of the gains: {np.round(published / published[0], 3)} times the first"
    )
    return HybridRegressor(tunnel.physics, random_state=0), tunnel.data, tunnel.target, truth


def pendulum():
    """Return the pendulum without its friction."""
    swings = make_pendulum(noise=0.02, random_state=0)
    physics = Physics(swings.physics, omega2=Param(2.5, bounds=POSITIVE, unit="s^-2"))
    return trajectories(swings, physics)


def duffing(**settings):
    """Return the Duffing oscillator without its damping."""
    orbits = make_duffing(noise=0.01, random_state=0)
    return trajectories(orbits, Physics(orbits.physics), **settings)


def predators():
    """Return predators and prey without the interference between predators."""
    data = make_lotka_volterra(random_state=0)
    return trajectories(data, Physics(data.physics))


def trajectories(data, physics, **settings):
    """Return a model of trajectories, the data and the true parameters."""
    model = HybridRegressor(physics, structure=ODE(dt=data.dt), random_state=0, **settings)
    truth = ", ".join(f"{name} = {value:.4g}" for name, value in data.physics_params.items())
    return model, data.data, data.target, truth


def respiration():
    """Return a flux whose base is a function of moisture, which is correlated with temperature."""
    task = flux_task(11, correlation=0.6, n_rows=500)
    truth = ", ".join(f"{name} = {value:.4g}" for name, value in task.truth.items())
    return HybridRegressor(task.physics, random_state=0), task.X, task.y, truth


def tanks():
    """Return the measured tanks; nobody knows their parameters."""
    data = fetch_cascaded_tanks()
    physics = Physics(
        data.physics,
        k1=Param(0.05, bounds=POSITIVE, unit="V^(1/2)/s"),
        k2=Param(0.05, bounds=POSITIVE, unit="V^(1/2)/s"),
        k3=Param(0.05, bounds=POSITIVE, unit="V^(1/2)/s"),
        k4=Param(0.05, fixed=True, unit="1/s"),
    )
    structure = ODE(
        dt=data.dt, inputs="hold", observe=data.observe, n_states=2, state_guess=(5.0, 5.0),
        window=32, continuity=10.0, method="euler",
    )  # fmt: skip
    model = HybridRegressor(physics, structure=structure, max_epochs=200, random_state=0)
    return model, data.data, data.target, "not known: the tanks are measured"


def images():
    """Return films of a pendulum; the friction is missing."""
    film = make_pendulum_images(bench_images.N_TRAJECTORIES, random_state=0)
    structure = LatentODE(n_states=2, dt=film.dt, join=bench_images.to_acceleration)
    settings = bench_images.SETTINGS | bench_images.MODELS["SAM"]
    model = HybridRegressor(Physics(film.physics), structure=structure, random_state=0, **settings)
    truth = ", ".join(f"{name} = {value:.4g}" for name, value in film.physics_params.items())
    return model, film.data, film.target, truth


TASKS = {
    "light_tunnel": light_tunnel,
    "pendulum": pendulum,
    "duffing_sees_all": duffing,
    "duffing_sees_velocity": lambda: duffing(nn_features=[1]),
    "predators_and_prey": predators,
    "respiration": respiration,
    "tanks": tanks,
    "images": images,
}
SLOW = ("tanks", "images")


def main():
    """Write the reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument(
        "--all", nargs="*", choices=TASKS, default=[n for n in TASKS if n not in SLOW]
    )
    parser.add_argument("--folder", type=Path, default=Path("docs/reports"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for name in arguments.tasks:
        model, X, y, truth = TASKS[name]()
        model.fit(X, y)
        began = time.process_time()
        identifiability_report(model, X, y)
        quick = time.process_time() - began
        parts = ["intervals", "starts", "assumptions"] if name in arguments.all else "quick"
        began = time.process_time()
        report = identifiability_report(model, X, y, parts=parts)
        seconds = time.process_time() - began
        took = f"The quick part took {quick:.0f} CPU seconds, this report {seconds:.0f}."
        text = f"{report}\n\nTruth: {truth}.\n{took}\n"
        (arguments.folder / f"{name}.txt").write_text(text)
        print(f"{name}\n{text}", flush=True)


if __name__ == "__main__":
    main()
