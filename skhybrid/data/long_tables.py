"""Long tables, with a row for each run and time, as X and y of an ODE."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from skhybrid.data.frame_columns import (
    check_frame,
    listed,
    read_numbers_of,
    read_runs,
    require_column,
    require_separate,
    shown,
)
from skhybrid.data.frame_events import LongTable, add_events
from skhybrid.data.frame_records import build_records, constant_in_runs, cut_records
from skhybrid.data.frame_segments import check_segments
from skhybrid.data.frame_times import read_frame_times
from skhybrid.data.frame_trajectories import FrameTrajectories


def trajectories_from_frame(
    df: Any,
    run: Hashable | None = None,
    time: Hashable = "time",
    states: Any = None,
    outputs: Any = None,
    inputs: Any = None,
    *,
    features: Any = None,
    initial_states: Mapping[str, Any] | None = None,
    events: Any = None,
    segments: int | str | None = None,
    gap: float | None = None,
    time_unit: str | None = None,
    time_origin: Any = None,
) -> FrameTrajectories:
    """Turn a long table, with a row for each run and time, into X and y of an ODE.

    Rows need no order; runs may have different times and lengths. Each run, or each segment of it,
    becomes a record: a DataFrame in the list ``X``, whose columns are the time, the inputs, the
    features and the initial states. So times and initial states go along in cross-validation,
    searches and ``predict``.

    Parameters
    ----------
    df : DataFrame
    run : hashable, default=None
        Column that identifies the run (subject, batch, experiment). None: the table is one run.
    time : hashable, default="time"
        Column of times: numbers, which keep their unit, or dates or durations with ``time_unit``.
    states : name or list of names, default=None
        Columns of the states, if all states are measured. Each record starts at its first row.
    outputs : name or list of names, default=None
        Columns of what is measured, if it is not the states: give ``ODE(observe=...)``. Without
        ``states`` and ``outputs`` there is no y, for predictions alone.
    inputs : name or list of names, default=None
        Columns of the inputs over time, of ``df`` or ``events``. None may be missing.
    features : name or list of names, default=None
        Columns that are constant in a run, such as a weight or the code of a site. They become
        inputs, after the others: physics and network read them as ``inputs[:, k]``.
    initial_states : dict, default=None
        For each state, in order, its value at the first row of a run: a column of ``df``, a number,
        or None if it is unknown. They are ``ODE(initial_state=[...])``. Later segments of a run
        begin at unknown states. With ``states``, it replaces some measured first values.
    events : DataFrame, default=None
        Changes of inputs at times between those of ``df``, such as doses and switches. It has the
        columns ``run``, ``time``, and the ``inputs`` that ``df`` does not have. An input is zero
        before its first event and keeps its value until the next one. The records get rows at these
        times, without outputs, so that the steps of the solver end where inputs jump. A dose is an
        infusion: its rate at one row, zero at a later one. Other inputs keep their value there. A
        record begins at its first row or event, and so does its initial state.
    segments : int, "gaps" or None, default=None
        Whether to cut runs: "gaps" cuts at every interval longer than ``gap``; a number is that of
        rows in a segment. None keeps whole runs.
    gap : float, default=None
        Longest interval within a segment, in the unit of time. None is five times the median
        interval of the run.
    time_unit : {"ns", "us", "ms", "s", "min", "h", "d", "week"}, default=None
        Unit of the times, if they are dates or durations. It is the unit of time in θ.
    time_origin : date, default=None
        Time zero of dates. None is the first date in ``df``. Physics that reads ``t`` needs the
        same zero for new data: give ``data.time_origin``.

    Returns
    -------
    data : FrameTrajectories
        A Bunch with the keys

        - X, y : lists, with a DataFrame and an array of shape (n_rows, n_outputs) for each record.
          NaN in y is a missing value.
        - ode : dict, arguments of :class:`ODE` for these records.
        - regressor : dict, arguments of :class:`HybridRegressor`: ``missing_targets="mask"`` if
          values are missing, otherwise empty.
        - groups : array, the run of each record, for ``GroupKFold``.
        - records : DataFrame, run, segment, first and last time and number of rows of each record.
        - index : DataFrame, for each row of each record: record, run, segment, time, row (index in
          ``df``) and whether it is an event.
        - output_names, input_names, state_names : lists of str. Features are inputs.
        - time_origin : Timestamp, time zero of dates, or None.

        ``data.to_frame(predictions)`` turns predictions into a long table.

    Raises
    ------
    TypeError, ValueError
        If a column is missing, holds texts or has two roles; if times, runs or inputs are missing;
        if a run has a time twice; if a feature changes in a run; if no record is left.

    Warns
    -----
    LeftOutWarning
        If records are left out, because they have one row or no measured value.

    Examples
    --------
    >>> import pandas as pd
    >>> from skhybrid import trajectories_from_frame
    >>> df = pd.DataFrame(
    ...     {
    ...         "tank": ["b", "a", "a", "b", "b"],
    ...         "hour": [0.0, 0.0, 2.0, 1.0, 5.0],
    ...         "level": [3.0, 5.0, 4.0, 2.5, None],
    ...     }
    ... )
    >>> data = trajectories_from_frame(df, run="tank", time="hour", states="level")
    >>> data.X[0]
       hour  initial level
    0   0.0            3.0
    1   1.0            3.0
    2   5.0            3.0
    >>> data.ode["times"], data.ode["initial_state"], data.regressor
    ('hour', ['initial level'], {'missing_targets': 'mask'})

    Then ``HybridRegressor(physics, structure=ODE(**data.ode), **data.regressor)`` is fitted to
    ``data.X`` and ``data.y``.
    """
    check_frame(df)
    check_segments(segments, gap)
    measured = _measured(states, outputs)
    inputs, features = listed(inputs, "inputs"), listed(features, "features")
    from_events = _columns_of_events(df, events, inputs)
    held = [name for name in inputs if name not in from_events]
    roles = {"run": [] if run is None else [run], "time": [time]}
    roles |= {"states" if states is not None else "outputs": measured}
    roles |= {"inputs": inputs, "features": features}
    require_separate(roles)
    for argument, columns in roles.items():
        for column in columns:
            if column not in from_events:
                require_column(df, column, argument)
    initial = _initial_states(df, initial_states, measured if states is not None else None)
    numbers = [*measured, *held, *features, *_columns(initial)]
    times = read_frame_times(df[time], time, time_unit, time_origin)
    table = _read_table(df, run, times, numbers)
    _require_different_times(table, run, time)
    constant_in_runs(table, features)
    if events is not None:
        own = {"unit": time_unit, "origin": times.origin}
        held = [*held, *features]
        table = add_events(table, events, run, time, from_events, held=held, **own)
    records = cut_records(table, measured, segments, gap)
    return build_records(
        records,
        states=None if states is None else measured,
        outputs=measured,
        inputs=[*inputs, *features],
        initial=initial,
        time=time,
        run=run,
        is_cut=segments is not None,
        time_origin=times.origin,
    )


def _measured(states: Any, outputs: Any) -> list[Hashable]:
    """Return the measured columns."""
    if states is not None and outputs is not None:
        raise ValueError(
            "states and outputs are both given. Give states if all states of the ODE are measured, "
            "otherwise outputs, and ODE(observe=...)."
        )
    return listed(states, "states") or listed(outputs, "outputs")


def _columns_of_events(df: Any, events: Any, inputs: Sequence[Hashable]) -> list[Hashable]:
    """Return the inputs that events give."""
    if events is None:
        return []
    check_frame(events, "events")
    found = [name for name in inputs if name in events.columns]
    both = [name for name in found if name in df.columns]
    if both:
        raise ValueError(
            f"The input {both[0]!r} is a column of df and of events. Rename it in one of them: "
            "events set an input from their time on, df at its own rows."
        )
    if not found:
        raise ValueError(
            f"events has the columns {', '.join(map(str, events.columns))}, and none of them is in "
            f"inputs ({', '.join(map(str, inputs)) or 'none'}). Name those that events change."
        )
    return found


def _initial_states(
    df: Any, given: Mapping[str, Any] | None, states: Sequence[Hashable] | None
) -> dict[Hashable, Any] | None:
    """Return where the initial value of each state is from, or None if no initial state is known.

    Raises
    ------
    ValueError
        If a column does not exist, or a value is neither a name nor a number.
    """
    if given is None and states is None:
        return None
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(
            f"initial_states={given!r} must be a dict from the name of each state to a column of "
            "df, a number or None, such as {'depot': 'dose', 'blood': 0.0}."
        )
    given = dict(given or {})
    if states is not None:
        unknown = [name for name in given if name not in states]
        if unknown:
            raise ValueError(
                f"initial_states has {unknown[0]!r}, which is not in states ("
                f"{', '.join(map(str, states))})."
            )
        given = {name: given.get(name, name) for name in states}
    for name, value in given.items():
        if isinstance(value, str):
            require_column(df, value, f"initial_states[{name!r}]")
        elif not (value is None or (np.isscalar(value) and np.isfinite(value))):
            raise ValueError(
                f"initial_states[{name!r}] is {value!r}; it must be a column of df, a number, or "
                "None for an unknown value."
            )
    if not given or all(value is None for value in given.values()):
        raise ValueError("initial_states has no known value. Leave it out: they are learned then.")
    return given


def _columns(initial: Mapping[Hashable, Any] | None) -> list[Hashable]:
    """Return the columns of a table that hold initial states."""
    return [value for value in (initial or {}).values() if isinstance(value, str)]


def _read_table(
    df: Any, run: Hashable | None, times: Any, columns: Sequence[Hashable]
) -> LongTable:
    """Return the rows of the user's table, sorted."""
    codes, runs = np.zeros(len(df), dtype=int), [0]
    if run is not None:
        codes, runs = read_runs(df[run], run)
    values = {name: read_numbers_of(df[name], name) for name in columns}
    row = df.index.to_series()
    is_event = np.zeros(len(df), dtype=bool)
    return LongTable(codes, runs, times.values, times.given, row, is_event, values).sorted()


def _require_different_times(table: LongTable, run: Hashable | None, time: Hashable) -> None:
    """Raise a ValueError if a run has a time twice."""
    repeated = table.repeated()
    if not repeated.any():
        return
    at = repeated.argmax()
    keys = [time] if run is None else [run, time]
    where = "The table" if run is None else f"Run {table.runs[table.run[at]]!r}"
    remedy = (
        f"For repeated measurements take their mean: df.groupby({keys!r}, as_index=False)"
        ".mean(numeric_only=True)."
    )
    if run is None:
        remedy += " If the table has several runs, name their column: run=..."
    raise ValueError(
        f"{where} has the time {table.given_time.iloc[at]} more than once ({repeated.sum()} "
        f"repeated in all; two of them have the index {shown(table.row.iloc[at - 1])} and "
        f"{shown(table.row.iloc[at])}). {remedy}"
    )
