"""Columns of a table that hold groups of rows: their labels become codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skhybrid.data.columns import network_columns
from skhybrid.exceptions import ParameterWarning, UnknownGroupWarning
from skhybrid.model.physics import Physics
from skhybrid.runtime.user_warnings import warn

# Code of a group that was not in the training rows.
UNKNOWN = -1.0
# So many unknown groups a warning names.
MAX_NAMED = 5
# Labels of groups are seldom numbers with fractions. With fewer rows than this for each such label,
# the column rather holds measurements.
MIN_ROWS_OF_FRACTIONS = 5

Labels = Mapping[int, Sequence[Any]]


def encode_training_groups(X: Any, physics: Physics | None) -> tuple[Any, dict[int, list]]:
    """Return a table with codes in place of groups, and the labels of the groups by column.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        It is not changed. Columns of groups may hold texts, numbers or categories.
    physics : Physics or None
        Its parameters name the columns with ``per``.

    Returns
    -------
    X : array-like
        The code of a group is the number of its label, in sorted order.
    labels : dict of int to list
        By the number of the column.

    Raises
    ------
    NetworkError
        If X does not have a column.
    ValueError
        If the group of a row is missing.

    Warns
    -----
    ParameterWarning
        If there is one group only, one for each row, or many that are numbers with fractions.
    """
    if physics is None or not physics.grouped:
        return X, {}
    X, labels = _editable(X), {}
    names = _names(X)
    if X.ndim != 2:  # scikit-learn says what is wrong
        return X, {}
    for name in physics.grouped:
        per, who = physics.params[name].per, f"per of {name!r}"
        (column,) = network_columns([per], names, X.shape[1], who=who)
        if column in labels:
            continue
        values = _values(X, column)
        labels[column] = _sorted(set(values))
        X = _with_codes(X, column, values, labels[column])
        _warn_of_few_groups(who, per, labels[column], len(values))
    return X, labels


def encode_groups(X: Any, labels: Labels, names: Sequence[str] | None, *, tell: bool = True) -> Any:
    """Return a table with the codes of training in place of groups.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    labels : mapping of int to sequence
        From :func:`encode_training_groups`.
    names : sequence of str or None
        Names of the columns in training.
    tell : bool, default=True
        Whether to warn of groups that were not in training.

    Warns
    -----
    UnknownGroupWarning
        If there are such groups. Their code is -1.
    """
    if not labels:
        return X
    X = _editable(X)
    for column, known in labels.items():
        place, now = column, _names(X)
        if names is not None and now is not None:
            if names[column] not in now:  # scikit-learn names what is missing
                return X
            place = now.index(names[column])
        elif X.ndim != 2 or X.shape[1] <= column:
            return X
        values = _values(X, place)
        X = _with_codes(X, place, values, known)
        unknown = _sorted(set(values) - set(known))
        if unknown and tell:
            shown = ", ".join(map(repr, unknown[:MAX_NAMED]))
            more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
            warn(
                f"Column {_shown(names, column)} of X has groups that were not in training: "
                f"{shown}{more}. Their rows get the common values of the parameters.",
                UnknownGroupWarning,
            )
    return X


def decode_groups(X: np.ndarray, labels: Labels) -> np.ndarray:
    """Return an array with the labels of groups in place of their codes."""
    if not labels:
        return X
    X = X.astype(object)
    for column, known in labels.items():
        X[:, column] = [known[int(code)] for code in X[:, column]]
    return X


def _editable(X: Any) -> Any:
    """Return a pandas DataFrame as it is, and anything else as an array."""
    if hasattr(X, "iloc"):
        return X
    if hasattr(X, "to_pandas"):
        return X.to_pandas()
    array = np.asarray(X)
    return np.array(X, dtype=object) if array.dtype.kind in "US" else array


def _names(X: Any) -> list[str] | None:
    """Return the names of a DataFrame's columns; None for an array."""
    if not hasattr(X, "columns"):  # an array, or a Series, which scikit-learn refuses
        return None
    return [*X.columns] if all(isinstance(each, str) for each in X.columns) else None


def _values(X: Any, column: int) -> list[Any]:
    """Return the labels of all rows; raise a ValueError if one is missing."""
    values = X.iloc[:, column].astype(object) if hasattr(X, "iloc") else X[:, column]
    if hasattr(values, "isna"):
        missing = values.isna().to_numpy()
    else:
        missing = np.array([each is None or each != each for each in values], dtype=bool)
    if missing.any():
        raise ValueError(
            f"Column {_shown(_names(X), column)} of X, which holds groups (per), is missing in "
            f"{missing.sum()} of {len(missing)} rows; the first is row {missing.argmax()}. Fill in "
            "the groups, or leave these rows out."
        )
    return [each.item() if isinstance(each, np.generic) else each for each in values]


def _with_codes(X: Any, column: int, values: Sequence[Any], labels: Sequence[Any]) -> Any:
    """Return a copy of a table with codes in one column."""
    code_of = {label: float(code) for code, label in enumerate(labels)}
    codes = np.array([code_of.get(each, UNKNOWN) for each in values])
    if hasattr(X, "iloc"):
        X = X.copy(deep=False)
        X.isetitem(column, codes)
        return X
    X = X.copy() if X.dtype.kind in "fO" else X.astype(np.float64)
    X[:, column] = codes
    return X


def _sorted(labels: set[Any]) -> list[Any]:
    """Return labels in order; labels of different types by type and text."""
    try:
        return sorted(labels)
    except TypeError:
        return sorted(labels, key=lambda each: (type(each).__name__, str(each)))


def _shown(names: Sequence[str] | None, column: int) -> str:
    """Return the name of a column for messages, or its number."""
    return str(column) if names is None else repr(str(names[column]))


def _warn_of_few_groups(who: str, per: str | int, labels: Sequence[Any], n_rows: int) -> None:
    """Warn if groups say nothing about how their values differ."""
    if len(labels) == 1:
        what = f"has one group only, {labels[0]!r}, so its value is the common one"
    elif len(labels) == n_rows:
        what = (
            f"has a group for each of the {n_rows} rows, so values of groups cannot be told from "
            "noise"
        )
    elif len(labels) * MIN_ROWS_OF_FRACTIONS > n_rows and any(map(_is_fraction, labels)):
        what = (
            f"holds numbers with fractions, {len(labels)} different ones in {n_rows} rows, and "
            "only rows with the same number are a group"
        )
    else:
        return
    remedy = " Is this the right column?"
    if any(map(_is_fraction, labels)):
        remedy += f" For a parameter that changes with its numbers write depends_on=[{per!r}]."
    warn(f"{who}: column {per!r} of X {what}.{remedy}", ParameterWarning)


def _is_fraction(label: Any) -> bool:
    """Whether a label is a number that is no integer, as measurements are."""
    return isinstance(label, float | np.floating) and not float(label).is_integer()
