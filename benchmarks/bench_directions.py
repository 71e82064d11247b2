"""Compare other directions of the perturbation, and rarer ones, with the default step of SAM.

The script replaces the step of skhybrid/training/step.py; the package itself does not change. All
steps have the default radius, which follows the noise, unless another one is named, and move every
layer by ρ‖W‖:

- SAM: the default, along the minibatch's gradient.
- Adam: no perturbation.
- GSAM: the step leaves a part α of the gradient at w that is orthogonal to the one at w + ε
  (Zhuang et al., "Surrogate gap minimization improves sharpness-aware training", ICLR 2022).
- F-SAM: along the gradient less its moving average with decay 0.9 (Li et al., "Friendly
  sharpness-aware minimization", CVPR 2024).
- momentum: against Adam's mean gradient, where the steps lead (Becker, Altrock and Risse,
  "Momentum-SAM", 2024), or along it. It takes one gradient a step.
- every 2nd, every 5th: steps of Adam in between.
- output size: along the gradient of the mean square of the network's output.
- output change: along Jᵀr, for the Jacobian J of the network's output and random numbers r.
- random: along random numbers. Its ratios say how much the direction matters at all.

Where a step needs no gradient at w, the radius, which follows the loss there, takes an evaluation
more. This and the output's gradient are not as fast as in the package: the number of gradients says
what a step could cost.

The tasks are random static ones of random_tasks.py, and those of static_tasks.py from a given start
that is far off. Only the first phase is fitted, which determines θ. An error of θ is relative, in
per cent. A prediction error is the root mean square error on 1,000 clean rows, relative to the
target's standard deviation. Ratios divide the error of a fit by that of SAM with the same rows and
the same network; errors below a floor (0.1 % of θ, 0.001 of the standard deviation) count as the
floor, or, in a second column, those of θ below 1 %. Geometric means are over seeds, then over
tasks, with their interval over tasks. "SAM again" has other random numbers: its ratios are noise.

    python benchmarks/bench_directions.py --output benchmarks/results/directions.csv
    python benchmarks/bench_directions.py --times benchmarks/results/directions_times.csv

Rows are written as fits end. The same command goes on where it was stopped; ``--seeds`` and
``--directions`` choose a part. ``--summary`` prints the tables of a file without fitting. The file
in the repository has seed 0 for all directions, seed 1 for those that came near SAM with seed 0,
and seed 100, which was kept aside, for two of these. ``--times`` measures the CPU time of a step,
the least of several turns.
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import static_tasks
import torch
from random_tasks import draw_task
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student_t

from skhybrid import HybridRegressor, Physics
from skhybrid.datasets import make_pendulum_acceleration, pendulum_acceleration
from skhybrid.training import loop
from skhybrid.training.members import BIAS, WEIGHT
from skhybrid.training.step import Step

FLOORS = {"error of theta, %": 0.1, "prediction error": 1e-3}
# Smaller errors of θ are mostly chance.
LARGE = 1.0
FIRST_TASK, N_RANDOM_TASKS = 500, 21
START = ("given", 2.5)
FRIENDLY_DECAY = 0.9
REFERENCE = "SAM"
RHO = 0.05


class OwnStep(Step):
    """A step whose parts may be replaced; these are the parts of the default one.

    ``rho`` is the radius that its fits have.
    """

    rho = RHO

    def __init__(self, objective, members, config):
        super().__init__(objective, members, config)
        self.random = torch.Generator().manual_seed(config.seed)

    def __call__(self, batch, decay):
        """Make one step; return the loss of every member, and whether its gradient was finite."""
        gradient = partial(self.objective.gradient, batch, learns_physics=self._learns_physics)
        losses = self.step_gradient(batch, gradient, decay)
        finite = self.members.drop_non_finite()
        self.l2.add_gradient()
        self.adam.step(self.members.gradient, decay)
        self.members.project()
        return losses, finite

    def step_gradient(self, batch, gradient, decay):
        """Write the gradient of the step; return the losses."""
        losses, again = self.write_direction(batch, gradient)
        self.radius.update(losses, decay)
        self.sam.ascend()
        gradient(self._roles, again=again)
        self.sam.descend()
        return losses

    def write_direction(self, batch, gradient):
        """Write the direction of ε; return the losses, and if the batch was evaluated last."""
        losses, _ = gradient(self.sam.roles)
        return losses, True


class Surrogate(OwnStep):
    """GSAM."""

    alpha = 0.1

    def step_gradient(self, batch, gradient, decay):
        """Write the gradient of the step; return the losses."""
        losses, _ = gradient([WEIGHT, BIAS])
        blocks = [block for block in self.members.blocks if block.role in (WEIGHT, BIAS)]
        at_start = self.members.gradient.clone()
        self.radius.update(losses, decay)
        self.sam.ascend()
        gradient(self._roles, again=True)
        self.sam.descend()
        pairs = [(block.view(at_start), block.view(self.members.gradient)) for block in blocks]
        product = sum((first * moved).sum(1, keepdim=True) for first, moved in pairs)
        square = sum((moved * moved).sum(1, keepdim=True) for _, moved in pairs)
        parallel = product / square.clamp(min=1e-30)
        for first, moved in pairs:
            moved.sub_(first - parallel * moved, alpha=self.alpha)
        return losses


class StrongSurrogate(Surrogate):
    """GSAM with the largest α of its authors."""

    alpha = 0.4


class Friendly(OwnStep):
    """F-SAM."""

    average = 0.0

    def write_direction(self, batch, gradient):
        """Write the direction of ε; return the losses, and if the batch was evaluated last."""
        losses, _ = gradient(self.sam.roles)
        found = self.members.gradient
        self.average = FRIENDLY_DECAY * self.average + (1 - FRIENDLY_DECAY) * found
        found.sub_(self.average)
        return losses, True


class Momentum(OwnStep):
    """Momentum-SAM, with the sign of its authors."""

    sign = -1.0

    def write_direction(self, batch, gradient):
        """Write the direction of ε; return the losses, and if the batch was evaluated last."""
        torch.mul(self.adam.mean, self.sign, out=self.members.gradient)
        return self.objective.data_losses(batch), False


class UphillMomentum(Momentum):
    """Momentum-SAM with the sign of SAM."""

    sign = 1.0


class NearUphillMomentum(UphillMomentum):
    """The same with half of the radius."""

    rho = RHO / 2


class Rare(OwnStep):
    """SAM at every k-th step."""

    k = 2

    def step_gradient(self, batch, gradient, decay):
        """Write the gradient of the step; return the losses."""
        if self.adam.n_steps % self.k == 0:
            return super().step_gradient(batch, gradient, decay)
        losses, _ = gradient(self._roles)
        self.radius.update(losses, decay)
        return losses


class Rarer(Rare):
    """SAM at every fifth step."""

    k = 5


class FarRare(Rare):
    """SAM at every second step with twice the radius."""

    rho = 2 * RHO


class OutputSize(OwnStep):
    """Along the gradient of the mean square of the network's output."""

    def write_direction(self, batch, gradient):
        """Write the direction of ε; return the losses, and if the batch was evaluated last."""
        hybrid, members = self.objective.hybrid, self.members

        def output(coordinates, weights):
            prediction, _ = hybrid.evaluate(batch.x, coordinates, weights)
            known = hybrid.physics_part(batch.x, coordinates)
            return (prediction - known) / hybrid.scales.target_scale

        if members.n_members == 1:
            outputs = output(members.coordinates, members.weights)
        else:
            outputs = torch.vmap(output)(members.coordinates, members.weights)
        members.backward((outputs * self.factor(outputs.detach())).mean(-1))
        return self.objective.data_losses(batch), False

    def factor(self, outputs):
        """Return the derivatives of what ε increases, by the outputs."""
        return outputs


