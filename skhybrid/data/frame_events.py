"""Events of a long table, such as doses and switches: rows at which inputs jump."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skhybrid.data.frame_columns import read_numbers_of, read_runs, require_column
from skhybrid.data.frame_times import read_frame_times
from skhybrid.runtime.frames import import_pandas
from skhybrid.runtime.suggestions import suggestion


@dataclass(frozen=True)
class LongTable:
    """Rows of a long table as numbers.

    Attributes
    ----------
    run : array of int, shape (n_rows,)
        Run of each row, as an index of ``runs``.
    runs : list
        Names of the runs.
    time : array of float, shape (n_rows,)
    given_time : Series
        Times as the user gave them.
    row : Series
        Index of each row in the user's table; missing for events.
    is_event : array of bool, shape (n_rows,)
        Whether only an event gives the row.
    values : dict of hashable to array of float, shape (n_rows,)
        Columns, NaN where a value is missing.
    """

    run: np.ndarray
    runs: list[Any]
    time: np.ndarray
    given_time: Any
    row: Any
    is_event: np.ndarray
    values: dict[Hashable, np.ndarray]

    def take(self, rows: np.ndarray) -> LongTable:
        """Return the rows with these indices."""
        return replace(
            self,
            run=self.run[rows],
            time=self.time[rows],
            given_time=self.given_time.iloc[rows],
            row=self.row.iloc[rows],
            is_event=self.is_event[rows],
            values={name: values[rows] for name, values in self.values.items()},
        )

    def sorted(self) -> LongTable:
        """Return the rows in the order of runs and times."""
        return self.take(np.lexsort((self.time, self.run)))

    def repeated(self) -> np.ndarray:
        """Return which rows have the run and the time of the row before, if rows are sorted."""
        same = (np.diff(self.run) == 0) & (np.diff(self.time) == 0)
        return np.concatenate([[False], same])


def add_events(
    table: LongTable,
    events: Any,
    run: Hashable | None,
    time: Hashable,
    columns: Sequence[Hashable],
    *,
    held: Sequence[Hashable],
    unit: str | None,
    origin: Any,
) -> LongTable:
    """Return a table with a row at each event; inputs keep their values from event to event.

    Before its first event an input is zero.

    Parameters
    ----------
    table : LongTable
        Sorted.
    events : DataFrame
    run, time : hashable
        Columns of both tables.
    columns : sequence
        Inputs that events give.
    held : sequence
        Other inputs, which keep their value at the rows of events.
    unit, origin
        As for :func:`~skhybrid.data.frame_times.read_frame_times`.

    Raises
    ------
    ValueError
        If a run is unknown, or an input gets two values at one time.
    """
    added = _read_events(table, events, run, time, columns, unit, origin)
    pandas = import_pandas()
    both = LongTable(
        np.concatenate([table.run, added.run]),
        table.runs,
        np.concatenate([table.time, added.time]),
        pandas.concat([table.given_time, added.given_time]),
        pandas.concat([table.row, added.row]),
        np.concatenate([table.is_event, added.is_event]),
        {
            name: np.concatenate(
                [
                    table.values.get(name, np.full(len(table.run), np.nan)),
                    added.values.get(name, np.full(len(added.run), np.nan)),
                ]
            )
            for name in (*table.values, *columns)
        },
    ).sorted()
    merged = _merge_rows(both, columns)
    for name in columns:
        merged.values[name] = _filled(merged, name, first=0.0)
    for name in held:
        filled = _filled(merged, name, first=None)
        merged.values[name] = np.where(merged.is_event, filled, merged.values[name])
    return merged


def _read_events(
    table: LongTable,
    events: Any,
    run: Hashable | None,
    time: Hashable,
    columns: Sequence[Hashable],
    unit: str | None,
    origin: Any,
) -> LongTable:
    """Return the rows of a table of events."""
    for column, argument in ((run, "run"), (time, "time")):
        if column is not None:
            require_column(events, column, argument, "events")
    number = np.zeros(len(events), dtype=int)
    if run is not None:
        codes, names = read_runs(events[run], run, "events")
        unknown = [name for name in names if name not in table.runs]
        if unknown:
            raise ValueError(
                f"events has the run {unknown[0]!r}, which df does not have"
                f"{suggestion(str(unknown[0]), map(str, table.runs))} Leave its events out, or "
                "make the identifiers of the two tables the same, in type also."
            )
        number = np.array([table.runs.index(name) for name in names])[codes]
    times = read_frame_times(events[time], time, unit, origin, "events")
    given = times.given
    zone = getattr(table.given_time.dtype, "tz", None)
    if zone is not None:
        given = given.dt.tz_convert(zone)
    missing = import_pandas().Series([None] * len(events), dtype=object)
    values = {name: read_numbers_of(events[name], name, "events") for name in columns}
    is_event = np.ones(len(events), dtype=bool)
    return LongTable(number, table.runs, times.values, given, missing, is_event, values)


def _merge_rows(table: LongTable, columns: Sequence[Hashable]) -> LongTable:
    """Return a sorted table in which rows of one run and time are one row."""
    repeated = table.repeated()
    first = np.flatnonzero(~repeated)
    group = np.cumsum(~repeated) - 1
    kept = first.copy()
    observed = np.flatnonzero(~table.is_event)  # one at most in a group
    kept[group[observed]] = observed
    merged = table.take(kept)
    for name in columns:
        known = np.flatnonzero(~np.isnan(table.values[name]))
        twice = known[1:][np.diff(group[known]) == 0]
        if len(twice):
            row = twice[0]
            raise ValueError(
                f"events gives two values of {name!r} at time {table.given_time.iloc[row]} of run "
                f"{table.runs[table.run[row]]!r}. Give one: an input keeps its value until the "
                "next event. For doses at the same time, add them."
            )
        merged.values[name] = np.full(len(kept), np.nan)
        merged.values[name][group[known]] = table.values[name][known]
    return merged


def _filled(table: LongTable, name: Hashable, first: float | None) -> np.ndarray:
    """Return a column whose missing values are those before, in each run.

    Before the first one is ``first``, or the first value of the run if it is None.
    """
    column = import_pandas().Series(table.values[name])
    filled = column.groupby(table.run).ffill()
    if first is not None:
        return filled.fillna(first).to_numpy()
    return filled.groupby(table.run).bfill().to_numpy()
