"""Trainings that end in the middle, for the tests of checkpoints."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import ForceModule, drive, make_table

from skhybrid import LatentODE, Physics
from skhybrid.runtime.fingerprint import Fingerprints
from skhybrid.training import checkpoint, step


class Killed(BaseException):
    """Ends a training as a killed process would: nobody catches it."""


class Epochs:
    """Counts the epochs of all trainings, and kills the training in one of them.

    Attributes
    ----------
    n_run : int
    kill_in : int or None
    """

    def __init__(self, epoch) -> None:
        self._epoch = epoch
        self.n_run = 0
        self.kill_in: int | None = None

    def run(self, step, *args):
        self.n_run += 1
        if self.n_run == self.kill_in:
            raise Killed
        return self._epoch(step, *args)

    def count(self, fit) -> int:
        """Return the number of epochs that a call runs."""
        self.n_run, self.kill_in = 0, None
        fit()
        return self.n_run

    def kill(self, fit, epoch: int) -> None:
        """Kill a call in an epoch, counted from its beginning."""
        self.n_run, self.kill_in = 0, epoch
        with pytest.raises(Killed):
            fit()
        self.kill_in = None


@pytest.fixture
def epochs(monkeypatch) -> Epochs:
    """Write a checkpoint after every epoch; return a counter that can kill."""
    write_always(monkeypatch)
    counter = Epochs(step.Step.epoch)
    monkeypatch.setattr(step.Step, "epoch", lambda self, *args: counter.run(self, *args))
    return counter


def write_always(monkeypatch) -> None:
    """Write a checkpoint after every epoch, and keep all results."""
    for name in ("FIRST_SECONDS", "INTERVAL_SECONDS", "KEPT_SECONDS", "COST_FACTOR"):
        monkeypatch.setattr(checkpoint, name, 0.0)


_calls = itertools.count()


def drive_and_kill(force, *, gain=1.0, offset=0.1, folder, n_kills, parent):
    """Return the same as ``drive``; kill worker processes that call it often."""
    if os.getpid() != parent and next(_calls) > 12:
        killed = Path(folder, f"killed-{os.getpid()}")
        if len(os.listdir(folder)) < n_kills:
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return drive(force, gain=gain, offset=offset)


def fingerprint_of_everything() -> str:
    """Return a fingerprint of objects of many types, which must be the same in every process."""
    torch.manual_seed(0)
    power = 2

    def law(force, *, gain=1.0):
        return gain * force**power if "force" in {"force", "angle", "time"} else drive(force)

    things = [
        law,
        Killed,
        torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh()),
        LatentODE(4, 4, n_states=2, dt=0.1),
        Physics(ForceModule()),
        frozenset({"a", "b", "c", None}),
        np.random.RandomState(0),
        make_table(),
    ]
    return Fingerprints().of(*things)


def assert_same_fits(found, expected) -> None:
    """Assert that two fitted estimators are equal to the last bit."""
    np.testing.assert_array_equal(found.loss_curve_, expected.loss_curve_)
    assert found.loss_ == expected.loss_
    assert repr(found.restarts_) == repr(expected.restarts_)
    for name, value in expected.physics_params_.items():
        np.testing.assert_array_equal(found.physics_params_[name], value)
    weights = expected.module_.state_dict()
    for name, value in found.module_.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), weights[name].numpy())