class OutputChange(OutputSize):
    """Along a random combination of the slopes of the network's output."""

    def factor(self, outputs):
        """Return random numbers."""
        return torch.randn(outputs.shape, generator=self.random)


class Random(OwnStep):
    """Along random numbers."""

    def write_direction(self, batch, gradient):
        """Write the direction of ε; return the losses, and if the batch was evaluated last."""
        self.members.gradient.normal_(generator=self.random)
        return self.objective.data_losses(batch), False


STEPS = {
    REFERENCE: OwnStep,
    "SAM again": OwnStep,
    "Adam": Step,
    "GSAM, α = 0.1": Surrogate,
    "GSAM, α = 0.4": StrongSurrogate,
    "F-SAM": Friendly,
    "momentum": Momentum,
    "momentum, uphill": UphillMomentum,
    "momentum, uphill, ρ / 2": NearUphillMomentum,
    "every 2nd": Rare,
    "every 2nd, 2 ρ": FarRare,
    "every 5th": Rarer,
    "output size": OutputSize,
    "output change": OutputChange,
    "random": Random,
}
# Gradients of a step; the others take two.
N_GRADIENTS = {
    "Adam": 1,
    "momentum": 1,
    "momentum, uphill": 1,
    "momentum, uphill, ρ / 2": 1,
    "every 2nd": 1.5,
    "every 2nd, 2 ρ": 1.5,
    "every 5th": 1.2,
    "random": 1,
}


