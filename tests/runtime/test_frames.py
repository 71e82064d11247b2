"""Tables as pandas objects."""

from __future__ import annotations

import sys

import pytest

from skhybrid.runtime.frames import data_frame


def test_a_frame_has_names_of_rows():
    frame = data_frame({"a": [1, 2]}, ["x", "y"])
    assert frame.loc["y", "a"] == 2


def test_without_pandas_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pandas DataFrame.*pip install pandas"):
        data_frame({}, [])
