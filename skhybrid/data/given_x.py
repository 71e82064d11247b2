"""Read the X of an ODE: initial states, or records of inputs over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skhybrid.data.given_arrays import columns_named
from skhybrid.data.records import (
    check_counts,
    check_lengths,
    find_time_column,
    note_features,
    read_inputs,
    split_columns,
    without_columns,
)
from skhybrid.data.state_columns import check_state_columns, find_state_columns
from skhybrid.data.times import padded
from skhybrid.model.ode import ODE
from skhybrid.model.out_of_memory import require_memory


@dataclass(frozen=True)
class GivenX:
    """The content of X: initial states, or inputs over time."""

    state_shape: tuple[int, ...]
    state_names: tuple[str, ...]
    input_names: tuple[str, ...] = ()
    initial_states: np.ndarray | None = None
    inputs: np.ndarray | None = None
    times: np.ndarray | None = None
    time_column: int | None = None
    state_columns: tuple[int | None, ...] | None = None


def read_initial_states(
    estimator: BaseEstimator, ode: ODE, X: Any, outputs: Sequence[np.ndarray], reset: bool
) -> GivenX:
    """Read X as initial states."""
    with columns_named(X=X):
        X = validate_data(estimator, X, dtype=np.float64, allow_nd=True, reset=reset)
    check_counts(X, outputs)
    found = getattr(estimator, "feature_names_in_", None)
    names = _names(ode.state_names, found, X.shape[1], "state")
    return GivenX(state_shape=tuple(X.shape[1:]), state_names=names, initial_states=X)


def read_records(
    estimator: BaseEstimator, ode: ODE, X: Any, outputs: Sequence[np.ndarray], reset: bool
) -> GivenX:
    """Read X as inputs over time."""
    records, names = read_inputs(X, ode)
    check_counts(records, outputs)
    check_lengths(records, outputs)
    n_columns = records[0].shape[1]
    time_column = find_time_column(ode.times, names, n_columns)
    state_columns = find_state_columns(ode, names, n_columns)
    state_shape = tuple(_state_shape(ode, outputs[0].shape[1:]))
    check_state_columns(state_columns, state_shape, time_column)
    note_features(estimator, records, names, reset=reset)
    records, times, initial_states = split_columns(records, time_column, state_columns)
    names = without_columns(names, time_column, state_columns)
    n_inputs = records[0].shape[1]
    return GivenX(
        state_shape=state_shape,
        state_names=_names(ode.state_names, None, state_shape[0], "state"),
        input_names=_names(ode.input_names, names or None, n_inputs, "input"),
        initial_states=initial_states,
        inputs=padded(records, None) if n_inputs else None,
        times=times,
        time_column=time_column,
        state_columns=state_columns,
    )


def _names(
    given: Sequence[str] | None, found: Sequence[str] | None, n: int, role: str
) -> tuple[str, ...]:
    """Return the given names, or the column names, or numbered ones for a "state" or "input"."""
    require_memory(8.0 * n, f"The {role} with {n} components")
    if given is None:
        given = found if found is not None else [f"{role}_{i}" for i in range(n)]
    if len(given) != n:
        raise ValueError(
            f"{role}_names has {len(given)} names for {n} {role}s: {', '.join(map(str, given))}."
        )
    return tuple(map(str, given))


def component_names(names: Sequence[str] | None, n_states: int) -> tuple[str, ...]:
    """Return the names of states and of the time."""
    return (*_names(names, None, n_states, "state"), "time")


def _state_shape(ode: ODE, output_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a state, or raise a ValueError if it is unknown."""
    if ode.observe is None:
        return output_shape
    n_states = ode.n_states
    if n_states is None and ode.names_initial_states:
        n_states = len(ode.initial_state)
    if n_states is None and np.ndim(ode.state_guess) == 1:
        n_states = len(ode.state_guess)
    if n_states is None:
        raise ValueError(
            "ODE has observe, and X holds inputs, so that the number of states is not known: give "
            "n_states."
        )
    return (n_states,)
