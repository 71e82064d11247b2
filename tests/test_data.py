"""Rows and scales: weights, missing targets, splitting, standardising."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skhybrid.data.rows import Rows
from skhybrid.data.scaling import input_scales, record_network_inputs, target_scales
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.model.structures import get_structure

NAN = np.nan


def make_rows(n_rows: int = 6, *, weight=None, n_targets: int | None = None) -> Rows:
    random_state = np.random.RandomState(0)
    x = random_state.normal(5.0, 2.0, size=(n_rows, 3))
    y = random_state.normal(-3.0, 0.5, size=(n_rows,) if n_targets is None else (n_rows, n_targets))
    return Rows.of(x, y, weight)


# Rows


def test_plain_rows_need_no_weight():
    rows = make_rows()
    assert rows.weight is None
    assert make_rows(weight=np.full(6, 3.0)).weight is None


def test_weights_have_mean_one_and_zero_ones_are_left_out():
    x, y = np.arange(8.0).reshape(4, 2), np.arange(4.0)
    rows = Rows.of(x, y, np.array([1.0, 0.0, 2.0, 6.0]))
    np.testing.assert_array_equal(rows.x, x[[0, 2, 3]])
    np.testing.assert_array_equal(rows.y, y[[0, 2, 3]])
    np.testing.assert_allclose(rows.weight, [1 / 3, 2 / 3, 2.0])


def test_equal_weights_beside_zeros_need_none():
    rows = Rows.of(np.eye(3), np.arange(3.0), np.array([2.0, 0.0, 2.0]))
    assert rows.weight is None
    assert rows.y.tolist() == [0.0, 2.0]


def test_missing_targets_are_zero_and_have_no_weight():
    y = np.array([[1.0, NAN], [2.0, 3.0], [NAN, 4.0]])
    rows = Rows.of(np.eye(3), y, None)
    np.testing.assert_array_equal(rows.y, [[1.0, 0.0], [2.0, 3.0], [0.0, 4.0]])
    np.testing.assert_allclose(rows.weight, [[1.5, 0.0], [1.5, 1.5], [0.0, 1.5]])
    assert np.isnan(y[0, 1])


def test_missing_targets_and_weights_multiply():
    y = np.array([[1.0, NAN], [2.0, 3.0], [4.0, 5.0]])
    rows = Rows.of(np.eye(3), y, np.array([1.0, 2.0, 2.0]))
    np.testing.assert_allclose(rows.weight, np.array([[1, 0], [2, 2], [2, 2]]) / 1.5)


def test_a_row_without_any_target_is_left_out():
    rows = Rows.of(np.eye(3), np.array([1.0, NAN, 2.0]), np.array([1.0, 5.0, 3.0]))
    np.testing.assert_array_equal(rows.x, np.eye(3)[[0, 2]])
    np.testing.assert_array_equal(rows.y, [1.0, 2.0])
    np.testing.assert_allclose(rows.weight, [0.5, 1.5])


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        ([1.0, 2.0], [1.0, -0.5], "sample_weight must not be negative; its smallest is -0.5"),
        ([1.0, 2.0], [0.0, 0.0], "sample_weight is zero for every row"),
        ([NAN, NAN], None, "Every target is missing"),
        ([NAN, 2.0], [1.0, 0.0], "Every target is missing"),
        ([[1.0, NAN], [2.0, NAN]], None, "Target column 1 is missing in every row"),
        ([[1.0, NAN], [2.0, 3.0]], [1.0, 0.0], "Target column 1 is missing in every row"),
    ],
)
def test_nothing_to_fit_is_refused(y, weight, message):
    weight = None if weight is None else np.array(weight)
    with pytest.raises(ValueError, match=message):
        Rows.of(np.eye(2), np.array(y), weight)


def test_taken_rows_have_weights_of_mean_one():
    rows = make_rows(4, weight=np.array([1.0, 2.0, 3.0, 4.0]))
    taken = rows.select(np.array([0, 3]))
    np.testing.assert_array_equal(taken.x, rows.x[[0, 3]])
    np.testing.assert_array_equal(taken.y, rows.y[[0, 3]])
    np.testing.assert_allclose(taken.weight, [0.4, 1.6])


def test_split_is_a_partition_in_order_and_reproducible():
    rows = make_rows(20, weight=np.arange(1.0, 21.0))
    training, validation = rows.split(0.25, seed=0)
    assert (len(training.x), len(validation.x)) == (15, 5)
    both = np.concatenate([training.y, validation.y])
    assert sorted(both) == sorted(rows.y)
    position = [rows.y.tolist().index(value) for value in training.y]
    assert position == sorted(position)
    assert training.weight.mean() == pytest.approx(1.0)
    assert validation.weight.mean() == pytest.approx(1.0)
    again, _ = rows.split(0.25, seed=0)
    other, _ = rows.split(0.25, seed=1)
    np.testing.assert_array_equal(again.y, training.y)
    assert not np.array_equal(other.y, training.y)


def test_every_gives_evenly_spaced_rows():
    rows = make_rows(101)
    assert rows.every(101) is rows
    np.testing.assert_array_equal(rows.every(5).y, rows.y[[0, 25, 50, 75, 100]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_have_the_dtype(dtype):
    batch = make_rows(weight=np.arange(1.0, 7.0)).tensors(dtype, "cpu")
    assert {value.dtype for value in batch} == {dtype}
    assert make_rows().tensors(dtype, "cpu").weight is None


def test_tensors_are_copies():
    rows = make_rows()
    before = rows.x.copy()
    rows.tensors(torch.float64, "cpu").x.mul_(2.0)
    np.testing.assert_array_equal(rows.x, before)


@pytest.mark.parametrize("name", ["X", "y"])
def test_values_beyond_the_dtype_are_refused(name):
    rows = make_rows()
    (rows.x if name == "X" else rows.y)[2] = -1e39
    with pytest.raises(ValueError, match=rf"{name} has values beyond 3.4e\+38.*dtype='float64'"):
        rows.tensors(torch.float32, "cpu")
    assert torch.isfinite(rows.tensors(torch.float64, "cpu").x).all()


# Scales


def test_target_scales_are_mean_and_spread():
    rows = make_rows(50, n_targets=2)
    scales = target_scales(rows)
    np.testing.assert_allclose(scales.target_mean, rows.y.mean(axis=0))
    np.testing.assert_allclose(scales.target_scale, rows.y.std(axis=0))
    assert scales.target_scale.dtype == torch.float64
    assert (scales.feature_offset, scales.feature_factor) == (0.0, 1.0)


def test_integer_weights_are_repetitions():
    weight = np.array([1.0, 2.0, 3.0, 1.0, 1.0, 2.0])
    rows = make_rows()
    repeated = np.repeat(np.arange(6), weight.astype(int))
    long = Rows.of(rows.x[repeated], rows.y[repeated], None)
    short = Rows.of(rows.x, rows.y, weight)
    for first, second in (
        (target_scales(short), target_scales(long)),
        (
            input_scales(torch.tensor(short.x), target_scales(short), short),
            input_scales(torch.tensor(long.x), target_scales(long), long),
        ),
    ):
        for name, value in vars(first).items():
            assert_close(value, getattr(second, name), msg=name)


def test_missing_targets_do_not_move_the_target_scale():
    y = np.array([[1.0, 5.0], [3.0, NAN], [NAN, 9.0]])
    scales = target_scales(Rows.of(np.eye(3), y, None))
    assert scales.target_mean.tolist() == [2.0, 7.0]
    assert scales.target_scale.tolist() == [1.0, 2.0]


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
def test_constant_columns_have_spread_one(value, weighted, n_rows):
    """Rounding in the mean of many rows must not pass for a spread."""
    random_state = np.random.RandomState(0)
    weight = random_state.uniform(0.5, 2.0, size=n_rows) if weighted else None
    rows = Rows.of(np.full((n_rows, 2), value), np.full((n_rows, 2), value), weight)
    assert target_scales(rows).target_scale.tolist() == [1.0, 1.0]
    scales = input_scales(torch.tensor(rows.x), target_scales(rows), rows)
    assert scales.feature_factor.tolist() == [1.0, 1.0]
    assert float(scales.feature_high.abs().max()) <= 1e-14 * abs(value)


def test_small_spread_beside_a_large_mean_is_kept():
    y = 1e6 + 1e-4 * np.array([-1.0, 1.0] * 500)
    scale = target_scales(Rows.of(np.zeros((1000, 1)), y, None)).target_scale
    assert float(scale) == pytest.approx(1e-4, rel=1e-5)


# What the network reads


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


def test_recorded_inputs_are_features_and_what_the_structure_adds():
    x = torch.tensor(make_rows(4).x)
    origin = {"gain": torch.zeros((), dtype=torch.float64)}
    assert_close(record_network_inputs(make_hybrid("additive"), x, origin), x)
    expected = torch.cat([x, 2.0 * x[:, :1]], dim=1)
    assert_close(record_network_inputs(make_hybrid("serial"), x, origin), expected)


def test_first_call_of_the_network_is_recorded():
    def twice(x, physics, nn):
        return physics(x) + nn(x) * nn(-x)

    x = torch.tensor(make_rows(4).x)
    origin = {"gain": torch.zeros((), dtype=torch.float64)}
    assert_close(record_network_inputs(make_hybrid(twice), x, origin), x)


def test_structure_without_network_is_refused():
    hybrid = make_hybrid(lambda x, physics, nn: physics(x))
    with pytest.raises(ValueError, match=r"structure never calls nn.*set nn=None"):
        record_network_inputs(
            hybrid,
            torch.tensor(make_rows(4).x),
            {"gain": torch.zeros((), dtype=torch.float64)},
        )