def draw(task, seed):
    """Return rows, test rows, physics, the least-squares option, and the name and value of θ."""
    if task.isdigit():
        drawn = draw_task(int(task), seed)
        rows = (drawn.X, drawn.y), (drawn.X_test, drawn.y_test)
        return *rows, Physics(drawn.physics()), "least_squares", {"k": drawn.k}
    name, init, start = task.split(" | ")
    settings = static_tasks.TASKS[name]
    data = make_pendulum_acceleration(**settings, random_state=seed)
    test = make_pendulum_acceleration(
        static_tasks.N_TEST_ROWS, missing=settings["missing"], noise=0.0, random_state=10_000 + seed
    )
    physics = Physics(pendulum_acceleration, omega2=float(start))
    rows = (data.data, data.target), (test.data, test.target)
    return *rows, physics, init, data.physics_params


def fit(task, seed, direction):
    """Fit one model and return its errors."""
    (X, y), (X_test, y_test), physics, init, truth = draw(task, seed)
    model = HybridRegressor(
        physics,
        optimizer="adam" if direction == "Adam" else "sam",
        rho=getattr(STEPS[direction], "rho", RHO),
        physics_init=init,
        refine_rho=None,
        random_state=1000 + seed if direction == "SAM again" else seed,
    )
    with mock.patch.object(loop, "Step", STEPS[direction]):
        began = time.process_time()
        model.fit(X, y)
        seconds = time.process_time() - began
    ((name, value),) = truth.items()
    error = np.sqrt(np.mean((model.predict(X_test) - y_test) ** 2)) / np.std(y_test)
    return {
        "error of theta, %": 100 * (model.physics_params_[name] / value - 1),
        "prediction error": error,
        "training loss": model.loss_,
        "CPU seconds": seconds,
    }


def times(output, n_turns=12, n_epochs=20):
    """Write the CPU time of a step: the least of several turns, in each of which all come."""
    (X, y), _, physics, _, _ = draw(str(FIRST_TASK), 0)
    least = dict.fromkeys(STEPS, np.inf)
    for _ in range(n_turns):
        for direction, step in STEPS.items():
            spent = []

            class Timed(step):
                """The step with a clock."""

                def epoch(self, data, schedule, spent=spent):
                    began = time.process_time()
                    losses = super().epoch(data, schedule)
                    spent.append((time.process_time() - began) / schedule.n_batches)
                    return losses

            optimizer = "adam" if direction == "Adam" else "sam"
            model = HybridRegressor(
                physics, optimizer=optimizer, refine_rho=None, max_epochs=n_epochs, random_state=0
            )
            with mock.patch.object(loop, "Step", Timed):
                model.fit(X, y)
            least[direction] = min(least[direction], 1e6 * np.mean(spent))
    found = pd.DataFrame({"direction": [*least], "CPU us a step": [*least.values()]})
    found["relative to SAM"] = found["CPU us a step"] / least[REFERENCE]
    found.to_csv(output, index=False, float_format="%.3g")
    print(found.to_string(index=False))


