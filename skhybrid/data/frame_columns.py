"""Read the columns of a long table: their names, their numbers and its runs."""

from __future__ import annotations

import numbers
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from skhybrid.runtime.frames import import_pandas
from skhybrid.runtime.suggestions import suggestion


def check_frame(df: Any, name: str = "df") -> None:
    """Raise an error if a table is no DataFrame, has no rows or a column name twice.

    Raises
    ------
    TypeError, ValueError
    """
    pandas = import_pandas()
    if not isinstance(df, pandas.DataFrame):
        remedy = "pass a DataFrame with one row for each run and time."
        if isinstance(df, pandas.Series):
            remedy = f"pass {name}.reset_index(), so that its index becomes columns."
        elif hasattr(df, "to_pandas"):
            remedy = f"pass {name}.to_pandas()."
        raise TypeError(f"{name} is a {type(df).__name__}, not a pandas DataFrame: {remedy}")
    if len(df) == 0:
        raise ValueError(f"{name} has no rows (columns: {_names(df.columns)}).")
    if not df.columns.is_unique:
        twice = df.columns[df.columns.duplicated()][0]
        raise ValueError(f"{name} has more than one column named {twice!r}. Rename one of them.")


def require_column(df: Any, column: Hashable, argument: str, table: str = "df") -> None:
    """Raise a ValueError if a table does not have the column that an argument names."""
    if column in df.columns:
        return
    if column in df.index.names:
        raise ValueError(
            f"{argument}={column!r} is a level of the index of {table}, not a column. Pass "
            f"{table}.reset_index()."
        )
    raise ValueError(
        f"{argument} names {column!r}, a column that {table} does not have"
        f"{suggestion(str(column), map(str, df.columns))} Columns of {table}: {_names(df.columns)}."
    )


def listed(given: Any, argument: str) -> list[Hashable]:
    """Return the column names that the user gave: one name, a list of names, or None.

    Raises
    ------
    ValueError
        If the list is empty or has a name twice.
    """
    if given is None:
        return []
    is_name = isinstance(given, Hashable) and not isinstance(given, tuple)
    names = [given] if is_name else list(given)
    if not names:
        raise ValueError(f"{argument} is empty. Give the names of columns, or leave it out.")
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise ValueError(f"{argument} has the column {twice[0]!r} twice.")
    return names


def require_separate(roles: dict[str, Sequence[Hashable]]) -> None:
    """Raise a ValueError if a column has two roles.

    Parameters
    ----------
    roles : dict of str to sequence
        Columns of each argument.
    """
    taken: dict[Hashable, str] = {}
    for argument, columns in roles.items():
        for column in columns:
            if column in taken:
                raise ValueError(
                    f"The column {column!r} is both in {taken[column]} and in {argument}. Leave it "
                    "out of one of them."
                )
            taken[column] = argument


def read_runs(column: Any, name: Hashable, table: str = "df") -> tuple[np.ndarray, list[Any]]:
    """Return the run of each row, as numbers, and the runs in the order of their first rows.

    Parameters
    ----------
    column : Series
    name : hashable
        Its name in messages.
    table : str, default="df"

    Raises
    ------
    ValueError
        If a run is missing.
    """
    require_no_missing(column, name, table, "The run of each row must be known: fill it in")
    codes, runs = import_pandas().factorize(column)
    return codes, list(runs)


def require_no_missing(column: Any, name: Hashable, table: str, remedy: str) -> None:
    """Raise a ValueError if values of a Series are missing."""
    missing = column.isna().to_numpy()
    if missing.any():
        row = column.index[missing.argmax()]
        raise ValueError(
            f"Column {name!r} of {table} is missing in {missing.sum()} of {len(column)} rows; the "
            f"first has the index {shown(row)}. {remedy}, or leave these rows out "
            f"({table}.dropna(subset=[{name!r}]))."
        )


def read_numbers_of(column: Any, name: Hashable, table: str = "df") -> np.ndarray:
    """Return a column as an array of float64, NaN where a value is missing.

    Raises
    ------
    ValueError
        If it holds texts, dates, complex numbers or infinity.
    """
    pandas = import_pandas()
    if isinstance(column.dtype, pandas.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if column.dtype.kind in "mMc":
        raise ValueError(
            f"Column {name!r} of {table} holds {column.dtype}; it must hold real numbers."
        )
    if column.dtype.kind not in "biuf":
        for row, value in column.items():
            if not _is_number(value):
                raise ValueError(
                    f"Column {name!r} of {table} holds the text {value!r} in the row with the "
                    f"index {shown(row)}; it must hold numbers. For values that were not measured: "
                    f'{table}[{name!r}] = pandas.to_numeric({table}[{name!r}], errors="coerce"). '
                    "Turn categories into numbers, for example with pandas.get_dummies."
                )
        column = column.map(lambda value: np.nan if pandas.isna(value) else float(value))
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        row = shown(column.index[infinite.argmax()])
        raise ValueError(
            f"Column {name!r} of {table} holds infinity in {infinite.sum()} rows; the first has "
            f"the index {row}. Make it NaN if it was not measured."
        )
    return values


def shown(value: Any) -> str:
    """Return a run or the index of a row as text for messages."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _is_number(value: Any) -> bool:
    """Return whether a value is a real number, a text of one, or missing."""
    if value is None or value is import_pandas().NA or isinstance(value, numbers.Real):
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _names(columns: Any) -> str:
    """Return column names as text."""
    return ", ".join(map(str, columns)) or "none"
