"""Many fits in one process leave nothing behind."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from skhybrid import ODE, HybridRegressor, HybridSearchCV
from skhybrid.exceptions import PhysicsError

RNG = np.random.RandomState(0)
X = RNG.uniform(size=(20, 2))
Y = X[:, 0] + X[:, 1] ** 2
STATES = RNG.uniform(0.5, 1.0, (2, 1))
PATHS = STATES[:, None] * np.exp(-0.3 * np.arange(4.0))[None, :, None]
N_FITS = 100

pytestmark = pytest.mark.filterwarnings("ignore")


def table():
    def line(x0, x1, *, slope=1.0):
        return slope * x0

    model = HybridRegressor(line, nn=(3,), max_epochs=1).fit(X, Y)
    model.predict(X)
    return line, model


def modules():
    class Line(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = nn.Parameter(torch.tensor(1.0))

        def forward(self, x0, x1):
            return self.slope * x0

    physics = Line()
    network = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.1), nn.Linear(3, 1))
    model = HybridRegressor(physics, nn=network, n_restarts=2, max_epochs=1).fit(X, Y)
    return Line, physics, network, model


def trajectories():
    def decay(t, state, *, rate=0.5):
        return -rate * state

    ode = ODE(dt=0.3, window=2)
    model = HybridRegressor(decay, nn=(3,), structure=ode, max_epochs=1).fit(STATES, PATHS)
    model.predict(STATES)
    return decay, ode, model


def alone():
    def line(x0, x1, *, slope=1.0):
        return slope * x0

    return line, HybridRegressor(line, nn=None).fit(X, Y)


def failure():
    def broken(x0, x1, *, slope=1.0):
        return slope * x0 / 0

    def raising(x0, x1, *, slope=1.0):
        raise KeyError("no such thing")

    for physics in (broken, raising):
        with pytest.raises(PhysicsError):
            HybridRegressor(physics, nn=(3,), max_epochs=1).fit(X, Y)
    return broken, raising


def search():
    def line(x0, x1, *, slope=1.0):
        return slope * x0 if float(x0[0]) > -1 else x0  # cannot be vectorised

    model = HybridRegressor(line, nn=(3,), max_epochs=1)
    return line, HybridSearchCV(model, {"rho": [0.05, 0.1]}, cv=2).fit(X, Y)


CALLS = [table, modules, table, trajectories, alone, table, failure, table, alone, table]


def in_use():
    """Return what may grow: live tensors, hooks, open files and threads."""
    gc.collect()
    found = [each for each in gc.get_objects() if isinstance(each, torch.Tensor)]
    # Without a list of its open files, a system cannot be checked for them.
    files = Path("/proc/self/fd")
    return {
        "tensors": len(found),
        "hooks": sum(bool(each._backward_hooks) for each in found),
        "files": len(os.listdir(files)) if files.exists() else 0,
        "threads": threading.active_count(),
    }


def resident():
    """Return the memory of this process in MB, or 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0.0
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_a_hundred_fits_leave_nothing_behind():
    for call in (*CALLS, search):
        call()
    before, memory, made = in_use(), resident(), []
    for number in range(N_FITS):
        call = search if number % 50 == 25 else CALLS[number % len(CALLS)]
        made += [weakref.ref(each) for each in call()]
    assert in_use() == before
    # The user's functions, modules and fitted models: a cache would keep them.
    assert [each() for each in made if each() is not None] == []
    assert resident() - memory < 25.0
