"""Robust losses of the estimator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from small_waves import FEW, make_waves, wave

from skhybrid import ODE, HybridRegressor, HybridSearchCV
from skhybrid.inspection import profile

ROBUST = ["huber", "absolute_error"]


@pytest.fixture(scope="module")
def table():
    """Return X, y, and y with outliers in a tenth of the rows."""
    X, y, rng = make_waves(120, 0.05)
    outlying = y.copy()
    outlying[np.argsort(-X[:, 0])[:12]] += rng.uniform(10, 20, 12)
    return X, y, outlying


@pytest.mark.parametrize("nn", [None, (8,)])
@pytest.mark.parametrize("loss", ROBUST)
def test_outliers_move_theta_less_than_a_tenth(table, nn, loss):
    X, y, outlying = table

    def moved(loss):
        fits = [
            HybridRegressor(wave, loss=loss, **{**FEW, "nn": nn, "max_epochs": 40}).fit(X, each)
            for each in (y, outlying)
        ]
        before, after = (fit.physics_params_["gain"] for fit in fits)
        return abs(after - before)

    assert moved(loss) < 0.1 * moved("squared_error")


@pytest.mark.parametrize("options", [{}, {"n_restarts": 2}, {"functional_norm": 0.1}])
@pytest.mark.parametrize("loss", ROBUST)
def test_rows_without_weight_do_not_count(table, loss, options):
    X, y, outlying = table
    weight = (np.abs(y - outlying) == 0.0).astype(float)
    model = HybridRegressor(wave, loss=loss, **FEW, **options)
    some = dict(model.fit(X, outlying, weight).physics_params_)
    kept = weight > 0.0
    assert some == pytest.approx(model.fit(X[kept], y[kept]).physics_params_, rel=1e-4)


@pytest.mark.parametrize("nn", [None, (8,)])
@pytest.mark.parametrize("loss", ROBUST)
def test_units_of_targets_do_not_matter(table, loss, nn):
    X, y, outlying = table

    def both(angle, wind, *, gain=1.0):
        known = gain * torch.sin(angle)
        return torch.stack([known, 1e4 * known], dim=-1)

    def one(angle, wind, *, gain=1.0):
        known = gain * torch.sin(angle)
        return torch.stack([known, known], dim=-1)

    Y = np.column_stack([y, outlying])
    Y[3, 0] = np.nan
    options = {**FEW, "nn": nn, "loss": loss, "missing_targets": "mask"}
    scaled = HybridRegressor(both, **options).fit(X, Y * [1.0, 1e4])
    same = HybridRegressor(one, **options).fit(X, Y)
    assert scaled.physics_params_ == pytest.approx(same.physics_params_, rel=1e-3)
    assert scaled.loss_ == pytest.approx(same.loss_, rel=1e-2)


def test_a_batched_search_over_losses_is_a_grid_search(table):
    X, y, _ = table
    grid = {"loss": ["squared_error", *ROBUST], "huber_delta": [1.0, 2.0]}
    model = HybridRegressor(wave, **{**FEW, "max_epochs": 2}, refine_rho=None)
    one, other = (
        search(model, grid, cv=2).fit(X, y).cv_results_["mean_test_score"]
        for search in (HybridSearchCV, GridSearchCV)
    )
    np.testing.assert_allclose(one, other, rtol=1e-4)
    assert one[0] == one[3]  # delta is for Huber's loss alone
    assert len(set(one.round(6))) == 4


def test_the_default_loss_is_the_mean_squared_error(table):
    X, y, _ = table
    model = HybridRegressor(wave, **FEW).fit(X, y)
    expected = np.mean((model.predict(X) - y) ** 2) / y.var()
    assert model.loss_ == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("loss", "huberr"), ("loss", None), ("huber_delta", 0.0), ("huber_delta", 1e-300)],
)
def test_wrong_values_are_named(table, parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter"):
        HybridRegressor(wave, **{parameter: value}).fit(*table[:2])


@pytest.mark.parametrize("loss", ROBUST)
def test_standard_errors_are_those_of_the_loss(loss):
    """The spread over samples of heavy-tailed noise is what a single fit says."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-2.0, 2.0, (100, 2))
    found, claimed = [], []
    for _ in range(25):
        y = np.sin(X[:, 0]) + 0.1 * rng.standard_t(2.5, size=100)
        model = HybridRegressor(wave, nn=None, loss=loss).fit(X, y)
        found.append(model.physics_params_["gain"])
        claimed.append(model.physics_params_std_["gain"])
    assert np.mean(claimed) == pytest.approx(np.std(found, ddof=1), rel=0.4)


