"""A fit in a batch equals the same fit alone, for random settings.

Each seed draws the settings that all members of a batch share, and for every member its own
settings and rows. In float64 both fits agree to 1e-8 after 24 steps.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from small_models import drive, drive_two, make_model, make_table, twice_corrected
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE, Param, Physics
from skhybrid.batching.batch_training import make_batches, train_tasks
from skhybrid.batching.fit_tasks import FitTasks, TrialKeys
from skhybrid.training import radius

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

N_STEPS = 24
N_ROWS = 40


def pick(rng: np.random.Generator, *values):
    """Return one of the values."""
    return values[rng.integers(len(values))]


def shared_settings(rng: np.random.Generator) -> dict:
    """Return settings that members of a batch have in common, except model and rows."""
    return {
        "optimizer": pick(rng, "sam", "sam", "adam"),
        "perturbation": pick(rng, "layer", "global", "elementwise"),
        "perturb": pick(rng, "nn", "nn", "all"),
        "n_restarts": pick(rng, 1, 2),
        "early_stopping": pick(rng, False, True),
        "validation_fraction": 0.2,
        "n_iter_no_change": pick(rng, 3, 30),
        "physics_init": pick(rng, "least_squares", "given"),
        "nn": pick(rng, (6,), (4, 3)),
    }


def own_settings(rng: np.random.Generator, *, has_norm: bool) -> dict:
    """Return settings in which members of a batch may differ."""
    return {
        "rho": pick(rng, 0.01, 0.05, 0.2),
        "rho_schedule": pick(rng, "noise", "constant"),
        "l2": pick(rng, 0.0, 1e-3, 0.1),
        "functional_norm": pick(rng, 1e-3, 0.1) if has_norm else 0.0,
        "learning_rate": pick(rng, 3e-3, 0.01),
        "random_state": int(rng.integers(1000)),
    }


def epochs(n_rows: int, batch_size: int | None) -> int:
    return N_STEPS if batch_size is None else N_STEPS // -(-n_rows // batch_size)


def draw_tables(rng: np.random.Generator, n_members: int) -> tuple[list, list]:
    """Return models of tables, and the rows of each."""
    two_targets, bounded, weighted, masked = rng.random(4) < 0.4
    law, start = (drive_two, (1.0, 1.0)) if two_targets else (drive, 1.0)
    physics = Physics(law, gain=Param(start, bounds=(0.0, 1.5))) if bounded else law
    batch_size = pick(rng, None, 16)
    shared = shared_settings(rng) | {
        "physics": physics,
        "structure": pick(rng, "additive", "multiplicative", "serial", twice_corrected),
        "batch_size": batch_size,
        "max_epochs": epochs(N_ROWS, batch_size),
        "missing_targets": "mask",
    }
    has_norm = rng.random() < 0.5
    models, rows = [], []
    for _ in range(n_members):
        own = own_settings(rng, has_norm=has_norm)
        own["nn_features"] = pick(rng, None, ["angle"], ["force"], ["angle", "force"])
        models.append(make_model(**shared, **own))
        X, y = make_table(N_ROWS, seed=int(rng.integers(1000)))
        y = np.column_stack([y, y - 2.0 * X["angle"]]) if two_targets else y.copy()
        if masked:
            y[rng.permutation(N_ROWS)[:5], ...] = np.nan
        weight = rng.uniform(0.2, 3.0, N_ROWS) if weighted else None
        if weighted:
            weight[
                rng.permutation(np.flatnonzero(np.isfinite(y).reshape(N_ROWS, -1)[:, 0]))[:3]
            ] = 0
        rows.append((X, y, weight))
    return models, rows


def draw_trajectories(rng: np.random.Generator, n_members: int) -> tuple[list, list]:
    """Return models of trajectories, and the trajectories of each."""
    n, n_times = 6, 6
    bounded, weighted, masked = rng.random(3) < 0.4
    window = pick(rng, 1, 2, 3, [1, 2])
    ode = ODE(
        dt=DT,
        window=window,
        method=pick(rng, "euler", "midpoint"),
        # Several windows have no learned first states in common.
        initial_state="given" if window == [1, 2] else pick(rng, "given", "learned"),
        join=pick(rng, "add", "multiply"),
    )
    batch_size = pick(rng, None, 6)
    n_windows = n * n_times // (window if isinstance(window, int) else 2)
    shared = shared_settings(rng) | {
        "physics": Physics(spring, stiffness=Param(1.5, bounds=(1.0, 1.6))) if bounded else spring,
        "structure": ode,
        "batch_size": batch_size,
        "max_epochs": epochs(n_windows, batch_size),
        "missing_targets": "mask",
    }
    has_norm = rng.random() < 0.5
    # The same time is missing everywhere, so that all members have equally many windows.
    missing = rng.integers(1, n_times - 1)
    models, rows = [], []
    for _ in range(n_members):
        own = own_settings(rng, has_norm=has_norm)
        own["nn_features"] = pick(rng, None, [0], [1, "time"])
        models.append(make_model(**shared, **own))
        X, y = make_oscillations(n, n_times, seed=int(rng.integers(1000)))
        if masked:
            y[:, missing, 1] = np.nan
        rows.append((X, y, rng.uniform(0.2, 3.0, n) if weighted else None))
    return models, rows


def outcome(model, X) -> dict[str, np.ndarray]:
    """Return all results of a fit by name."""
    theta = {name: np.asarray(value) for name, value in model.physics_params_.items()}
    restarts = {
        f"restart {number} {name}": np.asarray(value)
        for number, each in enumerate(model.restarts_)
        for name, value in each["physics_params"].items()
    }
    weights = {name: value.numpy() for name, value in model.module_.state_dict().items()}
    return {
        "prediction": np.asarray(model.predict(X)),
        "loss curve": np.asarray(model.loss_curve_),
        "losses": np.array([each["loss"] for each in model.restarts_]),
        "physics share": np.asarray(model.physics_share_),
        **theta,
        **restarts,
        **weights,
    }


@pytest.mark.parametrize("seed", range(12))
def test_a_fit_among_others_equals_the_fit_alone(seed, monkeypatch):
    monkeypatch.setattr(radius, "FULL_RADIUS_ERROR", 1.0)  # radii differ in 60 steps
    rng = np.random.default_rng(seed)
    n_members = int(rng.integers(2, 5))
    draw = draw_trajectories if seed % 3 == 2 else draw_tables
    models, rows = draw(rng, n_members)
    tasks = FitTasks()
    for number, (model, given) in enumerate(zip(models, rows, strict=True)):
        tasks.add(model, TrialKeys(number), 0, *given)
    assert len([*make_batches(tasks.tasks, 1, None)]) == 1
    train_tasks(tasks.tasks)
    number = int(rng.integers(n_members))
    assert tasks.tasks[number].error is None
    X, y, weight = rows[number]
    alone = clone(models[number]).fit(X, y, weight)
    expected, found = outcome(alone, X), outcome(models[number], X)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-8, atol=1e-8, err_msg=name)
    assert models[number].n_iter_ == alone.n_iter_
    assert [each["status"] for each in models[number].restarts_] == [
        each["status"] for each in alone.restarts_
    ]
