"""Columns of a long table: names, numbers and runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_tables import make_table

from skhybrid.data.frame_columns import (
    check_frame,
    listed,
    read_numbers_of,
    read_runs,
    require_column,
    require_separate,
)


@pytest.mark.parametrize(
    ("df", "error", "message"),
    [
        (make_table()["x"], TypeError, r"is a Series.*pass df.reset_index\(\)"),
        ([1, 2], TypeError, "is a list, not a pandas DataFrame"),
        (make_table().iloc[:0], ValueError, r"df has no rows \(columns: run, time, x, u\)"),
        (make_table().iloc[:, [0, 1, 2, 2]], ValueError, "more than one column named 'x'"),
    ],
)
def test_other_tables_are_refused(df, error, message):
    with pytest.raises(error, match=message):
        check_frame(df)


def test_unknown_columns_are_named_with_a_suggestion():
    with pytest.raises(ValueError, match=r"inputs names 'U', a column .* mean 'u'.*Columns of df"):
        require_column(make_table(), "U", "inputs")
    with pytest.raises(ValueError, match=r"level of the index of df.*df.reset_index\(\)"):
        require_column(make_table().set_index("run"), "run", "run")


def test_names_come_alone_or_in_lists():
    assert listed(None, "inputs") == []
    assert listed("x", "inputs") == ["x"]
    for given in (["x", "u"], ("x", "u"), np.array(["x", "u"]), make_table()[["x", "u"]].columns):
        assert listed(given, "inputs") == ["x", "u"]
    with pytest.raises(ValueError, match="inputs is empty"):
        listed([], "inputs")
    with pytest.raises(ValueError, match="'x' twice"):
        listed(["x", "x"], "inputs")


def test_a_column_has_one_role():
    with pytest.raises(ValueError, match="'x' is both in states and in inputs"):
        require_separate({"states": ["x"], "inputs": ["u", "x"]})


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([7, 3, 7], [7, 3]),
        (["b", "a", "b"], ["b", "a"]),
        (pd.Categorical(["b", "a", "b"], categories=["a", "b", "c"]), ["b", "a"]),
    ],
)
def test_runs_keep_the_order_of_their_first_rows(runs, expected):
    codes, names = read_runs(pd.Series(runs), "run")
    assert codes.tolist() == [0, 1, 0]
    assert names == expected


def test_missing_runs_are_named():
    with pytest.raises(ValueError, match=r"'run' of df is missing in 1 of 3 rows.* index 1"):
        read_runs(pd.Series(["a", None, "b"]), "run")


@pytest.mark.parametrize(
    "values",
    [
        [1, None, 3],
        pd.array([1, None, 3], dtype="Int64"),
        np.array([1, None, "3"], dtype=object),
        pd.Categorical([1.0, None, 3.0]),
    ],
)
def test_missing_numbers_are_nan(values):
    np.testing.assert_array_equal(read_numbers_of(pd.Series(values), "x"), [1.0, np.nan, 3.0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "n.d."], "holds the text 'n.d.' in the row with the index 1.*to_numeric"),
        ([1, np.inf], "holds infinity in 1 rows; the first has the index 1"),
        ([1, 2j], "it must hold real numbers"),
        (pd.to_datetime(["2020-01-01"]), "it must hold real numbers"),
        (pd.Categorical(["m", "f"]), "the text 'm'"),
    ],
)
def test_what_is_no_number_is_named(values, message):
    with pytest.raises(ValueError, match=f"'x' of df .*{message}|'x' of df {message}"):
        read_numbers_of(pd.Series(values), "x")
