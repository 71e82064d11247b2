"""Scales of the target and of the network's inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_rows import make_rows
from torch.testing import assert_close

from skhybrid.data.missing_targets import mask_missing
from skhybrid.data.rows import Rows
from skhybrid.data.scaling import (
    input_scales,
    record_network_inputs,
    robust_moments,
    robust_square,
    target_scales,
    weighted_median,
)
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.structures import get_structure

NAN = np.nan


def test_target_scales_are_mean_and_standard_deviation():
    rows = make_rows(50, n_targets=2)
    scales = target_scales(rows)
    np.testing.assert_allclose(scales.target_mean, rows.y.mean(axis=0))
    np.testing.assert_allclose(scales.target_scale, rows.y.std(axis=0))
    assert scales.target_scale.dtype == torch.float64
    assert (scales.feature_offset, scales.feature_factor) == (0.0, 1.0)


def test_integer_weights_equal_repeated_rows():
    weight = np.array([1.0, 2.0, 3.0, 1.0, 1.0, 2.0])
    rows = make_rows()
    repeated = np.repeat(np.arange(6), weight.astype(int))
    long = mask_missing(rows.x[repeated], rows.y[repeated], None)
    short = mask_missing(rows.x, rows.y, weight)
    for first, second in (
        (target_scales(short), target_scales(long)),
        (
            input_scales(torch.tensor(short.x), target_scales(short), short),
            input_scales(torch.tensor(long.x), target_scales(long), long),
        ),
    ):
        for name, value in vars(first).items():
            assert_close(value, getattr(second, name), msg=name)


def test_missing_targets_do_not_change_the_target_scales():
    y = np.array([[1.0, 5.0], [3.0, NAN], [NAN, 9.0]])
    scales = target_scales(mask_missing(np.eye(3), y, None))
    assert scales.target_mean.tolist() == [2.0, 7.0]
    assert scales.target_scale.tolist() == [1.0, 2.0]


def test_robust_scales_of_the_target_ignore_outliers():
    rows = make_rows(200, n_targets=2)
    outlying = make_rows(200, n_targets=2)
    outlying.y[:20] = 1e6
    before, after = (target_scales(each, robust=True) for each in (rows, outlying))
    assert_close(before.target_scale, target_scales(rows).target_scale, rtol=0.25, atol=0.0)
    assert_close(after.target_scale, before.target_scale, rtol=0.5, atol=0.0)
    assert float(target_scales(outlying).target_scale.min()) > 1e5


def test_robust_moments_of_repeated_values_and_constants():
    values = np.array([[0.0, 3.0], [0.0, 3.0], [0.0, 3.0], [1.0, 3.0]])
    median, spread = robust_moments(values, None)
    np.testing.assert_array_equal(median, [0.0, 3.0])
    np.testing.assert_allclose(spread, [values[:, 0].std(), 1.0])


def test_the_weighted_median_counts_weights_as_repeated_rows():
    values = np.random.default_rng(0).normal(size=(30, 2))
    counts = np.arange(30) % 4
    weight = np.broadcast_to(counts[:, None], values.shape).astype(float)
    repeated = np.repeat(values, counts, axis=0)
    np.testing.assert_array_equal(weighted_median(values, weight), weighted_median(repeated, None))


def test_the_robust_square_is_that_of_normal_numbers():
    numbers = np.random.default_rng(0).normal(size=(4001, 1))
    square, mean = robust_square(4.0 * numbers**2, None)
    np.testing.assert_allclose(square, mean, rtol=0.1)
    numbers[:400] = 1e3
    assert robust_square(4.0 * numbers**2, None)[0] < 6.0
    assert robust_square(np.array([[0.0], [0.0], [3.0]]), None)[0] == 1.0


def test_inputs_are_standardised_and_their_range_is_kept():
    rows = make_rows(40)
    x = torch.tensor(rows.x)
    scales = input_scales(x, target_scales(rows), rows)
    standard = scales.feature_offset + scales.feature_factor * x
    assert_close(standard.mean(dim=0), torch.zeros(3, dtype=torch.float64))
    assert_close(standard.std(dim=0, correction=0), torch.ones(3, dtype=torch.float64))
    assert_close(scales.feature_low, standard.amin(dim=0))
    assert_close(scales.feature_high, standard.amax(dim=0))


@pytest.mark.parametrize("n_rows", [1, 1000, 200_000])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("value", [0.0, 0.1, -273.15, 1e5 + 0.1, 1e-200])
def test_constant_columns_have_standard_deviation_one(value, weighted, n_rows):
    """Rounding in the mean of many rows must not count as a standard deviation."""
    random_state = np.random.RandomState(0)
    weight = random_state.uniform(0.5, 2.0, size=n_rows) if weighted else None
    rows = mask_missing(np.full((n_rows, 2), value), np.full((n_rows, 2), value), weight)
    assert target_scales(rows).target_scale.tolist() == [1.0, 1.0]
    scales = input_scales(torch.tensor(rows.x), target_scales(rows), rows)
    assert scales.feature_factor.tolist() == [1.0, 1.0]
    assert float(scales.feature_high.abs().max()) <= 1e-14 * abs(value)


def test_small_standard_deviation_of_values_with_a_large_mean_is_kept():
    y = 1e6 + 1e-4 * np.array([-1.0, 1.0] * 500)
    scale = target_scales(mask_missing(np.zeros((1000, 1)), y, None)).target_scale
    assert float(scale) == pytest.approx(1e-4, rel=1e-5)


def line(a, b, *, gain=2.0):
    return gain * a


def make_hybrid(structure) -> Hybrid:
    rows = make_rows(4)
    physics = Physics(line)
    return Hybrid(
        physics,
        ParameterSpace(physics),
        None,
        get_structure(structure),
        target_scales(rows),
        physics_columns=(0, 1),
    )


def test_recorded_inputs_are_the_features_and_the_inputs_that_the_structure_adds():
    x = torch.tensor(make_rows(4).x)
    coordinates = {"gain": torch.zeros((), dtype=torch.float64)}
    assert_close(record_network_inputs(make_hybrid("additive"), x, coordinates), x)
    expected = torch.cat([x, 2.0 * x[:, :1]], dim=1)
    assert_close(record_network_inputs(make_hybrid("serial"), x, coordinates), expected)


def test_first_call_of_the_network_is_recorded():
    def twice(x, physics, nn):
        return physics(x) + nn(x) * nn(-x)

    x = torch.tensor(make_rows(4).x)
    coordinates = {"gain": torch.zeros((), dtype=torch.float64)}
    assert_close(record_network_inputs(make_hybrid(twice), x, coordinates), x)


def test_structure_that_never_calls_the_network_raises_an_error():
    hybrid = make_hybrid(lambda x, physics, nn: physics(x))
    with pytest.raises(ValueError, match=r"structure never calls nn.*set nn=None"):
        record_network_inputs(
            hybrid,
            torch.tensor(make_rows(4).x),
            {"gain": torch.zeros((), dtype=torch.float64)},
        )


def test_constant_inputs_have_the_units_that_are_given():
    columns = torch.tensor([[5.0, 1.0, 7.0], [5.0, 3.0, 7.0]])
    rows = Rows(columns.numpy(), np.zeros(2), None)
    scales = target_scales(Rows(columns.numpy(), np.array([0.0, 2.0]), None))
    found = input_scales(columns, scales, rows, units=[2.0, 50.0])
    assert_close(found.feature_factor, torch.tensor([0.5, 1.0, 1.0]).double())
    assert_close(found.feature_offset, torch.tensor([-2.5, -2.0, -7.0]).double())


def test_inputs_that_hardly_vary_have_their_units_where_least_says_so():
    rows = make_rows()
    values = np.array([3.0, 3.0, 7.0]) + np.outer(np.arange(len(rows)), [1e-6, 1e-6, 1e-6])
    scales = target_scales(rows)
    found = input_scales(
        torch.tensor(values), scales, rows, units=[2.0, 2.0, 50.0], least=[0.2, 0.0]
    )
    factors = 1.0 / found.feature_factor.numpy()
    np.testing.assert_allclose(factors, [2.0, *values[:, 1:].std(axis=0)])