def test_the_f_test_is_for_squared_errors(table):
    X, y, _ = table
    found = profile(HybridRegressor(wave, nn=None, loss="huber"), X, y, "gain", grid=[1.2, 1.3])
    assert found.interval is None
    assert "loss='huber'" in found.reason


def test_the_summary_names_the_loss(table):
    X, y, _ = table
    text = str(HybridRegressor(wave, nn=None, loss="huber").fit(X, y).summary())
    assert "(loss='huber' in units of the target's variance)" in text
    assert "R²" not in text


@pytest.mark.parametrize("loss", ROBUST)
def test_trajectories_with_missing_values_and_outliers(loss):
    def cooling(t, state, *, rate=1.0):
        return -rate * state

    rng = np.random.default_rng(0)
    first = rng.uniform(1.0, 2.0, (8, 1))
    y = first[:, None] * np.exp(-0.7 * 0.2 * np.arange(12))[:, None]
    y = y + 0.01 * rng.normal(size=y.shape)
    y[0, 3], y[1, 5] = np.nan, 30.0
    model = HybridRegressor(
        cooling,
        nn=(4,),
        structure=ODE(dt=0.2),
        loss=loss,
        missing_targets="mask",
        max_epochs=4,
        random_state=0,
    )
    assert model.fit(first, y).physics_params_["rate"] == pytest.approx(0.7, abs=0.07)
    model.set_params(nn=None)
    assert model.fit(first, y).physics_params_["rate"] == pytest.approx(0.7, abs=0.05)


def test_weights_from_standard_deviations_are_those_of_scaled_rows():
    """The recipe of the guide: sample_weight = 1 / sigma², here against whitened least squares."""
    rng = np.random.default_rng(0)
    x, sigma = rng.uniform(0.0, 3.0, 50), rng.uniform(0.05, 0.5, 50)

    def line(x, *, slope=1.0, level=0.0):
        return slope * x + level

    y = 2.0 * x - 1.0 + sigma * rng.normal(size=50)
    model = HybridRegressor(line, nn=None).fit(x[:, None], y, sample_weight=1.0 / sigma**2)
    design = np.column_stack([x, np.ones(50)]) / sigma[:, None]
    expected = np.linalg.lstsq(design, y / sigma)[0]
    assert [*model.physics_params_.values()] == pytest.approx(expected.tolist(), rel=1e-8)


def test_multiplicative_noise_is_additive_in_logarithms():
    """The recipe of the guide: physics and target in logarithms."""
    rng = np.random.default_rng(0)
    t = rng.uniform(0.0, 3.0, 80)
    y = 50.0 * np.exp(-1.2 * t + 0.1 * rng.normal(size=80))

    def log_decay(t, *, height=10.0, rate=1.0):
        return torch.log(height) - rate * t

    model = TransformedTargetRegressor(
        HybridRegressor(log_decay, nn=None), func=np.log, inverse_func=np.exp
    ).fit(t[:, None], y)
    params = model.regressor_.physics_params_
    assert params["height"] == pytest.approx(50.0, rel=0.05)
    assert params["rate"] == pytest.approx(1.2, rel=0.03)
    assert model.predict([[0.0]]) == pytest.approx(params["height"], rel=1e-6)
