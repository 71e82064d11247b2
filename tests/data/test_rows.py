"""Rows: selections, splits, tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_rows import make_rows

NAN = np.nan


def test_selected_rows_have_weights_of_mean_one():
    rows = make_rows(4, weight=np.array([1.0, 2.0, 3.0, 4.0]))
    selected = rows.select(np.array([0, 3]))
    np.testing.assert_array_equal(selected.x, rows.x[[0, 3]])
    np.testing.assert_array_equal(selected.y, rows.y[[0, 3]])
    np.testing.assert_allclose(selected.weight, [0.4, 1.6])


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
def test_values_too_large_for_the_dtype_raise_an_error(name):
    rows = make_rows()
    (rows.x if name == "X" else rows.y)[2] = -1e39
    with pytest.raises(
        ValueError, match=rf"{name} has the value .* beyond 3.4e\+38.*dtype='float64'"
    ):
        rows.tensors(torch.float32, "cpu")
    assert torch.isfinite(rows.tensors(torch.float64, "cpu").x).all()
