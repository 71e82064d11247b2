"""A small hybrid model and a table for it, for the tests of the estimator.

The functions live here, and not in the test files, so that other processes can import them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from skhybrid import HybridRegressor
from skhybrid.fitting.settings import FitSettings

N_ROWS = 40


def drive(force, *, gain=1.0, offset=0.1):
    """Return the known part: a response in proportion to the force."""
    return gain * force + offset


def drive_two(force, *, gain=(1.0, 1.0)):
    """Return the same for two targets."""
    return gain * force[:, None]


def drive_squared(force, *, gain=1.0):
    return gain * force**2


def drive_recorded(force, *, gain=1.0, offset=0.1, folder):
    """Return the same as :func:`drive`; write files named by process and number of threads."""
    Path(folder, f"{os.getpid()}-{torch.get_num_threads()}").touch()
    return gain * force + offset


def drive_slowly(force, *, gain=1.0, offset=0.1):
    time.sleep(0.005)
    return gain * force + offset


def twice_corrected(x, physics, nn):
    """Return the physics corrected by a network that also reads the physics: a user's structure."""
    return physics(x) + nn(x, physics(x))


def make_table(n_rows: int = N_ROWS, *, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return features and a target; :func:`drive` explains the larger part of it."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.uniform(0.5, 2.5, (n_rows, 2)), columns=["force", "angle"])
    y = 2.0 * X["force"] + 0.5 + 0.4 * np.sin(2.0 * X["angle"]) + 0.02 * rng.normal(size=n_rows)
    return X, y.to_numpy()


def make_model(**settings) -> HybridRegressor:
    """Return a fast estimator that trains on all rows at once, in float64."""
    settings = {"physics": drive, "nn": (6,), "max_epochs": 20, "random_state": 0, **settings}
    exact = {"batch_size": None, "dtype": "float64", "refine_rho": None}
    return HybridRegressor(**{**exact, **settings})


def make_settings(**settings) -> FitSettings:
    """Return the settings of :func:`make_model`."""
    return FitSettings.of(make_model(**settings))


def same_fit(first: HybridRegressor, second: HybridRegressor, X: pd.DataFrame) -> bool:
    """Return whether two fits are equal to the last bit; X are rows to predict."""
    return (
        first.physics_params_ == second.physics_params_
        and first.loss_curve_ == second.loss_curve_
        and np.array_equal(first.predict(X), second.predict(X))
    )


class ForceModule(torch.nn.Module):
    """The physics of :func:`drive` as a module."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(1.0))
        self.offset = torch.nn.Parameter(torch.tensor(0.1))

    def forward(self, force):
        return self.gain * force + self.offset


class Recorder:
    """A callback that keeps its arguments."""

    def __init__(self) -> None:
        self.begun, self.ended, self.models, self.given = [], [], [], []
        self.n_set_up = self.n_torn_down = 0

    def setup(self, estimator, context):
        self.n_set_up += 1

    def teardown(self, estimator, context):
        self.n_torn_down += 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.ended.append(context)
        self.models.append(fitted_estimator)
        self.given.append((X, y, metadata))


class StopAfter:
    """A callback that ends training after some epochs."""

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return context.task_name.endswith("epoch") and context.task_id + 1 >= self.n_epochs


class Interrupt(StopAfter):
    """A callback that raises KeyboardInterrupt, as the interrupt key does."""

    def on_fit_task_end(self, estimator, context):
        raise KeyboardInterrupt
