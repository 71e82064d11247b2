"""Times of a long table: numbers, dates with or without zones, durations."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from skhybrid.data.frame_times import UNITS, read_frame_times

DATES = pd.Series(pd.to_datetime(["2020-01-02 00:00", "2020-01-01 00:00", "2020-01-01 06:00"]))


def test_numbers_stay():
    for values in ([2, 0, 1], [2.0, 0.0, 1.0], pd.array([2, 0, 1], dtype="Int64")):
        times = read_frame_times(pd.Series(values), "time", None)
        np.testing.assert_array_equal(times.values, [2.0, 0.0, 1.0])
        assert times.origin is None


@pytest.mark.parametrize("unit", UNITS)
def test_dates_are_counted_from_the_first_one(unit):
    for dates in (DATES, DATES.dt.tz_localize("Europe/Berlin"), DATES.astype(object)):
        times = read_frame_times(dates, "time", unit)
        np.testing.assert_allclose(times.values, np.array([24, 0, 6]) * 3600 / UNITS[unit])
        assert times.origin == dates.min()


def test_durations_and_a_given_origin():
    times = read_frame_times(DATES - DATES.min(), "time", "h")
    np.testing.assert_array_equal(times.values, [24.0, 0.0, 6.0])
    times = read_frame_times(DATES, "time", "d", "2019-12-31")
    np.testing.assert_array_equal(times.values, [2.0, 1.0, 1.25])


def test_the_change_to_summer_time_is_an_hour():
    dates = pd.Series(pd.to_datetime(["2021-03-28 01:00", "2021-03-28 04:00"]))
    zoned = read_frame_times(dates.dt.tz_localize("Europe/Berlin"), "time", "h")
    np.testing.assert_array_equal(zoned.values, [0.0, 2.0])


def test_several_zones_are_compared_in_utc():
    column = pd.Series(
        [pd.Timestamp("2020-01-01 01:00", tz=zone) for zone in ("Europe/Berlin", "UTC")],
        dtype=object,
    )
    np.testing.assert_array_equal(read_frame_times(column, "time", "h").values, [0.0, 1.0])
    column[1] = pd.Timestamp("2020-01-01")
    with pytest.raises(ValueError, match=r"with and without a time zone.*index 1"):
        read_frame_times(column, "time", "h")


@pytest.mark.parametrize(
    ("column", "unit", "origin", "message"),
    [
        (DATES, None, None, "holds datetime64.*give time_unit, one of ns"),
        (DATES, "hours", None, "'hours' is not a unit of time.*h"),
        (pd.Series([0.0, 1.0]), "h", None, "time_unit is for dates.*holds numbers"),
        (pd.Series([0.0, 1.0]), None, "2020", "time_origin is for dates.*holds numbers"),
        (DATES - DATES.min(), "h", "2020", "time_origin is for dates"),
        (DATES, "h", "soon", "time_origin='soon' is no date"),
        (DATES, "h", pd.Timestamp("2020", tz="UTC"), "has a time zone, but not column"),
        (DATES.where(DATES.index > 0), "h", None, "missing in 1 of 3 rows.*index 0"),
        (DATES.astype(str), "h", None, r"'2020-01-02.*index 0, which is no time.*to_datetime"),
        (DATES.dt.to_period("D"), "h", None, r"A period has a begin.*dt.to_timestamp\(\)"),
        (pd.Series([True, False]), None, None, "these are no times"),
        (pd.Series([0.0, np.inf]), None, None, "holds infinity"),
    ],
)
def test_what_is_no_time_is_named(column, unit, origin, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_frame_times(column, "time", unit, origin)


def test_objects_of_numbers_and_dates():
    mixed = pd.Series([1, 2.5], dtype=object)
    np.testing.assert_array_equal(read_frame_times(mixed, "time", None).values, [1.0, 2.5])
    days = pd.Series([datetime.date(2020, 1, 1), datetime.date(2020, 1, 3)])
    np.testing.assert_array_equal(read_frame_times(days, "day", "d").values, [0.0, 2.0])
