"""Find the columns that the physics and the network read."""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import numpy as np

from skhybrid.exceptions import ColumnBindingWarning, NetworkError, PhysicsError
from skhybrid.runtime.suggestions import suggestion
from skhybrid.runtime.user_warnings import warn


def bind_columns(
    names: Sequence[str],
    feature_names: Sequence[str] | None,
    n_features: int,
    model: str,
    *,
    hint: str = "",
) -> list[int] | None:
    """Return the columns that a physics function reads, or None if it reads all of X.

    Parameters
    ----------
    names : sequence of str
        The function's positional arguments.
    feature_names : sequence of str or None
        Column names of X, None for an array.
    n_features : int
    model : str
        Name of the physics, for the message.
    hint : str, default=""
        What else to say about a column that X lacks.

    Raises
    ------
    PhysicsError
        If X lacks a column.

    Warns
    -----
    ColumnBindingWarning
        If X has no column names, and more columns than the function reads.
    """
    if tuple(names) == ("X",):
        return None
    hint += " An unknown of the physics goes after a star in its signature: def f(x, *, a=1.0)."
    if feature_names is not None:
        missing = [name for name in names if name not in list(feature_names)]
        if missing:
            is_typo = suggestion(missing[0], feature_names) != "."
            raise PhysicsError(
                f"physics {model!r} needs {_no_column(missing[0], feature_names)}"
                + ("" if is_typo else hint)
            )
        return [list(feature_names).index(name) for name in names]
    if len(names) > n_features:
        raise PhysicsError(
            f"physics {model!r} reads {len(names)} features ({', '.join(names)}), in this order; "
            f"X has only {n_features}.{hint}"
        )
    if names and n_features > len(names):
        bound = ", ".join(f"{name} is column {column}" for column, name in enumerate(names))
        warn(
            f"X has no column names, so physics {model!r} reads its columns by position: {bound}. "
            f"X has {n_features} columns; if this order is wrong, so is every parameter. Give X as "
            "a DataFrame, whose columns are bound by name. In a pipeline, let the steps before "
            'keep the names: set_output(transform="pandas").',
            ColumnBindingWarning,
            once=(ColumnBindingWarning, model, tuple(names), n_features),
        )
    return list(range(len(names)))


def network_columns(
    nn_features: Sequence[str | int] | None,
    feature_names: Sequence[str] | None,
    n_features: int,
    *,
    who: str = "nn_features",
) -> list[int] | None:
    """Return the columns that the network may read, or None for all.

    Parameters
    ----------
    nn_features : sequence of str or int, or None
        Column names or numbers.
    feature_names : sequence of str or None
        Column names of X, None for an array.
    n_features : int
    who : str, default="nn_features"
        What names the columns, for the messages.

    Raises
    ------
    NetworkError
        If a column does not exist, or none is named.
    """
    if nn_features is None:
        return None
    if len(nn_features) == 0:
        raise NetworkError(f"{who} is empty. For a model without a network, set nn=None.")
    columns = []
    for feature in nn_features:
        if isinstance(feature, str):
            if feature_names is None:
                raise NetworkError(
                    f"{who} names {feature!r}, but X has no column names. Give X as a "
                    "DataFrame, or the columns as numbers."
                )
            if feature not in list(feature_names):
                raise NetworkError(f"{who} names {_no_column(feature, feature_names)}")
            columns.append(list(feature_names).index(feature))
        elif isinstance(feature, (bool, np.bool_)) or not isinstance(feature, numbers.Integral):
            raise NetworkError(
                f"{who} must hold column names or column numbers; it has {feature!r}."
            )
        elif -n_features <= feature < n_features:
            columns.append(int(feature) % n_features)
        else:
            raise NetworkError(f"{who} has column {feature}; X has {n_features} columns.")
    return columns


def _no_column(name: str, feature_names: Sequence[str]) -> str:
    """Return the part of a message about a column that X does not have."""
    return (
        f"a column {name!r}, which X does not have{suggestion(name, feature_names)} "
        f"Columns of X: {', '.join(feature_names)}."
    )
