"""Read the user's arrays as trajectories of states or outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skhybrid.data.corrected_rates import find_corrected_rates
from skhybrid.data.free_states import check_free_states, free_state_names, with_free_states
from skhybrid.data.given_arrays import columns_named, read_weights
from skhybrid.data.records import (
    check_counts,
    check_lengths,
    find_time_column,
    note_features,
    read_inputs,
    read_outputs,
    split_columns,
    without_columns,
)
from skhybrid.data.state_columns import check_state_columns, find_state_columns
from skhybrid.data.state_guesses import guess_states, is_noisy
from skhybrid.data.times import has_first_times, padded, read_times, uniform_step
from skhybrid.data.training_range import range_of_trajectories
from skhybrid.data.trajectories import Trajectories
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.exceptions import PhysicsError
from skhybrid.model.layout import Layout
from skhybrid.model.ode import ODE
from skhybrid.model.out_of_memory import require_memory
from skhybrid.model.physics import Physics
from skhybrid.runtime.suggestions import suggestion

# Names of an argument that can only be the time. An unused first argument begins with "_".
TIME_NAMES = ("t", "time")


def read_trajectories(
    estimator: BaseEstimator,
    ode: ODE,
    physics: Physics | None,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    masked: bool,
    reset: bool,
) -> tuple[Trajectories, TrajectoryInfo]:
    """Check the user's arrays and return them as trajectories.

    Parameters
    ----------
    estimator : HybridRegressor
        Notes the features of X.
    ode : ODE
    physics : Physics or None
    X, y, sample_weight
        As given to ``fit``.
    masked : bool
        Whether NaN in y is a missing value rather than an error.
    reset : bool
        Whether the estimator notes the features of X anew; otherwise it compares them.

    Returns
    -------
    trajectories : Trajectories
    info : TrajectoryInfo

    Raises
    ------
    PhysicsError
        If the physics is not a right-hand side for these data.
    ValueError
        If X, y and the options of the ODE do not agree.
    """
    ode.validate()
    check_signature(physics, ode)
    outputs, scalar = read_outputs(y, masked)
    read_x = _read_initial_states if ode.inputs is None else _read_records
    given = read_x(estimator, ode, X, outputs, reset)
    _check_outputs(ode, given, outputs)
    values, lengths = _observations(ode, given, outputs)
    with_first = ode.inputs is not None
    times = read_times(ode, len(values), lengths, with_first, given.times)
    ode.require_few_steps(times.shape[1] - 1, "over the longest trajectory in y")
    n_free, with_names = ode.n_free_states, ode.names_initial_states
    learns_all = ode.initial_state == "learned"
    learned = _learns_first_states(ode, values, times, lengths)
    layout = Layout(
        state_shape=given.state_shape,  # of the physics, as long as its states are guessed
        output_shape=tuple(outputs[0].shape[1:]),
        n_inputs=0 if given.inputs is None else given.inputs.shape[2],
        reads_inputs=physics is not None and len(physics.inputs) == 3,
        uniform_step=uniform_step(times, lengths),
        with_first=with_first or learned,
        learned=learned,
        states_observed=ode.observe is None,
        corrects=find_corrected_rates(ode, physics, given.state_names),
    )
    states = guess_states(ode, layout, values)
    known_first = None
    if given.initial_states is not None and (with_names or not layout.states_observed):
        known_first = ~np.isnan(given.initial_states)
        states[:, 0] = np.where(known_first, given.initial_states, states[:, 0])
    if n_free:
        states, layout = with_free_states(states, 0.0, n_free), _with_free_states(layout, ode)
        known_first = None if known_first is None else with_free_states(known_first, False, n_free)
    if not learned and ode.inputs is not None and not masked:
        _check_first_states(states)
    trajectories = Trajectories(
        states,
        times,
        values,
        given.inputs,
        lengths,
        trajectory_weights(sample_weight, len(values)),
        layout,
        known_first=None if layout.states_observed or learns_all else known_first,
        has_physics=physics is not None,
    )
    names = (*given.state_names, *free_state_names(ode), *given.input_names, "time")
    info = TrajectoryInfo(
        layout=layout,
        scales=trajectories.scales(),
        times=times[int(lengths.argmax())],
        component_names=names,
        time_column=given.time_column,
        state_columns=given.state_columns,
        scalar=scalar,
        initial_states=states[:, 0],
        x_shape=given.state_shape,
        has_first_times=has_first_times(ode, lengths),
        training_range=range_of_trajectories(trajectories, names, given_states=ode.inputs is None),
    )
    return trajectories, info


@dataclass(frozen=True)
class _GivenX:
    """The content of X: initial states, or inputs over time."""

    state_shape: tuple[int, ...]
    state_names: tuple[str, ...]
    input_names: tuple[str, ...] = ()
    initial_states: np.ndarray | None = None
    inputs: np.ndarray | None = None
    times: np.ndarray | None = None
    time_column: int | None = None
    state_columns: tuple[int | None, ...] | None = None


def _read_initial_states(
    estimator: BaseEstimator, ode: ODE, X: Any, outputs: Sequence[np.ndarray], reset: bool
) -> _GivenX:
    """Read X as initial states."""
    with columns_named(X=X):
        X = validate_data(estimator, X, dtype=np.float64, allow_nd=True, reset=reset)
    check_counts(X, outputs)
    found = getattr(estimator, "feature_names_in_", None)
    names = _names(ode.state_names, found, X.shape[1], "state")
    return _GivenX(state_shape=tuple(X.shape[1:]), state_names=names, initial_states=X)


def _read_records(
    estimator: BaseEstimator, ode: ODE, X: Any, outputs: Sequence[np.ndarray], reset: bool
) -> _GivenX:
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
    return _GivenX(
        state_shape=state_shape,
        state_names=_names(ode.state_names, None, state_shape[0], "state"),
        input_names=_names(ode.input_names, names or None, n_inputs, "input"),
        initial_states=initial_states,
        inputs=padded(records, None) if n_inputs else None,
        times=times,
        time_column=time_column,
        state_columns=state_columns,
    )


def _check_outputs(ode: ODE, given: _GivenX, outputs: Sequence[np.ndarray]) -> None:
    """Raise a ValueError if y does not match the states or the options of the ODE."""
    output_shape, longest = outputs[0].shape[1:], max(len(each) for each in outputs)
    if ode.observe is None and output_shape != given.state_shape:
        raise ValueError(
            f"y has shape {(len(outputs), longest, *output_shape)}, but states have "
            f"shape {given.state_shape}: with observe=None, y must have shape (n_trajectories, "
            f"n_times, {', '.join(map(str, given.state_shape))}). If only part of a state is "
            "measured, give observe."
        )
    n_outputs = output_shape[0]
    corrected = () if ode.corrected is None else ode.corrected
    wrong = [each for each in corrected if not 0 <= each < n_outputs]
    if wrong:
        raise ValueError(
            f"corrected has output {wrong[0]}; y has {n_outputs} outputs, 0 to {n_outputs - 1}."
        )
    check_free_states(ode, given.state_shape, sum(len(each) for each in outputs))
    if ode.has_hidden_states and ode.initial_state == "given" and ode.inputs is not None:
        raise ValueError(
            "initial_state='given' needs initial states, but X holds inputs and y holds outputs. "
            "Set initial_state='learned'."
        )


def _observations(
    ode: ODE, given: _GivenX, outputs: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return padded outputs, which include the time of the initial state, and their lengths."""
    values = padded(outputs, np.nan)
    lengths = np.array([len(each) for each in outputs])
    if ode.inputs is None:
        X = given.initial_states
        unknown = np.full((len(X), 1, *values.shape[2:]), np.nan)
        first = X[:, None] if ode.observe is None else unknown
        values = np.concatenate([first, values], axis=1)
        lengths = lengths + 1
    if lengths.min() < 2:
        short = int(np.argmin(lengths))
        raise ValueError(
            f"Trajectory {short} has {lengths[short]} observed time: there is no change to learn "
            "from. Leave it out."
        )
    return values, lengths


