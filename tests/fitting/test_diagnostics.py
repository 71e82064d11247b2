"""Warnings after a fit whose loss became non-finite, or in which one part vanished."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_fits import make_data, make_hybrid
from small_models import make_settings

from skhybrid import HybridRegressor
from skhybrid.exceptions import CollapseWarning, NonFiniteLossWarning
from skhybrid.fitting.diagnostics import MIN_SHARE_ROWS, warn_of_collapse, warn_of_non_finite
from skhybrid.training.explained_variance import ExplainedVariance
from skhybrid.training.result import Status

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 1.0, (100, 2))
Y = np.sqrt(X[:, 0] - 0.05) + 0.1 * X[:, 1]


def root(a, b, *, shift=0.0):
    """Return a root that is defined only while the shift is below the smallest a."""
    return torch.sqrt(a - shift)


def fit(**settings):
    # With this learning rate θ leaves the domain of the root within a few steps.
    settings = {"physics_init": "given", "learning_rate": 0.1, "max_epochs": 60, **settings}
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


def test_a_sound_fit_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error", NonFiniteLossWarning)
        warnings.simplefilter("error", CollapseWarning)
        HybridRegressor(root, nn=(8,), max_epochs=60, random_state=0).fit(X, Y)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (Status.NON_FINITE, "Restart 1: .* in epoch 7, so it stopped there; its last good"),
        (Status.FAILED, "Restart 1: .* in epoch 7, so it was dropped"),
    ],
)
def test_only_the_restarts_that_broke_are_reported(status, message):
    restarts = SimpleNamespace(status=[Status.FINISHED, status], stopped_epoch=[60, 7])
    with pytest.warns(NonFiniteLossWarning, match=message) as caught:
        warn_of_non_finite(SimpleNamespace(restarts=restarts, refinement=None))
    assert len(caught) == 1


# A part that vanished.

DATA = make_data()
VANISHED_NETWORK = ExplainedVariance(physics=0.5, network=1e-8, residual=0.4)
VANISHED_PHYSICS = ExplainedVariance(physics=1e-4, network=0.9, residual=0.1)


def collapse_warnings(explained, *, n_rows=MIN_SHARE_ROWS, hybrid=None, **settings) -> list[str]:
    hybrid = make_hybrid(DATA) if hybrid is None else hybrid
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_collapse(hybrid, explained, n_rows, make_settings(**settings))
    assert all(each.category is CollapseWarning for each in caught)
    return [str(each.message) for each in caught]


def test_a_network_that_vanished_is_reported():
    (message,) = collapse_warnings(VANISHED_NETWORK, rho=0.3, perturbation="global")
    assert "network's part vanished" in message
    assert "1.0e-08 of the target's variance and left 4.0e-01 unexplained" in message
    assert "try a tenth of rho (rho=0.3 may be too large for perturbation='global')" in message
    (message,) = collapse_warnings(VANISHED_NETWORK, rho=0.3, l2=10.0, learning_rate=0.1)
    parts = ("leave learning_rate at its default 0.006", "then try l2=0 (l2=10", "then try a tenth")
    places = [message.find(part) for part in parts]
    assert min(places) > 0
    assert places == sorted(places)
    (message,) = collapse_warnings(VANISHED_NETWORK, optimizer="adam", functional_norm=100.0)
    assert "try functional_norm=0" in message
    assert "rho" not in message


def test_physics_that_vanished_is_reported():
    (message,) = collapse_warnings(VANISHED_PHYSICS, rho=0.3)
    assert "The physics' part vanished: it explained 0.01 %" in message
    assert "rho" not in message
    assert "least_squares" not in message
    (message,) = collapse_warnings(VANISHED_PHYSICS, physics_init="given")
    assert "set physics_init='least_squares'" in message


@pytest.mark.parametrize(
    ("explained", "options"),
    [
        (ExplainedVariance(0.5, 0.4, 0.1), {}),
        (ExplainedVariance(0.5, 1e-8, 1e-6), {}),
        (VANISHED_NETWORK, {"n_rows": MIN_SHARE_ROWS - 1}),
        (VANISHED_NETWORK, {"optimizer": "adam"}),
        (VANISHED_PHYSICS, {"n_rows": MIN_SHARE_ROWS - 1}),
        (VANISHED_PHYSICS, {"hybrid": make_hybrid(DATA, None)}),
        (VANISHED_PHYSICS, {"hybrid": make_hybrid(DATA, lambda time, heat: time)}),
    ],
    ids=["sound", "nothing left", "few rows", "adam", "few rows 2", "no physics", "no parameters"],
)
def test_other_fits_are_not_reported(explained, options):
    assert collapse_warnings(explained, **options) == []
