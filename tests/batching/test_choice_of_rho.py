"""rho="auto" on laws that need a network, and with training that is too short."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from skhybrid import HybridRegressor, Physics
from skhybrid.batching import auto_parameters
from skhybrid.exceptions import CollapseWarning, PoorFitWarning, ShortTrainingWarning
from skhybrid.inspection import physics_path


def spring(stretch, speed, *, stiffness=0.5):
    return -stiffness * stretch


def make_softening(seed):
    """Return forces of a spring that softens: the linear law leaves much to the network."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"stretch": rng.uniform(-2.5, 2.5, 200), "speed": rng.uniform(-2, 2, 200)})
    force = -30.0 * np.sin(X["stretch"]) - 2.0 * X["speed"] + 0.5 * rng.normal(size=200)
    return X, force.to_numpy()


@pytest.mark.parametrize("seed", [1])
def test_a_radius_at_which_the_physics_stands_alone_is_not_chosen(seed, monkeypatch):
    monkeypatch.setattr(auto_parameters, "RADII", (0.0, 0.01, 0.2))
    X, y = make_softening(seed)
    model = HybridRegressor(
        spring, nn=(16, 16), rho="auto", refine_rho=None, max_epochs=100, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        warnings.simplefilter("error", PoorFitWarning)
        model.fit(X, y)
    path = model.rho_path_
    assert np.argmin(path["spread of stiffness"]) == 2, "the most reproducible radius"
    assert path["physics share"][2] > 0.99
    assert path["worse than best"][2] > 3 * path["standard error"][2]
    assert path["admissible"][0]
    assert not path["admissible"][2]
    assert model.rho_ < 0.2
    assert model.score(X, y) > 0.95


def make_short(max_epochs, seed):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"stretch": rng.uniform(-2, 2, 150), "speed": rng.uniform(-1, 1, 150)})
    y = -3.0 * X["stretch"] - X["speed"] ** 3 + 0.05 * rng.normal(size=150)
    model = HybridRegressor(
        Physics(spring, stiffness=0.3),
        nn=(16,),
        physics_init="given",
        max_epochs=max_epochs,
        random_state=seed,
    )
    return model, X, y.to_numpy()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_theta_on_its_way_is_no_plateau(seed):
    options = {"param_range": [0.05, 0.2], "cv": 3, "n_restarts": 1}
    with pytest.warns(ShortTrainingWarning, match=r"'stiffness' ended at .* increase max_epochs"):
        path = physics_path(*make_short(15, seed), **options)
    assert not path.plateau.any()
    assert not path.settled.any()
    assert path.physics_params["stiffness"].mean() < 2.7, "the truth is 3"
    model, X, y = make_short(60, seed)
    model.set_params(physics_init="least_squares")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ShortTrainingWarning)
        nearer = physics_path(model, X, y, **options)
    assert nearer.plateau.any()
    assert abs(nearer.physics_params["stiffness"].mean() - 3.0) < 0.3


def test_the_range_goes_on_if_its_largest_value_is_chosen(monkeypatch):
    monkeypatch.setattr(auto_parameters, "PENALTIES", {"l2": (0.0, 1e-9, 1e-8)})
    model, X, y = make_short(5, 0)
    path = model.set_params(l2="auto", refine_rho=None).fit(X, y).l2_path_
    assert path["l2"].tolist() == pytest.approx([0.0, 1e-9, 1e-8, 1e-7, 1e-6])
    assert path["chosen"].sum() == 1
    monkeypatch.setattr(auto_parameters, "PENALTIES", {"l2": (0.0, 1e-3, 1.0)})
    model, X, y = make_short(30, 0)
    path = model.set_params(l2="auto", refine_rho=None).fit(X, y).l2_path_
    assert path["l2"].tolist() == [0.0, 1e-3, 1.0]
