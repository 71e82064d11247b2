"""The search finds the scores of GridSearchCV, which trains one fit after the other: tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import ForceModule, drive, drive_squared, drive_two, twice_corrected
from small_searches import (
    BOTH_PHASES,
    UNEVEN_BATCHES,
    UNEVEN_X,
    UNEVEN_Y,
    quick_model,
    search_both_ways,
    split_scores,
)

from skhybrid import HybridSearchCV, Param, Physics
from skhybrid.training import radius

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning", "ignore:`torch.jit:DeprecationWarning"
)


def drive_curved(force, *, gain=(1.0, 0.0)):
    return gain[0] * force + gain[1] * force**2


CASES = {
    "radii": (
        BOTH_PHASES,
        [{"rho": [0.05, 0.1], "refine_rho": [0.0, 0.02]}, {"rho": [0.0]}, {"refine_rho": [None]}],
        [3, 3, 6, 6],
    ),
    "penalties and rates": (
        BOTH_PHASES,
        [
            {"l2": [0.1]},
            {"learning_rate": [0.03], "physics_learning_rate": [0.0]},
            {"functional_norm": [0.01]},
            {"orthogonality": [0.01]},
        ],
        [3, 3, 6],
    ),
    "seeds, starts and restarts": (
        BOTH_PHASES,
        [{"random_state": [0, 1, 7]}, {"physics_init": ["least_squares"], "n_restarts": [1, 2]}],
        [3, 12],
    ),
    "features of the network": (
        BOTH_PHASES,
        {"nn_features": [None, ["angle"], ["angle", "force"]]},
        [9],
    ),
    "penalties of networks with different features": (
        {},
        {"nn_features": [["force"], ["angle"]], "perturbation": ["elementwise"], "l2": [0.1]},
        [4],
    ),
    "networks": ({}, {"nn": [(6,), (4, 3), 5, None]}, [2, 2, 2]),
    "structures": (
        {},
        {"structure": ["additive", "multiplicative", "serial", twice_corrected]},
        [2, 2, 2, 2],
    ),
    "optimizers and perturbations": (
        {},
        [
            {"optimizer": ["adam", "sam"], "rho": [0.01, 0.05]},
            {"perturbation": ["global"], "perturb": ["all"]},
        ],
        [2, 4, 4],
    ),
    "epochs and minibatches": ({}, {"max_epochs": [3, 5], "batch_size": [None, 8]}, [2, 2, 2, 2]),
    "physics": (
        {},
        {"physics": [drive, Physics(drive, gain=Param(1.0, bounds=(0.0, 1.5))), None]},
        [2, 2, 2],
    ),
    "initial values of physics parameters": (
        {**BOTH_PHASES, "physics": Physics(drive, gain=Param(1.0, bounds=(0.0, 5.0)))},
        [
            {"physics__gain": [0.2, 2.0], "rho": [0.02, 0.05]},
            {"physics__offset": [-3.0], "physics_init": ["given", "least_squares"]},
            {"physics__gain": [4.0], "n_restarts": [2], "orthogonality": [0.01]},
        ],
        [3, 18],
    ),
    "initial values of an array": (
        {"physics": Physics(drive_curved, gain=Param([1.0, 0.0], bounds=(None, [9.0, 9.0])))},
        {"physics__gain": [np.array([2.0, 0.5]), [0.1, 0.1], (0.5, -1.0)]},
        [9],
    ),
    "initial values of a module": (
        {"physics": Physics(ForceModule()), "perturb": "all"},
        {"physics__gain": [0.5, 3.0], "physics__offset": [Param(2.0, unit="N")]},
        [6],
    ),
    "known values": (
        {"physics": Physics(drive, offset=Param(0.1, fixed=True))},
        {"physics__offset": [0.1, 1.0], "physics__gain": [0.5, 3.0]},
        [6, 6],
    ),
    "bounds": (
        {"physics": Physics(drive)},
        [
            {"physics__gain": [Param(1.0, bounds=(0.0, 3.0)), Param(2.0, bounds=(0.0, 3.0))]},
            {"physics__gain": [Param(2.0, bounds=(0.0, 9.0)), Param(2.0, fixed=True)]},
            {"physics__gain": [Param(1.0), 3.0]},
        ],
        [3, 3, 6, 6],
    ),
    "initial values in several models": (
        {},
        {"physics": [Physics(drive), Physics(drive_squared)], "physics__gain": [0.5, 3.0]},
        [4, 4],
    ),
}


@pytest.mark.parametrize(("settings", "grid", "sizes"), CASES.values(), ids=CASES)
def test_scores_are_those_of_grid_search(settings, grid, sizes, batches):
    # The second phase needs more rows than two folds leave.
    search_both_ways(quick_model(**settings), grid, cv=3 if settings else 2)
    assert sorted(batches) == sizes


def test_both_schedules_of_the_radius_are_in_one_batch(batches, monkeypatch):
    monkeypatch.setattr(radius, "FULL_RADIUS_ERROR", 1.0)  # the radii differ in a few steps
    grid = {"rho_schedule": ["constant", "noise"], "rho": [0.1, 0.3], "refine_rho": [0.1]}
    search = search_both_ways(quick_model(**BOTH_PHASES), grid)
    assert batches == [12]
    constant, noise = search.cv_results_["mean_test_score"].reshape(2, 2).T
    assert (constant != noise).all()


def test_in_single_precision_scores_agree_to_its_accuracy(batches):
    grid = {"nn_features": [None, ["angle"]]}
    model = quick_model(**UNEVEN_BATCHES, dtype="float32")
    search_both_ways(model, grid, UNEVEN_X, UNEVEN_Y, rtol=1e-4)
    assert batches == [6]


def test_folds_of_unequal_size_are_in_one_batch(batches):
    search = search_both_ways(
        quick_model(**UNEVEN_BATCHES), {"rho": [0.02, 0.05]}, UNEVEN_X, UNEVEN_Y
    )
    assert batches == [6]
    # They are different folds.
    assert len(np.unique(split_scores(search).round(6))) == 6


@pytest.mark.parametrize("held_out", [0.1, 0.3], ids=["23 or 24 train", "8 or 9 validate"])
def test_early_stopping_with_folds_of_unequal_size(held_out, batches):
    stopping = {"early_stopping": True, "validation_fraction": held_out, "n_iter_no_change": 2}
    model = quick_model(refine_rho=0.0, batch_size=5, max_epochs=6, **stopping, tol=0.01)
    grid = [{"learning_rate": [0.05]}, {"n_restarts": [2]}]
    search_both_ways(model, grid, UNEVEN_X, UNEVEN_Y)
    assert batches == [3, 3]


def test_early_stopping_beside_fits_without(batches):
    model = quick_model(n_iter_no_change=2, tol=0.01)
    grid = {"early_stopping": [False, True], "validation_fraction": [0.2, 0.4]}
    search_both_ways(model, grid)
    assert sorted(batches) == [3, 3, 6]


TARGETS = {
    "several": np.column_stack([UNEVEN_Y, UNEVEN_Y - 2.0 * UNEVEN_X["angle"]]),
    "missing": np.where(np.arange(40) % 7 == 3, np.nan, UNEVEN_Y),
    "several, some missing": np.where(
        np.arange(80).reshape(40, 2) % 5 == 3,
        np.nan,
        np.column_stack([UNEVEN_Y, -UNEVEN_Y]),
    ),
}


def negative_error(model, X, y):
    """Score the targets that are not missing."""
    return -np.nanmean((model.predict(X) - y) ** 2)


@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_one_or_several_targets_with_or_without_missing_values(y, batches):
    physics = drive_two if y.ndim == 2 else drive
    model = quick_model(physics=physics, missing_targets="mask", **UNEVEN_BATCHES)
    grid = {"rho": [0.02, 0.05]}
    search_both_ways(model, grid, UNEVEN_X, y, scoring=negative_error)
    assert sum(batches) == 6


WEIGHT = np.linspace(0.2, 3.0, 40) ** 2 * (np.arange(40) % 9 != 4)


@pytest.mark.parametrize("weight", [WEIGHT, WEIGHT > 0], ids=["weights", "only rows left out"])
def test_sample_weights_with_zeros(weight, batches):
    model = quick_model(**UNEVEN_BATCHES)
    grid = {"rho": [0.02, 0.05]}
    params = {"sample_weight": weight.astype(float)}
    search = search_both_ways(model, grid, UNEVEN_X, UNEVEN_Y, params=params)
    assert sum(batches) == 6
    unweighted = HybridSearchCV(model, grid, cv=3).fit(UNEVEN_X, UNEVEN_Y)
    assert not np.allclose(split_scores(search), split_scores(unweighted), rtol=1e-6)


class Waves(torch.nn.Module):
    """Waves of random frequencies, which are not trained."""

    def __init__(self, frozen):
        super().__init__()
        self.readout = torch.nn.Linear(4, 1)
        self.reset_parameters()
        if frozen == "parameter":
            self.frequencies = torch.nn.Parameter(self.frequencies, requires_grad=False)

    def reset_parameters(self):
        frequencies = torch.randn(2, 4)
        if isinstance(getattr(self, "frequencies", None), torch.nn.Parameter):
            self.frequencies.data = frequencies
        else:
            self.register_buffer("frequencies", frequencies)

    def forward(self, x):
        return self.readout(torch.sin(x @ self.frequencies))


@pytest.mark.parametrize("frozen", ["buffer", "parameter"])
def test_networks_with_parts_that_are_drawn_but_not_trained(frozen):
    model = quick_model(nn=Waves(frozen), learning_rate=0.05)
    search_both_ways(model, {"random_state": [0, 1], "l2": [0.0, 0.1]}, cv=2)


def test_networks_that_read_a_feature_twice(batches):
    chosen = [["force", "force"], ["angle", "angle"], ["angle", "force"], None]
    search_both_ways(quick_model(), {"nn_features": chosen}, cv=2)
    assert sorted(batches) == [2, 2, 4]
    batches.clear()
    module = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.SiLU(), torch.nn.Linear(4, 1))
    search_both_ways(quick_model(nn=module), {"nn_features": [["force"], ["angle"]]}, cv=2)
    assert batches == [2, 2]
