"""Columns that the physics and the network read."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.data.columns import bind_columns, network_columns
from skhybrid.exceptions import NetworkError, PhysicsError


@pytest.mark.parametrize(
    ("names", "feature_names", "expected"),
    [
        (("a", "b"), None, [0, 1]),
        ((), None, []),
        (("b", "a"), ["a", "other", "b"], [2, 0]),
        (("b", "a"), np.array(["a", "other", "b"], dtype=object), [2, 0]),
        (("X",), None, None),
        (("X",), ["a", "b"], None),
    ],
)
def test_arguments_are_bound_by_name_or_by_order(names, feature_names, expected):
    assert bind_columns(names, feature_names, 3, "malus") == expected


@pytest.mark.parametrize(
    ("names", "feature_names", "message"),
    [
        (
            ("pol1",),
            ["pol_1", "red"],
            r"'malus' needs a column 'pol1'.*Did you mean 'pol_1'\?.*red",
        ),
        (("Red",), ["pol_1", "red"], r"Did you mean 'red'\?"),
        (("a", "gain"), ["a", "b"], r"'malus' needs a column 'gain'.*a, b\..*after a star"),
        (("a", "b", "c", "d"), None, r"reads 4 features \(a, b, c, d\).* only 3.*after a star"),
    ],
)
def test_error_names_missing_columns(names, feature_names, message):
    with pytest.raises(PhysicsError, match=message):
        bind_columns(names, feature_names, 3, "malus")


@pytest.mark.parametrize(
    ("nn_features", "expected"),
    [
        (None, None),
        ([0, 2], [0, 2]),
        ([-1, 0], [2, 0]),
        (np.array([1, 2]), [1, 2]),
        (["b", 0], [1, 0]),
        (np.array(["c", "a"]), [2, 0]),
    ],
)
def test_network_columns_by_name_or_number(nn_features, expected):
    assert network_columns(nn_features, ["a", "b", "c"], 3) == expected


@pytest.mark.parametrize(
    ("nn_features", "feature_names", "message"),
    [
        ([], ["a", "b"], "nn_features is empty.*nn=None"),
        (["aa"], ["a", "b"], r"nn_features names a column 'aa'.*Did you mean 'a'\?.*a, b"),
        (["a"], None, "nn_features names 'a', but X has no column names"),
        ([2], None, "nn_features has column 2; X has 2 columns"),
        ([-3], None, "nn_features has column -3; X has 2 columns"),
        ([0.5], None, "nn_features must hold column names or column numbers; it has 0.5"),
        ([True, False], None, "nn_features must hold .* it has True"),
        (np.array([False, True]), None, "nn_features must hold"),
    ],
)
def test_error_names_wrong_network_columns(nn_features, feature_names, message):
    with pytest.raises(NetworkError, match=message):
        network_columns(nn_features, feature_names, 2)
