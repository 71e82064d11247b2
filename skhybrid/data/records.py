"""Check the arrays of each trajectory that the user gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skhybrid.data.given_arrays import columns_named
from skhybrid.data.missing_targets import mask_suggested
from skhybrid.data.state_columns import first_values, read_record
from skhybrid.data.times import padded
from skhybrid.model.ode import ODE
from skhybrid.runtime.suggestions import suggestion


def read_outputs(y: Any, masked: bool) -> tuple[list[np.ndarray], bool]:
    """Return the outputs of every trajectory, with an axis for the outputs.

    Parameters
    ----------
    y : array-like or list of array-like
    masked : bool
        Whether NaN is a missing value rather than an error.

    Returns
    -------
    outputs : list of arrays of shape (n_times, *output_shape)
    scalar : bool
        Whether y has one output, without an axis for it.
    """
    settings = {
        "dtype": np.float64,
        "allow_nd": True,
        "ensure_2d": False,
        "ensure_all_finite": "allow-nan" if masked else True,
        "input_name": "y",
    }
    with mask_suggested():
        if _is_ragged(y):
            arrays = []
            for each in y:
                with columns_named(y=each):
                    arrays.append(check_array(each, **settings))
            scalar = arrays[0].ndim == 1
        else:
            with columns_named(y=y):
                whole = check_array(y, **settings)
            scalar = whole.ndim == 2
            arrays = list(whole)
    if arrays[0].ndim < 1 or (not _is_ragged(y) and whole.ndim < 2):
        raise ValueError(
            f"y must have shape (n_trajectories, n_times, n_outputs); it has shape {whole.shape}."
        )
    if scalar:
        arrays = [each[:, None] for each in arrays]
    shapes = {each.shape[1:] for each in arrays}
    if len(shapes) > 1:
        raise ValueError(f"The trajectories in y have outputs of different shapes: {shapes}.")
    return arrays, scalar


def read_inputs(
    X: Any, ode: ODE, state_columns: Sequence[int | None] | None = None
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Return the inputs of every trajectory, of shape (n_times, n_inputs), and their names.

    Only columns of initial states may hold NaN: those of the fit (``state_columns``), or those
    that ``ode`` names.
    """
    with columns_named(X=X):
        shape = () if _is_ragged(X) else np.shape(X)
    if shape[:1] == (0,):
        raise ValueError(
            "X has no trajectories. Give the inputs of one trajectory at least, of shape (n_times, "
            "n_inputs)."
        )
    if not _is_ragged(X) and len(shape) != 3:
        raise ValueError(
            "With inputs over time X must have shape (n_trajectories, n_times, n_inputs), or be a "
            f"list of arrays of shape (n_times, n_inputs); it has shape {shape}. For initial "
            "states set inputs=None."
        )
    names: tuple[str, ...] = ()
    records = []
    for number, each in enumerate(X):
        columns = tuple(map(str, getattr(each, "columns", ())))
        if number == 0:
            names = columns
        elif columns != names:
            raise ValueError(
                f"Trajectory {number} of X has columns {columns}, the first one has {names}."
            )
        name = f"X[{number}]"
        with columns_named(**{name: each}):
            records.append(read_record(each, name, names, ode, state_columns))
    widths = {record.shape[1] for record in records}
    if len(widths) > 1:
        raise ValueError(f"The trajectories in X have different numbers of inputs: {widths}.")
    return records, names


def _is_ragged(values: Any) -> bool:
    """Return whether trajectories come as a list of arrays or DataFrames."""
    return isinstance(values, (list, tuple)) and len(values) > 0 and hasattr(values[0], "shape")


def check_counts(X: Any, outputs: Sequence[np.ndarray]) -> None:
    """Raise a ValueError if X and y have different numbers of trajectories."""
    if len(X) != len(outputs):
        raise ValueError(f"X has {len(X)} trajectories, but y has {len(outputs)}.")


def check_lengths(records: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
    """Raise a ValueError if inputs and outputs have different numbers of times."""
    for i, (record, output) in enumerate(zip(records, outputs, strict=True)):
        if len(record) != len(output):
            raise ValueError(
                f"Trajectory {i} has inputs at {len(record)} times, but outputs at {len(output)}: "
                "with inputs over time, outputs must be given at the same times."
            )


def find_time_column(times: Any, names: Sequence[str], n_columns: int) -> int | None:
    """Return the number of the column of times that ``ODE(times=...)`` names, or None."""
    if isinstance(times, str):
        if times not in names:
            raise ValueError(
                f"ODE(times={times!r}) names a column that X does not have"
                f"{suggestion(times, names)} Columns of X: {', '.join(names) or 'none'}."
            )
        return list(names).index(times)
    if isinstance(times, (int, np.integer)):
        if not -n_columns <= times < n_columns:
            raise ValueError(f"ODE(times={times}) is a column, but X has {n_columns} of them.")
        return int(times) % n_columns
    return None


def split_columns(
    records: Sequence[np.ndarray],
    time_column: int | None,
    state_columns: Sequence[int | None] | None,
) -> tuple[list[np.ndarray], np.ndarray | None, np.ndarray | None]:
    """Return the inputs of records, their padded times and their initial states.

    Times and initial states are None without columns for them.
    """
    times, states = None, None
    if time_column is not None:
        times = padded([record[:, time_column] for record in records], np.nan)
    if state_columns is not None:
        states = first_values(records, state_columns)
    removed = _own_columns(time_column, state_columns)
    return [np.delete(record, removed, axis=1) for record in records], times, states


def without_columns(
    names: Sequence[str], time_column: int | None, state_columns: Sequence[int | None] | None
) -> tuple[str, ...]:
    """Return the names of the inputs, from those of all columns."""
    removed = _own_columns(time_column, state_columns)
    return tuple(name for column, name in enumerate(names) if column not in removed)


def _own_columns(time_column: int | None, state_columns: Sequence[int | None] | None) -> list[int]:
    """Return the columns that are no inputs."""
    return [each for each in (time_column, *(state_columns or ())) if each is not None]


def note_features(
    estimator: Any, records: Sequence[np.ndarray], names: Sequence[str], *, reset: bool
) -> None:
    """Note the columns of the inputs on the estimator, or compare them with the noted ones."""
    n_columns = records[0].shape[1]
    if reset:
        estimator.n_features_in_ = n_columns
        vars(estimator).pop("feature_names_in_", None)
        if names:
            estimator.feature_names_in_ = np.array(names, dtype=object)
        return
    if n_columns != estimator.n_features_in_:
        raise ValueError(
            f"X has {n_columns} inputs, but {type(estimator).__name__} was fitted with "
            f"{estimator.n_features_in_}."
        )
    known = getattr(estimator, "feature_names_in_", None)
    if names and known is not None and tuple(names) != tuple(known):
        raise ValueError(f"X has columns {tuple(names)}, but the model was fitted with {known}.")