def _with_free_states(layout: Layout, ode: ODE) -> Layout:
    """Return the layout with the states that are the network's alone."""
    n_states = layout.state_shape[0] + ode.n_free_states
    return replace(layout, state_shape=(n_states,), n_free_states=ode.n_free_states)


def _learns_first_states(
    ode: ODE, values: np.ndarray, times: np.ndarray, lengths: np.ndarray
) -> bool:
    """Return whether training learns the first states of windows."""
    if ode.has_hidden_states:
        return True
    if not ode.names_initial_states and (ode.initial_state != "auto" or ode.inputs is not None):
        return ode.initial_state == "learned"
    is_even = uniform_step(times, lengths) is not None
    return values.ndim == 3 and is_even and len(ode.windows()) == 1 and is_noisy(values)


def _check_first_states(states: np.ndarray) -> None:
    """Raise a ValueError if an initial state is missing."""
    incomplete = np.isnan(states[:, 0]).reshape(len(states), -1).any(axis=1)
    if incomplete.any():
        raise ValueError(f"The initial state of trajectory {incomplete.argmax()} is missing.")


def trajectory_weights(sample_weight: Any, n: int) -> np.ndarray:
    """Return the weights of n trajectories; every weight is 1 by default."""
    if sample_weight is None:
        return np.ones(n)
    return read_weights(sample_weight, n)


def check_signature(physics: Physics | None, ode: ODE) -> None:
    """Raise a PhysicsError if the physics is no right-hand side or reads inputs that X lacks."""
    if physics is None:
        return
    first, others = physics.inputs[:1], physics.inputs[1:]
    later = [name for name in others if name in TIME_NAMES]
    if later and first[0] not in TIME_NAMES and not first[0].startswith("_"):
        right = ", ".join((later[0], *(name for name in physics.inputs if name != later[0])))
        raise PhysicsError(
            f"physics {physics.name!r} takes ({', '.join(physics.inputs)}), but a right-hand side "
            f"takes the time first: def f({right}, *, a=1.0)."
        )
    wanted = "(t, state)" if ode.inputs is None else "(t, state) or (t, state, inputs)"
    if len(physics.inputs) not in (2, 3):
        raise PhysicsError(
            f"physics {physics.name!r} takes ({', '.join(physics.inputs)}); a right-hand side "
            f"takes {wanted}, and its unknowns after a star: def f(t, state, *, a=1.0)."
        )
    if len(physics.inputs) == 3 and ode.inputs is None:
        raise PhysicsError(
            f"physics {physics.name!r} reads inputs ({physics.inputs[2]!r}), but X holds initial "
            "states: with ODE(inputs='hold') or 'linear', X holds the inputs over time. If "
            f"{physics.inputs[2]!r} is an unknown, put it after a star."
        )
    unknown = [name for name in ode.observe_parameters() if name not in physics.params]
    if unknown:
        raise PhysicsError(
            f"observe reads the parameter {unknown[0]!r}, which physics {physics.name!r} does not "
            f"have{suggestion(unknown[0], physics.params)}"
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
