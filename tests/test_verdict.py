"""What a user is told when a fit has ended badly, at the level of the estimator."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skhybrid import HybridRegressor
from skhybrid.exceptions import CollapseWarning, NonFiniteLossWarning
from skhybrid.fitting.diagnostics import warn_of_non_finite
from skhybrid.training.result import Status

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 1.0, (100, 2))
Y = np.sqrt(X[:, 0] - 0.05) + 0.1 * X[:, 1]


def root(a, b, *, shift=0.0):
    """Defined only while the shift stays below the smallest a."""
    return torch.sqrt(a - shift)


def fit(**settings):
    # So large a rate for θ leaves the domain of the root within a few steps.
    settings = {"physics_init": "given", "learning_rate": 0.05, "max_epochs": 60, **settings}
    return HybridRegressor(root, nn=(8,), random_state=0, **settings).fit(X, Y)


def test_a_fit_that_leaves_the_domain_keeps_its_last_good_parameters():
    with pytest.warns(NonFiniteLossWarning, match=r"Restart 0: .* in epoch \d+, .* were restored"):
        model = fit()
    assert np.isfinite(model.predict(X)).all()
    assert model.physics_params_["shift"] < X[:, 0].min()
    assert model.n_iter_ < 60
    assert "restored" in model.restarts_[0]["status"]


def test_a_restart_that_survived_is_preferred():
    with pytest.warns(NonFiniteLossWarning):
        model = fit(n_restarts=6, learning_rate=0.03)
    survivors = [r for r in model.restarts_ if r["n_iter"] == 60]
    assert 0 < len(survivors) < 6
    assert model.physics_params_ in [r["physics_params"] for r in survivors]


def test_a_refinement_that_breaks_is_reported():
    fine = SimpleNamespace(status=[Status.FINISHED], stopped_epoch=[60])
    broken = SimpleNamespace(status=[Status.NON_FINITE] + 5 * [Status.FINISHED], stopped_epoch=[7])
    with pytest.warns(NonFiniteLossWarning, match="Refinement: .* in epoch 7, .* were restored"):
        warn_of_non_finite(SimpleNamespace(restarts=fine, refinement=broken))


def test_a_sound_fit_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error", NonFiniteLossWarning)
        warnings.simplefilter("error", CollapseWarning)
        HybridRegressor(root, nn=(8,), max_epochs=60, random_state=0).fit(X, Y)
