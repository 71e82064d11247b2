"""Columns of groups: labels become codes."""

import numpy as np
import pandas as pd
import pytest

from skhybrid import Param, Physics
from skhybrid.data.group_columns import UNKNOWN, encode_groups, encode_training_groups
from skhybrid.exceptions import NetworkError, ParameterWarning, UnknownGroupWarning


def line(x, *, slope=1.0):
    """Return a line."""
    return slope * x


def physics_per(column):
    """Return a line with a slope for each group."""
    return Physics(line, slope=Param(1.0, per=column))


FRAME = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "site": ["b", "a", "b", "c"]})


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        (["b", "a", "b", "c"], ["a", "b", "c"]),
        (pd.Categorical(["b", "a", "b", "c"], ["c", "b", "a", "never"]), ["a", "b", "c"]),
        ([20, 10, 20, 30], [10, 20, 30]),
        ([True, False, True, True], [False, True]),
        (["b", 1, "b", 2], [1, 2, "b"]),
    ],
)
def test_labels_are_sorted_and_codes_are_their_numbers(site, expected):
    X = FRAME.assign(site=site)
    before = X.copy()
    encoded, labels = encode_training_groups(X, physics_per("site"))
    assert labels == {1: expected}
    assert encoded["site"].tolist() == [expected.index(each) for each in site]
    pd.testing.assert_frame_equal(X, before)


@pytest.mark.parametrize("X", [FRAME.to_numpy(), [*map(list, FRAME.to_numpy())]])
def test_arrays_and_lists_with_texts(X):
    encoded, labels = encode_training_groups(X, physics_per(1))
    assert labels == {1: ["a", "b", "c"]}
    assert np.asarray(encoded, dtype=float).tolist() == [[0, 1], [1, 0], [2, 1], [3, 2]]


def test_arrays_of_numbers_and_columns_from_the_right():
    X = np.array([[0, 7], [1, 5], [2, 7]])
    encoded, labels = encode_training_groups(X, physics_per(-1))
    assert labels == {1: [5, 7]}
    assert encoded[:, 1].tolist() == [1.0, 0.0, 1.0]
    assert X[0, 1] == 7


def test_nothing_changes_without_groups():
    encoded, labels = encode_training_groups(FRAME, Physics(line))
    assert encoded is FRAME
    assert labels == {}


@pytest.mark.parametrize("X", [FRAME, FRAME.to_numpy()])
@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_missing_group_is_an_error(X, missing):
    X = X.copy()
    if isinstance(X, pd.DataFrame):
        X.loc[2, "site"] = missing
    else:
        X[2, 1] = missing
    with pytest.raises(ValueError, match=r"holds groups .* missing in 1 of 4 rows.* row 2"):
        encode_training_groups(X, physics_per(1))


def test_a_typo_is_an_error_with_a_suggestion():
    with pytest.raises(NetworkError, match=r"per of 'slope' names a column 'sit'.*mean 'site'"):
        encode_training_groups(FRAME, physics_per("sit"))


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ("a", "one group only"),
        ([*"abcd"], r"for each of the 4 rows.*right column\?$"),
        ([0.1, 0.2, 0.3, 0.4], r"for each of the 4 rows.*write depends_on=\['site'\]"),
        ([0.5, 1.0, 1.0, 2.0], r"fractions, 3 different ones in 4 rows.*depends_on=\['site'\]"),
    ],
)
def test_groups_that_say_nothing_are_a_warning(site, message):
    with pytest.warns(ParameterWarning, match=message):
        encode_training_groups(FRAME.assign(site=site), physics_per("site"))


def test_a_series_in_place_of_a_table_is_left_to_scikit_learn():
    series = FRAME["x"]
    unchanged, labels = encode_training_groups(series, physics_per("site"))
    assert unchanged is series and labels == {}
    assert encode_groups(series, {1: ["a", "b", "c"]}, ["x", "site"]) is series


def test_unknown_groups_are_a_warning_and_get_a_code_of_their_own():
    names = ["x", "site"]
    X = FRAME.assign(site=["a", "new", "c", "newer"])
    with pytest.warns(UnknownGroupWarning, match="'site' of X has groups .*: 'new', 'newer'"):
        encoded = encode_groups(X, {1: ["a", "b", "c"]}, names)
    assert encoded["site"].tolist() == [0.0, UNKNOWN, 2.0, UNKNOWN]
    turned = encode_groups(FRAME[["site", "x"]], {1: ["a", "b", "c"]}, names)
    assert turned["site"].tolist() == [1.0, 0.0, 1.0, 2.0]
    array = encode_groups(FRAME.to_numpy(), {1: ["a", "b", "c"]}, names)
    assert array[:, 1].tolist() == [1.0, 0.0, 1.0, 2.0]
