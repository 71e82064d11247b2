"""Read the times of a long table as numbers: numbers stay, dates and durations get a unit."""

from __future__ import annotations

import datetime
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skhybrid.data.frame_columns import read_numbers_of, require_no_missing, shown
from skhybrid.runtime.frames import import_pandas
from skhybrid.runtime.suggestions import suggestion

# Seconds in each unit of time.
UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "week": 604800.0,
}
# Resolution in which dates are subtracted.
_RESOLUTION = "timedelta64[ns]"


@dataclass(frozen=True)
class FrameTimes:
    """The times of the rows of a table.

    Attributes
    ----------
    values : array of float, shape (n_rows,)
        Times in the user's unit: as given, or since the origin.
    given : Series
        The column; dates of several zones are in UTC.
    origin : Timestamp or None
        Time zero of dates; None for numbers and durations.
    """

    values: np.ndarray
    given: Any
    origin: Any = None


def read_frame_times(
    column: Any, name: Hashable, unit: str | None, origin: Any = None, table: str = "df"
) -> FrameTimes:
    """Return a column of times as numbers.

    Parameters
    ----------
    column : Series
        Numbers, dates with or without time zone, or durations.
    name : hashable
        Its name in messages.
    unit : str or None
        Unit of dates and durations; None for numbers.
    origin : date or None, default=None
        Time zero of dates; None is the first one.
    table : str, default="df"

    Raises
    ------
    ValueError
        If times are missing or texts, or the unit does not fit to them.
    """
    pandas = import_pandas()
    if unit is not None and unit not in UNITS:
        raise ValueError(
            f"time_unit={unit!r} is not a unit of time{suggestion(str(unit), UNITS)} Choose one of "
            f"{', '.join(UNITS)}."
        )
    require_no_missing(column, name, table, "Each row needs its time: fill it in")
    if isinstance(column.dtype, pandas.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    column = _as_dates(column, name, table)
    if column.dtype.kind not in "mM":
        if unit is not None or origin is not None:
            argument = "time_unit" if unit is not None else "time_origin"
            raise ValueError(
                f"{argument} is for dates and durations, but column {name!r} of {table} holds "
                f"numbers ({column.dtype}). Leave {argument} out: times keep their unit."
            )
        if column.dtype.kind == "b":
            raise ValueError(
                f"Column {name!r} of {table} holds {column.dtype}; these are no times."
            )
        return FrameTimes(read_numbers_of(column, name, table), column)
    if unit is None:
        raise ValueError(
            f"Column {name!r} of {table} holds {column.dtype}, and the unit of θ depends on the "
            f"unit of time: give time_unit, one of {', '.join(UNITS)}."
        )
    elapsed = column
    if column.dtype.kind == "M":
        origin = _origin(column, name, origin, table)
        elapsed = column - origin
    elif origin is not None:
        raise ValueError(
            f"time_origin is for dates, but column {name!r} of {table} holds {column.dtype}."
        )
    seconds = elapsed.astype(_RESOLUTION).to_numpy().astype(np.int64)
    return FrameTimes(seconds / (UNITS[unit] * 1e9), column, origin)


def _as_dates(column: Any, name: Hashable, table: str) -> Any:
    """Return a column of date objects as dates; raise a ValueError for texts."""
    pandas = import_pandas()
    kind = column.dtype.kind
    if isinstance(column.dtype, pandas.PeriodDtype):
        raise ValueError(
            f"Column {name!r} of {table} holds {column.dtype}. A period has a begin and an end: "
            f"choose one with {table}[{name!r}].dt.to_timestamp()."
        )
    if kind in "biufmM" or all(isinstance(each, (int, float)) for each in column):
        return column if kind in "biufmM" else column.astype(np.float64)
    if all(isinstance(each, (datetime.date, np.datetime64)) for each in column):
        aware = [getattr(each, "tzinfo", None) is not None for each in column]
        if any(aware) and not all(aware):
            row = column.index[aware.index(not aware[0])]
            raise ValueError(
                f"Column {name!r} of {table} holds dates with and without a time zone; the first "
                f"that differs has the index {shown(row)}. Give all of them a zone (tz_localize)."
            )
        return pandas.to_datetime(column, utc=any(aware))
    if all(isinstance(each, (datetime.timedelta, np.timedelta64)) for each in column):
        return pandas.to_timedelta(column)
    value, row = next(
        (each, row)
        for each, row in zip(column, column.index, strict=True)
        if not isinstance(each, (int, float))
    )
    raise ValueError(
        f"Column {name!r} of {table} holds {value!r} in the row with the index {shown(row)}, which "
        f"is no time. Read texts first: {table}[{name!r}] = "
        f"pandas.to_datetime({table}[{name!r}]) for dates, pandas.to_numeric for numbers."
    )


def _origin(column: Any, name: Hashable, origin: Any, table: str) -> Any:
    """Return time zero of dates."""
    if origin is None:
        return column.min()
    pandas = import_pandas()
    try:
        origin = pandas.Timestamp(origin)
    except (TypeError, ValueError) as error:
        raise ValueError(f"time_origin={origin!r} is no date. pandas says: {error}") from error
    if (origin.tzinfo is None) != (column.dt.tz is None):
        with_zone = "has no time zone, but" if origin.tzinfo is None else "has a time zone, but not"
        raise ValueError(
            f"The time zero {origin} {with_zone} column {name!r} of {table}. Give both a zone "
            "(tz_localize), or none."
        )
    return origin
