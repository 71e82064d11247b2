"""Build the records of a long table: which rows they have, their columns, and what is left out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from skhybrid.data.frame_columns import shown
from skhybrid.data.frame_events import LongTable
from skhybrid.data.frame_segments import cut_run
from skhybrid.data.frame_trajectories import FrameTrajectories
from skhybrid.exceptions import LeftOutWarning
from skhybrid.runtime.frames import import_pandas
from skhybrid.runtime.user_warnings import warn

# Names of left-out records in a warning.
_NAMED = 5


def constant_in_runs(table: LongTable, features: Sequence[Hashable]) -> None:
    """Fill in features, or raise a ValueError if one changes in a run or is missing there."""
    for name in features:
        values = table.values[name]
        for number, run in enumerate(table.runs):
            rows = table.run == number
            known = np.unique(values[rows][~np.isnan(values[rows])])
            if len(known) != 1:
                what = (
                    "is missing"
                    if len(known) == 0
                    else f"has the values {known[0]:g}, {known[1]:g}"
                )
                remedy = (
                    "Fill it in, or leave the run out."
                    if len(known) == 0
                    else "What changes in a run is one of the inputs."
                )
                raise ValueError(f"The feature {name!r} {what} in run {run!r}. {remedy}")
            values[rows] = known[0]


def cut_records(
    table: LongTable, measured: Sequence[Hashable], segments: int | str | None, gap: float | None
) -> list[tuple[int, LongTable]]:
    """Return the segment number and the rows of each record that can be used.

    Parameters
    ----------
    table : LongTable
        Sorted.
    measured : sequence
        Columns of y.
    segments, gap
        As for :func:`~skhybrid.data.frame_segments.cut_run`.

    Raises
    ------
    ValueError
        If no record is left.

    Warns
    -----
    LeftOutWarning
        If records have one row, or no measured value.
    """
    records, short, empty = [], [], []
    for number, run in enumerate(table.runs):
        rows = np.flatnonzero(table.run == number)
        segment = cut_run(table.time[rows], segments, gap)
        for each in np.unique(segment):
            part = table.take(rows[segment == each])
            name = repr(run) if segments is None else f"{run!r} (segment {each})"
            values = [part.values[column] for column in measured]
            if len(part.run) < 2:
                short.append(name)
            elif measured and np.isnan(values).all():
                empty.append(name)
            else:
                records.append((int(each), part))
    n_all = len(records) + len(short) + len(empty)
    _tell_left_out(short, n_all, "one row, from which no change can be learned")
    _tell_left_out(empty, n_all, "no measured value")
    if not records:
        raise ValueError(
            f"No record is left: of {n_all}, {len(short)} have one row and {len(empty)} have no "
            "measured value. Is run the column that identifies runs?"
        )
    return records


def _tell_left_out(names: Sequence[str], n_all: int, reason: str) -> None:
    """Warn of records that are left out."""
    if not names:
        return
    shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    has = "has" if len(names) == 1 else "have"
    warn(f"{len(names)} of {n_all} records are left out: {shown} {has} {reason}.", LeftOutWarning)


def build_records(
    records: Sequence[tuple[int, LongTable]],
    *,
    states: Sequence[Hashable] | None,
    outputs: Sequence[Hashable],
    inputs: Sequence[Hashable],
    initial: Mapping[Hashable, Any] | None,
    time: Hashable,
    run: Hashable | None,
    is_cut: bool,
    time_origin: Any,
) -> FrameTrajectories:
    """Return records as X and y, with the arguments that fit to them.

    Parameters
    ----------
    records : sequence of (int, LongTable)
        Segment and rows of each record.
    states, outputs, inputs : sequence
        Columns; states are None if they are not measured.
    initial : mapping or None
        The column, number or None that each state begins at.
    time, run : hashable
        Columns of the user's table.
    is_cut : bool
        Whether runs were cut into segments.
    time_origin : Timestamp or None
    """
    X, y = [], []
    _require_different_names([time, *inputs], initial)
    for segment, part in records:
        _require_inputs(part, inputs)
        columns = {str(time): part.time, **{str(name): part.values[name] for name in inputs}}
        for name, source in (initial or {}).items():
            value = _first(part, segment, name, source, is_measured=states is not None)
            columns[_initial_name(name)] = np.full(len(part.time), value)
        X.append(import_pandas().DataFrame(columns))
        y.append(np.stack([part.values[name] for name in outputs], axis=1) if outputs else None)
    ode: dict[str, Any] = {"times": str(time), "inputs": "hold"}
    if initial is not None:
        ode["state_names"] = [str(name) for name in initial]
        ode["initial_state"] = [_initial_name(name) for name in initial]
    if states is not None and any(part.is_event.any() for _, part in records):
        ode["window"] = _window(y)
    is_missing = bool(outputs) and any(np.isnan(each).any() for each in y)
    return FrameTrajectories(
        X=X,
        y=y if outputs else None,
        ode=ode,
        regressor={"missing_targets": "mask"} if is_missing else {},
        groups=np.array([part.runs[part.run[0]] for _, part in records]),
        records=_records_frame(records),
        index=_index_frame(records),
        output_names=[str(name) for name in outputs],
        input_names=[str(name) for name in inputs],
        state_names=[str(name) for name in initial or ()],
        time_origin=time_origin,
        columns={"run": run, "time": time, "segment": "segment" if is_cut else None},
    )


def _require_different_names(
    columns: Sequence[Hashable], initial: Mapping[Hashable, Any] | None
) -> None:
    """Raise a ValueError if two columns of X would have the same name."""
    names = [*map(str, columns), *map(_initial_name, initial or ())]
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise ValueError(f"Two columns of X would have the name {twice[0]!r}. Rename one in df.")


def _initial_name(state: Hashable) -> str:
    """Return the column of X with the initial value of a state."""
    return f"initial {state}"


def _first(
    part: LongTable, segment: int, state: Hashable, source: Any, *, is_measured: bool
) -> float:
    """Return the initial value of a state in one record, NaN if it is unknown."""
    if is_measured and source == state:
        return part.values[state][0]
    if source is None or segment > 0:
        return np.nan
    if not isinstance(source, str):
        return float(source)
    given = np.flatnonzero(~part.is_event)
    return part.values[source][given[0]] if len(given) else np.nan


def _require_inputs(part: LongTable, inputs: Sequence[Hashable]) -> None:
    """Raise a ValueError if an input is missing in a record."""
    for name in inputs:
        missing = np.isnan(part.values[name])
        if missing.any():
            at = missing.argmax()
            raise ValueError(
                f"The input {name!r} is missing in {missing.sum()} of {len(missing)} rows of run "
                f"{part.runs[part.run[at]]!r}, first at time {part.given_time.iloc[at]} (index "
                f"{shown(part.row.iloc[at])}). Inputs must be known: fill them in, for example "
                f"with the last value (df.groupby(run)[{name!r}].ffill()), or give the table of "
                "changes as events."
            )


def _window(y: Sequence[np.ndarray]) -> int:
    """Return the shortest window that holds two later complete states from each complete one.

    Rows at events have no states, and windows that hold nothing else would not be trained on.
    """
    longest, most = 2, max(len(each) for each in y) - 1
    for each in y:
        complete = np.flatnonzero(~np.isnan(each).any(axis=1))
        if len(complete) > 2:
            longest = max(longest, int((complete[2:] - complete[:-2]).max()))
    return min(longest, most)


def _records_frame(records: Sequence[tuple[int, LongTable]]) -> Any:
    """Return a table with a row for each record."""
    rows = [
        {
            "run": part.runs[part.run[0]],
            "segment": segment,
            "begin": part.given_time.iloc[0],
            "end": part.given_time.iloc[-1],
            "n_rows": len(part.run),
        }
        for segment, part in records
    ]
    return import_pandas().DataFrame(rows)


def _index_frame(records: Sequence[tuple[int, LongTable]]) -> Any:
    """Return a table with a row for each row of each record."""
    pandas = import_pandas()
    frames = [
        pandas.DataFrame(
            {
                "record": number,
                "run": [part.runs[each] for each in part.run],
                "segment": segment,
                "time": part.given_time.to_numpy()
                if part.given_time.dtype.kind != "M"
                else part.given_time.array,
                "row": part.row.to_numpy(),
                "event": part.is_event,
            }
        )
        for number, (segment, part) in enumerate(records)
    ]
    return pandas.concat(frames, ignore_index=True)
