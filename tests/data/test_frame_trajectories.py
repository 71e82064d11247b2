"""Predictions back to a long table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_tables import make_events, make_table

from skhybrid import trajectories_from_frame


def test_predictions_return_to_the_rows_of_the_table():
    df = make_table(time=pd.Timestamp("2020-01-01") + pd.to_timedelta([0, 0, 2, 1, 3, 4], "h"))
    df.index = [10, 11, 12, 13, 14, 15]
    data = trajectories_from_frame(df, "run", states="x", time_unit="h")
    frame = data.to_frame(data.y)
    assert list(frame) == ["run", "time", "x"]
    pd.testing.assert_frame_equal(frame.sort_index(), df[["run", "time", "x"]])
    joined = df.join(frame[["x"]].add_suffix("_predicted"))
    np.testing.assert_array_equal(joined["x"], joined["x_predicted"])


def test_rows_of_events_are_left_out_unless_wanted():
    data = trajectories_from_frame(
        make_table(), "run", states="x", inputs="pump", events=make_events(), segments=10
    )
    frame = data.to_frame([np.arange(len(each)) for each in data.y], names="level")
    assert frame["level"].tolist() == [0.0, 1.0, 2.0, 0.0, 2.0, 4.0]
    assert frame.index.tolist() == [0, 2, 4, 1, 3, 5]
    assert list(frame) == ["run", "segment", "time", "level"]
    frame = data.to_frame(data.y, events=True)
    assert frame["time"].tolist() == [0.0, 2.0, 3.0, 0.0, 0.5, 1.0, 1.5, 4.0]


def test_without_a_run_or_outputs():
    df = make_table().drop_duplicates("time")
    data = trajectories_from_frame(df, inputs="u")
    assert data.y is None
    frame = data.to_frame(np.zeros((1, len(df), 2)))
    assert list(frame) == ["time", "prediction_0", "prediction_1"]


def test_it_is_shown_in_one_line():
    data = trajectories_from_frame(make_table(), "run", states="x", inputs="u")
    shown = repr(data)
    assert "\n" not in shown
    assert f"{len(data.X)} records" in shown
    assert "inputs u; outputs x" in shown
    assert all(key in shown for key in data)


@pytest.mark.parametrize(
    ("predictions", "names", "message"),
    [
        ([np.zeros(3)], None, "predictions of 1 records, but 2 records"),
        ([np.zeros(3), np.zeros(4)], None, r"Record 1 has 3 rows, .* shape \(4,\)"),
        (np.zeros((2, 3, 2)), None, "have 2 outputs, but there are 1 names: x"),
    ],
)
def test_other_predictions_are_refused(predictions, names, message):
    data = trajectories_from_frame(make_table(), "run", states="x")
    with pytest.raises(ValueError, match=message):
        data.to_frame(predictions, names=names)
