"""Events of a long table: rows at which inputs jump."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_tables import make_events, make_table

from skhybrid import trajectories_from_frame


def read(df=None, events=None, inputs=("pump",), **options):
    df = make_table() if df is None else df
    events = make_events() if events is None else events
    return trajectories_from_frame(
        df, "run", states="x", inputs=list(inputs), events=events, **options
    )


def test_inputs_keep_their_values_until_the_next_event():
    data = read(inputs=("u", "pump"), features="w", df=make_table(w=[5, 6] * 3))
    b, a = data.X
    assert list(a) == ["time", "u", "pump", "w", "initial x"]
    np.testing.assert_array_equal(a["time"], [0.0, 0.5, 1.0, 1.5, 4.0])
    np.testing.assert_array_equal(a["pump"], [0.0, 3.0, 3.0, 0.0, 0.0])
    np.testing.assert_array_equal(a["u"], np.ones(5))
    np.testing.assert_array_equal(a["w"], np.full(5, 6.0))
    np.testing.assert_array_equal(b["time"], [0.0, 2.0, 3.0])  # the event is at a row
    np.testing.assert_array_equal(b["pump"], [0.0, 2.0, 2.0])
    np.testing.assert_array_equal(data.y[1][:, 0], [2.0, np.nan, 4.0, np.nan, 6.0])
    np.testing.assert_array_equal(data.index["event"], [0, 0, 0, 0, 1, 0, 1, 0])
    assert data.regressor == {"missing_targets": "mask"}


def test_windows_reach_beyond_the_rows_of_events():
    assert read().ode["window"] == 4


def test_other_inputs_keep_their_own_values():
    df = make_table(u=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    a = read(df, inputs=("u", "pump")).X[1]
    np.testing.assert_array_equal(a["u"], [2.0, 2.0, 4.0, 4.0, 6.0])


def test_events_have_dates_like_the_table():
    hours = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta([0, 0, 2, 1, 3, 4], "h")
    when = pd.Timestamp("2020-01-01 01:00", tz="Europe/Berlin") + pd.to_timedelta(
        [90, 30, 120], "m"
    )
    data = read(make_table(time=hours), make_events(time=when), time_unit="h")
    np.testing.assert_array_equal(data.X[1]["time"], [0.0, 0.5, 1.0, 1.5, 4.0])
    assert str(data.index["time"].dtype).endswith("UTC]")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"events": make_events(run=["a", "c", "b"])}, "the run 'c', which df does not have"),
        ({"events": make_events(time=1.0)}, "two values of 'pump' at time 1.0 of run 'a'"),
        ({"events": make_events(pump=["on"] * 3)}, "'pump' of events holds the text 'on'"),
        ({"events": make_events().drop(columns="time")}, "column that events does not have"),
        ({"events": make_events().iloc[:0]}, "events has no rows"),
        ({"inputs": ["u"]}, "none of them is in inputs"),
        ({"df": make_table(pump=1.0)}, "'pump' is a column of df and of events"),
    ],
)
def test_wrong_events_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        read(**options)
