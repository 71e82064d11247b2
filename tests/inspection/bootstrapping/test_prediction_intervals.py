"""Quantiles over replicates."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.inspection.bootstrapping.prediction_intervals import quantiles, quantiles_of


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_new_value_falls_below_the_k_th_of_r_with_k_over_r_plus_one(rng):
    values = rng.permutation(np.arange(1.0, 40.0))
    assert quantiles(values, [0.025, 0.975]) == pytest.approx([1.0, 39.0])
    assert quantiles(values[:5], [0.0, 1.0]).tolist() == [values[:5].min(), values[:5].max()]


def test_replicates_that_diverge_are_left_out():
    values = np.array([[1.0, 1.0], [2.0, np.nan], [3.0, 3.0]])
    assert quantiles(values, [0.5])[0].tolist() == [2.0, 2.0]


def test_noise_widens_the_interval_by_its_own_spread(rng):
    same = [np.zeros((50, 2))] * 5
    noise = rng.normal(size=(1000, 2)) * [1.0, 3.0]
    low, high = quantiles_of(same, 0.9, noise=noise, rng=rng)
    assert low.shape == high.shape == (50, 2)
    expected = np.quantile(noise, 0.95, axis=0) - np.quantile(noise, 0.05, axis=0)
    assert (high - low).mean(axis=0) == pytest.approx(expected, rel=0.1)
    low, high = quantiles_of(same, 0.9, rng=rng)
    assert np.array_equal(low, high)


def test_trajectories_of_different_lengths_are_lists(rng):
    replicates = [[np.full(3, r), np.full(5, 10.0 * r)] for r in np.arange(1.0, 20.0)]
    low, high = quantiles_of(replicates, 0.9, rng=rng)
    assert [len(each) for each in low] == [3, 5]
    assert high[1] == pytest.approx(np.full(5, 190.0))
