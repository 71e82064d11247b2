"""When does it pay to differentiate all stages of a rollout at once?

Times of one loss with its gradient, for minibatches of about 64 windows of a pendulum, by autograd
and by the gradients of all stages at once (skhybrid/model/rollout_gradient.py), for several numbers
of solver stages, of members and of outputs of the network (one to four; two pendulums side by side
have four). Both take turns on one thread; CPU
milliseconds, medians of nine.

    python benchmarks/bench_rollout_gradient.py \\
        --output benchmarks/results/rollout_gradient.csv
"""

import argparse
import itertools
import statistics
import time
import warnings
from pathlib import Path

import pandas as pd
import torch

from skhybrid import ODE, HybridRegressor
from skhybrid.datasets import make_pendulum
from skhybrid.model.rollout_gradient import RolloutGradient
from skhybrid.training.step import Step

N_REPEATS = 9
# Steps of a window, and of the solver in an interval; each RK4 step has four stages.
LENGTHS = ((2, 1), (4, 1), (5, 1), (5, 2), (5, 4))
MEMBERS = (1, 6, 32)
OUTPUTS = (1, 2, 3, 4)


class Measured(Exception):
    """Ends a fit after the measurement."""


def two_pendulums(t, state, *, omega2=1.0):
    """Return the rates of two pendulums that do not know of each other."""
    first, second, v_first, v_second = state.unbind(-1)
    pulls = [-omega2 * torch.sin(each) for each in (first, second)]
    return torch.stack([v_first, v_second, *pulls], dim=-1)


def measure(window, substeps, n_members, n_outputs):
    """Return a row: times of a loss and its gradient, both ways."""
    data, row, step = make_pendulum(30, random_state=0), {}, Step.__call__
    physics, X, y, corrects = data.physics, data.data, data.target, [1]
    if n_outputs > 1:
        corrects = [*range(n_outputs)]
    if n_outputs > 2:
        physics = two_pendulums
        X, y = (each[..., [0, 0, 1, 1]] for each in (X, y))

    def timed(self, batch, decay):
        objective, members = self.objective, self.members
        if members.n_members == 1:
            losses = {"autograd": objective._data_loss, "at once": objective._solved_together()}
        else:
            at_once = objective._as_rows(0, solves_together=True)
            losses = {"autograd": objective._as_rows(0), "at once": at_once}
        times = {name: [] for name in losses}
        for _ in range(N_REPEATS):
            for name, loss in losses.items():
                began = time.process_time()
                members.backward(loss(*objective._arguments(batch)))
                times[name].append(1e3 * (time.process_time() - began))
        row.update({f"{name}, ms": statistics.median(each) for name, each in times.items()})
        model, x = objective.hybrid, batch.x
        row["chosen"] = RolloutGradient.pays(model, x, members.n_members)
        raise Measured

    structure = ODE(dt=data.dt, window=window, substeps=substeps, corrects=corrects)
    Step.__call__ = timed
    try:
        model = HybridRegressor(
            physics,
            structure=structure,
            n_restarts=n_members,
            n_threads=1,
            random_state=0,
        )
        model.fit(X, y)
    except Measured:
        pass
    finally:
        Step.__call__ = step
    known = {"stages": 4 * window * substeps, "members": n_members, "outputs": n_outputs}
    return known | row | {"ratio": row["at once, ms"] / row["autograd, ms"]}


def main():
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    cases = itertools.product(MEMBERS, OUTPUTS, LENGTHS)
    rows = [measure(*length, n_members, n_outputs) for n_members, n_outputs, length in cases]
    results = pd.DataFrame(rows)
    print(results.to_string(index=False, float_format="%.2f"))
    if arguments.output is not None:
        results.to_csv(arguments.output, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
