"""Advice in a warning helps: the warning goes away, and θ or the prediction improves."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.exceptions import CollapseWarning, ParameterWarning, PoorFitWarning

LEVER = 2.0
OURS = (CollapseWarning, ParameterWarning, PoorFitWarning)


def torque(force, arm, *, lever=0.5):
    return lever * force


def make_rows(n_rows, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2.0, 2.0, (n_rows, 2))
    return X, LEVER * X[:, 0] + np.cos(2.0 * X[:, 1])


X, Y = make_rows(120, 0)
TEST_X, TEST_Y = make_rows(200, 1)
DEFAULTS = {"physics": torque, "nn": (8,), "max_epochs": 200, "refine_rho": None}


def fit(**settings):
    """Return what the fit warns of, the error of θ and the error of the prediction."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = HybridRegressor(**{**DEFAULTS, "random_state": 0, **settings}).fit(X, Y)
    said = " ".join(str(each.message) for each in caught if issubclass(each.category, OURS))
    rmse = np.sqrt(np.mean((model.predict(TEST_X) - TEST_Y) ** 2))
    return said, abs(model.physics_params_["lever"] - LEVER), rmse


@pytest.mark.parametrize(
    ("bad", "advice", "good"),
    [
        (
            {"nn": (16, 16), "max_epochs": 100, "perturbation": "global", "rho": 3.0},
            "try a tenth of rho",
            {"nn": (16, 16), "max_epochs": 100, "perturbation": "global", "rho": 0.3},
        ),
        ({"l2": 10.0}, "try l2=0", {}),
        ({"optimizer": "adam", "l2": 10.0}, "try l2=0", {"optimizer": "adam"}),
    ],
    ids=["radius", "penalty", "penalty of adam"],
)
def test_a_network_that_vanished_comes_back(bad, advice, good):
    said, _, rmse = fit(**bad)
    assert advice in said
    now, _, better = fit(**good)
    assert "vanished" not in now
    assert better < 0.9 * rmse


@pytest.mark.parametrize(
    ("remedy", "rho"), [({"physics_init": "least_squares"}, 0.0), ({"lever": 1.0}, 0.05)]
)
def test_physics_that_vanished_comes_back(remedy, rho):
    bad = {"physics": Physics(torque, lever=0.001), "physics_init": "given", "rho": rho}
    said, error, _ = fit(**bad)
    assert "physics' part vanished" in said
    assert "set physics_init='least_squares', or give other initial values" in said
    if "lever" in remedy:
        good = {**bad, "physics": Physics(torque, **remedy)}
    else:
        good = {**bad, **remedy}
    now, better, _ = fit(**good)
    assert "vanished" not in now
    assert better < 0.5 * error


def test_a_learning_rate_that_ruins_a_fit():
    said, error, rmse = fit(learning_rate=30.0, max_epochs=100)
    assert "leave learning_rate at its default 0.006" in said
    now, better_error, better = fit()
    assert "default" not in now
    assert better < 0.5 * rmse
    assert better_error < error


def test_a_bound_that_is_no_limit():
    narrow = Physics(torque, lever=Param(0.5, bounds=(0.0, 1.0)))
    said, error, _ = fit(physics=narrow)
    assert "widen it" in said
    now, better, _ = fit(physics=Physics(torque, lever=Param(0.5, bounds=(0.0, 10.0))))
    assert "bound" not in now
    assert better < 0.2 * error


def test_an_initial_value_at_which_a_parameter_does_nothing():
    def kinked(force, arm, *, lever=-3.0):
        return torch.relu(torch.as_tensor(lever)) * force

    def shown(start):
        physics = Physics(kinked, lever=start)
        return fit(physics=physics, physics_init="given")

    said, error, _ = shown(-3.0)
    assert "Give another initial value" in said
    now, better, _ = shown(1.0)
    assert "never moved" not in now
    assert better < 0.2 * error
