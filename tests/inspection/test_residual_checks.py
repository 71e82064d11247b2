"""What residuals still contain."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.inspection.residual_checks import check_residuals

NAMES = ["a", "b"]


def draw(seed, n_rows=300):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n_rows, 2)), rng.standard_normal(n_rows)


def test_noise_contains_nothing():
    found = [check_residuals(noise, 5.0, X, NAMES) for X, noise in map(draw, range(8))]
    assert sum(each.ordered for each in found) <= 1
    assert sum(each.misfit for each in found) <= 1
    assert found[0].relative == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize("trend", [lambda a: 3.0 * a, lambda a: 3.0 * a**2])
def test_a_trend_is_named(trend):
    X, noise = draw(0)
    found = check_residuals(noise + trend(X[:, 1]), 5.0, X, NAMES)
    assert found.trends == ["b"]
    assert found.predictable > 0.2
    assert found.misfit


def test_an_interaction_is_found_without_a_trend():
    X, noise = draw(1)
    found = check_residuals(noise + 6.0 * X[:, 0] * X[:, 1], 5.0, X, NAMES)
    assert found.trends == []
    assert found.predictable > 0.2


def test_neighbours_that_are_correlated():
    X, noise = draw(2)
    series = np.repeat(np.arange(10), 30)
    smooth = np.convolve(noise, [0.5, 0.5, 0.5], mode="same")
    assert check_residuals(smooth, 1.0, X, NAMES).ordered
    assert check_residuals(smooth, 1.0, X, NAMES, series).ordered
    rough = np.diff(noise, prepend=0.0)
    assert check_residuals(rough, 1.0, X, NAMES).ordered
    found = check_residuals(rough, 1.0, X, NAMES, series)
    assert found.autocorrelation < -0.3
    assert not found.ordered


def test_series_of_two_rows_have_no_order():
    X, noise = draw(3, 40)
    alternating = np.where(np.arange(40) % 2, 1.0, -1.0) + 0.01 * noise
    assert check_residuals(alternating, 1.0, X, NAMES).ordered
    assert not check_residuals(alternating, 1.0, X, NAMES, np.arange(40)).ordered


def test_residuals_of_the_size_of_rounding_are_no_misfit():
    X, noise = draw(0)
    assert not check_residuals(1e-5 * (noise + 3.0 * X[:, 1]), 1.0, X, NAMES).misfit


def test_what_is_the_same_within_a_series_is_no_trend_of_whole_series():
    series = np.repeat(np.arange(8), 30)
    own = np.random.default_rng(0).normal(size=8)[series]
    features = np.stack([series + 0.0, np.tile(np.arange(30.0), 8)], axis=1)
    residuals = own + 0.1 * np.random.default_rng(1).normal(size=len(series))
    within = check_residuals(residuals, 1.0, features, ["a", "b"], series)
    whole = check_residuals(residuals, 1.0, features, ["a", "b"], series, whole_series=True)
    assert within.predictable > 0.9
    assert whole.predictable < within.predictable / 2.0
    one = check_residuals(residuals, 1.0, features, ["a", "b"], 0 * series, whole_series=True)
    assert one.predictable == 0.0
