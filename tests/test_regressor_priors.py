"""Priors of the estimator's physics parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from small_waves import FEW, make_waves, wave

from skhybrid import ODE, HybridRegressor, HybridSearchCV, Param, Physics
from skhybrid.inspection import profile
from skhybrid.inspection.fixed_parameters import holding, start_at


def line(a, b, *, k=1.0, c=0.0):
    return k * a + c * b


@pytest.fixture(scope="module")
def table():
    return make_waves(80, 0.1)[:2]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_posterior_is_that_of_bayesian_linear_regression(weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    weight = rng.uniform(0.2, 3.0, 30) if weighted else np.ones(30)
    y = 2.0 * X[:, 0] - X[:, 1] + 0.5 * rng.normal(size=30) / np.sqrt(weight)
    physics = Physics(line, k=Param(1.0, prior=(1.0, 0.1)), c=Param(0.0, prior=(0.5, 0.2)))
    model = HybridRegressor(physics, nn=None).fit(X, y, 7.0 * weight if weighted else None)
    # Weights are relative: the scale of the noise comes from a fit without priors.
    W = np.diag(weight)
    free = np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
    variance = (weight * (y - X @ free) ** 2).sum() / 28
    precision = X.T @ W @ X / variance + np.diag([1 / 0.1**2, 1 / 0.2**2])
    mean = np.linalg.solve(precision, X.T @ W @ y / variance + [1.0 / 0.1**2, 0.5 / 0.2**2])
    std = np.sqrt(np.diagonal(np.linalg.inv(precision)))
    assert [*model.physics_params_.values()] == pytest.approx(mean.tolist(), rel=1e-6)
    assert [*model.physics_params_std_.values()] == pytest.approx(std.tolist(), rel=1e-6)
    text = str(model.summary())
    assert "standard deviation of the posterior" in text
    assert "Priors: k 1 ± 0.1, c 0.5 ± 0.2." in text


@pytest.mark.parametrize("nn", [None, (8,)])
@pytest.mark.parametrize("structure", ["additive", "multiplicative"])
def test_a_weak_prior_changes_nothing_and_a_strong_one_holds(table, nn, structure):
    def fit(**priors):
        physics = Physics(wave, **{name: Param(1.0, prior=each) for name, each in priors.items()})
        model = HybridRegressor(physics, structure=structure, **{**FEW, "nn": nn})
        return model.fit(*table).physics_params_

    free = fit(gain=None, level=None)
    assert fit(gain=(0.5, 1e9), level=(3.0, 1e9)) == pytest.approx(free, rel=1e-5)
    held = fit(gain=(1.1, 1e-7), level=(0.3, 1e-7))
    assert held == pytest.approx({"gain": 1.1, "level": 0.3}, abs=1e-5)


def test_a_lognormal_prior_is_normal_in_the_logarithm():
    rng = np.random.default_rng(0)
    t = rng.uniform(0.0, 2.0, 40)[:, None]
    y = np.exp(-0.7 * t[:, 0]) + 0.1 * rng.normal(size=40)

    def decay(t, *, rate=1.0):
        return torch.exp(-rate * t)

    def log_decay(t, *, log_rate=0.0):
        return torch.exp(-torch.exp(log_rate) * t)

    prior = Param(1.0, bounds=(0.0, None), prior=("lognormal", 1.2, 1.1))
    found = HybridRegressor(Physics(decay, rate=prior), nn=None).fit(t, y)
    same = Physics(log_decay, log_rate=Param(0.0, prior=(np.log(1.2), np.log(1.1))))
    same = HybridRegressor(same, nn=None).fit(t, y)
    rate = found.physics_params_["rate"]
    assert np.log(rate) == pytest.approx(same.physics_params_["log_rate"], rel=1e-5)
    expected = rate * same.physics_params_std_["log_rate"]
    assert found.physics_params_std_["rate"] == pytest.approx(expected, rel=1e-5)


def test_a_prior_fixes_what_the_data_leave_open(recwarn):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))

    def product(a, b, *, k=1.0, c=2.0):
        return k * c * a

    physics = Physics(product, c=Param(2.0, prior=(2.0, 0.1)))
    model = HybridRegressor(physics, nn=None).fit(X, 3.0 * X[:, 0] + 0.1 * rng.normal(size=40))
    assert model.physics_params_ == pytest.approx({"k": 1.5, "c": 2.0}, rel=0.02)
    assert model.physics_params_std_["c"] == pytest.approx(0.1, rel=1e-3)
    assert not [each for each in recwarn if "act only together" in str(each.message)]


def test_the_mean_of_the_network_and_an_offset_share_by_their_priors(table):
    levels = [
        HybridRegressor(
            Physics(wave, level=Param(0.1, prior=None if std is None else (2.0, std))),
            **{**FEW, "max_epochs": 40},
        )
        .fit(*table)
        .physics_params_["level"]
        for std in (None, 1e6, 1.0, 0.01)
    ]
    assert levels[1] == pytest.approx(levels[0], abs=1e-4)
    assert levels[0] + 0.2 < levels[2] < levels[3] - 0.2
    assert levels[3] == pytest.approx(2.0, abs=0.02)


@pytest.mark.parametrize("options", [{"optimizer": "adam"}, {"n_restarts": 2}, {"perturb": "all"}])
def test_a_strong_prior_holds_in_all_ways_of_training(table, options):
    physics = Physics(wave, gain=Param(1.0, prior=(1.1, 1e-5)))
    model = HybridRegressor(physics, **FEW, **options).fit(*table)
    assert model.physics_params_["gain"] == pytest.approx(1.1, abs=1e-3)


def test_a_batched_search_over_priors_is_a_grid_search(table):
    X, y = table
    priors = [
        Param(1.0, prior=(1.0, 0.01)),
        Param(1.0, prior=(1.0, 10.0)),
        Param(1.0, bounds=(0.0, None), prior=("lognormal", 1.0, 1.01)),
        Param(1.0),
    ]
    model = HybridRegressor(Physics(wave), **{**FEW, "max_epochs": 4}, refine_rho=None)
    one, other = (
        search(model, {"physics__gain": priors}, cv=2).fit(X, y).cv_results_["mean_test_score"]
        for search in (HybridSearchCV, GridSearchCV)
    )
    np.testing.assert_allclose(one, other, rtol=1e-4)
    assert one[0] != pytest.approx(one[3], rel=1e-3)


def test_copies_in_windows_do_not_count():
    """A posterior on overlapping windows counts each observation once."""

    def cooling(t, state, *, rate=1.0):
        return -rate * state

    rng = np.random.default_rng(0)
    first = rng.uniform(1.0, 2.0, (8, 1))
    y = first[:, None] * np.exp(-0.7 * 0.2 * np.arange(12))[:, None]
    y = y + 0.02 * rng.normal(size=y.shape)
    physics = Physics(cooling, rate=Param(1.0, prior=(1.0, 0.02)))
    model = HybridRegressor(physics, nn=None, structure=ODE(dt=0.2, window=3)).fit(first, y)
    fit = model._fitted
    assert fit.n_rows * 3 > 8 * 11
    assert 0.7 < model.physics_params_["rate"] < 1.0


def test_the_f_test_knows_no_priors(table):
    physics = Physics(wave, gain=Param(1.0, prior=(1.0, 0.1)))
    found = profile(HybridRegressor(physics, nn=None), *table, "gain", grid=[1.2, 1.3])
    assert found.interval is None
    assert "priors" in found.reason


def test_the_summary_of_a_hybrid_shows_priors(table):
    gain = Param(1.0, bounds=(0, None), prior=("lognormal", 1.0, 1.5))
    text = str(HybridRegressor(Physics(wave, gain=gain), **FEW).fit(*table).summary())
    assert "Priors: gain 1 ×/÷ 1.5." in text


def test_a_held_parameter_is_not_moved_by_its_prior(table):
    gain = Param(1.0, prior=(0.5, 0.01))
    model = HybridRegressor(Physics(wave, gain=gain), **{**FEW, "max_epochs": 2})
    held = holding(model, ["gain"])
    held.set_params(**start_at(held, {"gain": 1.2}), physics_init="given").fit(*table)
    assert held.physics_params_["gain"] == pytest.approx(1.2, rel=1e-6)


@pytest.mark.parametrize("loss", ["huber", "absolute_error"])
def test_outliers_do_not_make_a_prior_stronger(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    y = 2.0 * X[:, 0] + 0.1 * rng.normal(size=100)
    outlying = y.copy()
    outlying[:8] += 1e3
    physics = Physics(line, k=Param(1.0, prior=(1.0, 0.01)))
    for nn in (None, (4,)):
        model = HybridRegressor(physics, **{**FEW, "nn": nn, "loss": loss})
        before, after = (model.fit(X, each).physics_params_["k"] for each in (y, outlying))
        assert 1.05 < before < 1.9
        assert after == pytest.approx(before, abs=0.1)


@pytest.mark.parametrize("prior", [(1.3, 0.01), ("lognormal", 1.3, 1.01)])
def test_training_reaches_a_prior_from_far_initial_values(table, prior):
    physics = Physics(wave, gain=Param(50.0, bounds=(0.0, None), prior=prior))
    options = {**FEW, "physics_init": "given"}
    found = HybridRegressor(physics, **options).fit(*table).physics_params_["gain"]
    assert found == pytest.approx(1.3, abs=0.04)
    held = HybridRegressor(physics, physics_learning_rate=0.0, **options).fit(*table)
    assert held.physics_params_["gain"] == pytest.approx(50.0)
