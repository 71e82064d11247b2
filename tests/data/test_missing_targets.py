"""Missing targets: masks, weights, and rows that are dropped."""

from __future__ import annotations

import re

import numpy as np
import pytest
from small_rows import make_rows

from skhybrid.data.missing_targets import mask_missing, mask_suggested

NAN = np.nan


def test_unweighted_rows_have_no_weight_array():
    rows = make_rows()
    assert rows.weight is None
    assert make_rows(weight=np.full(6, 3.0)).weight is None


def test_weights_have_mean_one_and_rows_of_zero_weight_are_dropped():
    x, y = np.arange(8.0).reshape(4, 2), np.arange(4.0)
    rows = mask_missing(x, y, np.array([1.0, 0.0, 2.0, 6.0]))
    np.testing.assert_array_equal(rows.x, x[[0, 2, 3]])
    np.testing.assert_array_equal(rows.y, y[[0, 2, 3]])
    np.testing.assert_allclose(rows.weight, [1 / 3, 2 / 3, 2.0])


def test_equal_weights_and_zeros_need_no_weight_array():
    rows = mask_missing(np.eye(3), np.arange(3.0), np.array([2.0, 0.0, 2.0]))
    assert rows.weight is None
    assert rows.y.tolist() == [0.0, 2.0]


def test_missing_targets_become_zero_with_zero_weight():
    y = np.array([[1.0, NAN], [2.0, 3.0], [NAN, 4.0]])
    rows = mask_missing(np.eye(3), y, None)
    np.testing.assert_array_equal(rows.y, [[1.0, 0.0], [2.0, 3.0], [0.0, 4.0]])
    np.testing.assert_allclose(rows.weight, [[1.5, 0.0], [1.5, 1.5], [0.0, 1.5]])
    assert np.isnan(y[0, 1])


def test_missing_targets_have_zero_weight_beside_sample_weights():
    y = np.array([[1.0, NAN], [2.0, 3.0], [4.0, 5.0]])
    rows = mask_missing(np.eye(3), y, np.array([1.0, 2.0, 2.0]))
    np.testing.assert_allclose(rows.weight, np.array([[1, 0], [2, 2], [2, 2]]) / 1.5)


def test_rows_without_any_target_are_dropped():
    rows = mask_missing(np.eye(3), np.array([1.0, NAN, 2.0]), np.array([1.0, 5.0, 3.0]))
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
def test_data_without_anything_to_fit_raises_an_error(y, weight, message):
    weight = None if weight is None else np.array(weight)
    with pytest.raises(ValueError, match=message):
        mask_missing(np.eye(2), np.array(y), weight)


@pytest.mark.parametrize(
    ("y", "where"),
    [
        ([1.0, np.nan, np.nan], " in 2 of 3 rows; the first is row 1"),
        ([[1.0, 2.0], [3.0, np.nan]], " in 1 of 2 rows; the first is row 1"),
        ([[1.0], [2.0, np.nan]], ""),
        (None, ""),
    ],
)
def test_error_about_missing_targets_says_where_they_are(y, where):
    message = f"y contains NaN{where}. If these values are missing, set missing_targets='mask'."
    with pytest.raises(ValueError, match=re.escape(message)), mask_suggested(y):
        raise ValueError("Input y contains NaN.")
