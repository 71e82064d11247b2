"""The layout of a data set: arrays, pandas objects, the Bunch, or a pair."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skhybrid.datasets._build_bunch import build_bunch, build_table_bunch

DATA = np.array([[1.0, 2.0], [3.0, 4.0]])
TARGET = np.array([5.0, 6.0])


def build(as_frame=False, return_X_y=False, **keys):
    options = {"as_frame": as_frame, "return_X_y": return_X_y, **keys}
    return build_table_bunch(DATA, TARGET, feature_names=("a", "b"), target_name="y", **options)


def test_bunch_or_pair():
    bunch = build_bunch(DATA, TARGET, return_X_y=False, dt=2.0)
    assert set(bunch) == {"data", "target", "dt"}
    data, target = build_bunch(DATA, TARGET, return_X_y=True, dt=2.0)
    assert data is bunch.data is DATA
    assert target is bunch.target is TARGET


def test_arrays():
    bunch = build(noise_free=TARGET - 1, physics=abs)
    assert bunch.data is DATA
    assert bunch.target is TARGET
    assert bunch.frame is None
    assert bunch.feature_names == ["a", "b"]
    assert bunch.target_name == "y"
    assert bunch.physics is abs
    assert_array_equal(bunch.noise_free, [4, 5])
    assert "noise_free" not in build()


def test_pandas_objects():
    bunch = build(as_frame=True, noise_free=TARGET - 1)
    assert list(bunch.data.columns) == ["a", "b"]
    assert list(bunch.frame.columns) == ["a", "b", "y"]
    assert bunch.target.name == bunch.noise_free.name == "y"
    assert_array_equal(bunch.frame, [[1, 2, 5], [3, 4, 6]])
    assert_array_equal(bunch.noise_free, [4, 5])
    data, target = build(as_frame=True, return_X_y=True)
    assert data.equals(bunch.data)
    assert target.equals(bunch.target)


def test_missing_pandas_is_an_error_with_a_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert build().data is DATA
    with pytest.raises(ImportError, match="as_frame=False"):
        build(as_frame=True)
