"""Records of a long table: what they hold, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from small_tables import make_table

from skhybrid import trajectories_from_frame
from skhybrid.exceptions import LeftOutWarning


def test_runs_that_say_nothing_are_left_out():
    with pytest.warns(LeftOutWarning, match="2 of 4 records .* 'c', 'd' have one row"):
        data = trajectories_from_frame(make_table(run=list("ababcd")), "run", states="x")
    assert data.groups.tolist() == ["a", "b"]
    with pytest.warns(LeftOutWarning, match="1 of 2 records are left out: 'a' has no measured"):
        data = trajectories_from_frame(make_table(x=[1, np.nan] * 3), "run", states="x")
    assert data.groups.tolist() == ["b"]
    with (
        pytest.warns(LeftOutWarning),
        pytest.raises(ValueError, match="No record is left: of 6, 6 have one row"),
    ):
        trajectories_from_frame(make_table(run=list("abcdef")), "run", states="x")


def test_missing_inputs_are_named():
    df = make_table(u=[1, 1, np.nan, 1, 1, 1])
    message = r"'u' is missing in 1 of 3 rows of run 'b', first at time 2.0 \(index 2\)"
    with pytest.raises(ValueError, match=message):
        trajectories_from_frame(df, "run", states="x", inputs="u")


def test_features_are_constant_inputs():
    df = make_table(weight=[70, None, None, 60, 70, 60])
    data = trajectories_from_frame(df, "run", states="x", inputs="u", features="weight")
    assert data.input_names == ["u", "weight"]
    assert [each["weight"].unique().tolist() for each in data.X] == [[70.0], [60.0]]
    for weight, message in (
        (range(6), "'weight' has the values 0, 2 in run 'b'"),
        ([1, None] * 3, "'weight' is missing in run 'a'"),
    ):
        with pytest.raises(ValueError, match=message):
            trajectories_from_frame(make_table(weight=weight), "run", states="x", features="weight")


def test_columns_of_x_have_different_names():
    df = make_table(**{"initial x": 0.0})
    with pytest.raises(ValueError, match="Two columns of X would have the name 'initial x'"):
        trajectories_from_frame(df, "run", states="x", inputs="initial x")


def test_later_segments_begin_at_measured_or_unknown_states():
    given = {"segments": "gaps", "gap": 1.5, "initial_states": {"x": 9.0}}
    df = make_table(time=[0.0, 0.0, 1.0, 1.0, 3.0, 2.0], run=["b", "a", "b", "a", "b", "a"])
    df.loc[6] = ["b", 4.0, 7.0, 1.0]
    data = trajectories_from_frame(df, "run", states="x", **{**given, "initial_states": None})
    assert data.records[["run", "segment", "n_rows"]].to_numpy().tolist() == [
        ["b", 0, 2],
        ["b", 1, 2],
        ["a", 0, 3],
    ]
    assert [each["initial x"].iloc[0] for each in data.X] == [1.0, 5.0, 2.0]
    data = trajectories_from_frame(df, "run", outputs="x", **given)
    np.testing.assert_array_equal([each["initial x"].iloc[0] for each in data.X], [9, np.nan, 9])
