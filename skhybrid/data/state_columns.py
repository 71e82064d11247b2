"""Columns of X that hold the initial states of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skhybrid.model.ode import ODE
from skhybrid.runtime.suggestions import suggestion


def find_state_columns(
    ode: ODE, names: Sequence[str], n_columns: int
) -> tuple[int | None, ...] | None:
    """Return the numbers of the columns that ``ODE(initial_state=[...])`` lists.

    Parameters
    ----------
    ode : ODE
    names : sequence of str
        Column names of X; none for arrays.
    n_columns : int

    Returns
    -------
    columns : tuple of int or None, or None
        For each state; None is an unknown initial value. None without a list.

    Raises
    ------
    ValueError
        If X does not have a column.
    """
    if not ode.names_initial_states:
        return None
    columns = []
    for each in ode.initial_state:
        if isinstance(each, str):
            if each not in names:
                raise ValueError(
                    f"initial_state of ODE names {each!r}, a column that X does not have"
                    f"{suggestion(each, names)} Columns of X: {', '.join(names) or 'none'}."
                )
            columns.append(list(names).index(each))
        elif each is None:
            columns.append(None)
        elif -n_columns <= each < n_columns:
            columns.append(int(each) % n_columns)
        else:
            raise ValueError(
                f"initial_state of ODE has column {each}, but X has {n_columns} columns."
            )
    return tuple(columns)


def check_state_columns(
    columns: Sequence[int | None] | None, state_shape: tuple[int, ...], time_column: int | None
) -> None:
    """Raise a ValueError if columns do not match the states, or one is the column of times."""
    if columns is None:
        return
    if state_shape != (len(columns),):
        raise ValueError(
            f"initial_state of ODE has {len(columns)} entries, but a state has shape "
            f"{state_shape}: give a column of X, or None, for each state. If y holds only a "
            "part of the states, give observe."
        )
    if time_column is not None and time_column in columns:
        raise ValueError(
            f"Column {time_column} of X is both in times and in initial_state of ODE. An initial "
            "value needs a column of its own."
        )


def read_record(
    record: Any,
    name: str,
    names: Sequence[str],
    ode: ODE,
    columns: Sequence[int | None] | None = None,
) -> np.ndarray:
    """Return one record as an array in float64; only columns of initial states may hold NaN.

    Parameters
    ----------
    record : array-like of shape (n_times, n_columns)
    name : str
        Its name in messages.
    names : sequence of str
        Its column names; none for an array.
    ode : ODE
    columns : sequence of int or None, default=None
        Columns of initial states in the fit; None finds those that ``ode`` names.
    """
    if not ode.names_initial_states:
        return check_array(record, dtype=np.float64, input_name=name)
    array = check_array(record, dtype=np.float64, input_name=name, ensure_all_finite="allow-nan")
    if columns is None:
        columns = find_state_columns(ode, names, array.shape[1])
    missing = np.isnan(array)
    for column in columns:
        if column is not None:
            missing[:, column : column + 1] = False  # X may lack it; then its width is wrong
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise ValueError(
            f"{name} contains NaN in column {repr(names[column]) if names else column}, row {row}. "
            "Fill in this value. NaN is for unknown values in the columns of initial_state alone."
        )
    return array


def first_values(records: Sequence[np.ndarray], columns: Sequence[int | None]) -> np.ndarray:
    """Return the first values of columns in every record, NaN for a column that is None."""
    states = np.full((len(records), len(columns)), np.nan)
    for number, column in enumerate(columns):
        if column is not None:
            states[:, number] = [record[0, column] for record in records]
    return states