def names_of_tasks():
    """Return the names of all tasks, with what the missing part overlaps."""
    found = {
        str(number): draw_task(number, 0).kind
        for number in range(FIRST_TASK, FIRST_TASK + N_RANDOM_TASKS)
    }
    for name in static_tasks.TASKS:
        found[" | ".join([name, *map(str, START)])] = "pendulum"
    return found


def run(arguments):
    """Run what the file does not have yet; return all rows."""
    output, rows = arguments.output, []
    if output is not None and output.exists():
        rows = pd.read_csv(output, dtype={"task": str}).to_dict("records")
    done = {(row["task"], row["seed"], row["direction"]) for row in rows}
    for seed in arguments.seeds:
        for task, kind in names_of_tasks().items():
            for direction in arguments.directions:
                if (task, seed, direction) in done:
                    continue
                row = {"task": task, "kind": kind, "seed": seed, "direction": direction}
                rows.append(row | fit(task, seed, direction))
            if output is not None:
                pd.DataFrame(rows).to_csv(output, index=False, float_format="%.5g")
    return pd.DataFrame(rows)


def ratios(results, name, floor):
    """Return the errors of fits relative to those of SAM: a column for each direction."""
    fits = results.assign(error=results[name].abs().clip(lower=floor))
    errors = fits.set_index(["kind", "task", "seed", "direction"])["error"].unstack("direction")
    return errors.div(errors[REFERENCE], axis=0)


def geometric_mean(ratio):
    """Return the geometric mean of ratios, first over seeds, then over tasks, and its interval."""
    logs = np.log(ratio.dropna()).groupby("task").mean()
    half = student_t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    return np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])


def with_interval(ratio):
    """Return the geometric mean of ratios and its interval as text."""
    mean, low, high = geometric_mean(ratio)
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def summarise(results, title):
    """Print the ratios of the errors to those of SAM."""
    theta, prediction = (ratios(results, name, floor) for name, floor in FLOORS.items())
    large = ratios(results, "error of theta, %", LARGE)
    kinds = [*dict.fromkeys(results["kind"])]
    table = Table(title=f"{title}: errors relative to those of SAM")
    table.add_column("direction", no_wrap=True)
    headings = ["fits", "θ (95 %)", "θ, from 1 % on (95 %)", "above\n1.3"]
    headings += [kind.replace(" ", "\n") for kind in kinds]
    for heading in [*headings, "predic-\ntion", "gra-\ndients"]:
        table.add_column(heading, justify="right", no_wrap=True)
    for direction in (each for each in STEPS if each in theta and each != REFERENCE):
        own = theta[direction].dropna()
        cells = [f"{len(own)}", with_interval(own), with_interval(large[direction])]
        cells.append(f"{(own > 1.3).mean():.0%}")
        cells += [f"{geometric_mean(own.loc[kind])[0]:.2f}" for kind in kinds]
        cells.append(f"{geometric_mean(prediction[direction])[0]:.2f}")
        cells.append(f"{N_GRADIENTS.get(direction, 2):g}")
        table.add_row(direction, *cells)
    Console(width=170).print(table)


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--directions", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--times", type=Path, help="measure the time of a step instead")
    parser.add_argument("--summary", action="store_true", help="print the tables of the file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.times is not None:
        times(arguments.times)
        return
    if arguments.summary:
        results = pd.read_csv(arguments.output, dtype={"task": str})
    else:
        results = run(arguments)
    for title, chosen in (("Seeds 0 and 1", [0, 1]), ("Seed 100, kept aside", [100])):
        own = results[results["seed"].isin(chosen)]
        if len(own):
            summarise(own, title)


if __name__ == "__main__":
    main()
