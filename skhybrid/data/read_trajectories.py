"""Read the user's arrays as trajectories of states or outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skhybrid.data.corrected_rates import find_corrected_rates
from skhybrid.data.free_states import check_free_states, free_state_names, with_free_states
from skhybrid.data.given_arrays import read_weights
from skhybrid.data.given_x import GivenX, read_initial_states, read_records
from skhybrid.data.records import read_outputs
from skhybrid.data.right_hand_side_signature import check_signature
from skhybrid.data.state_guesses import guess_states, is_noisy
from skhybrid.data.times import has_first_times, padded, read_times, uniform_step
from skhybrid.data.training_range import range_of_trajectories
from skhybrid.data.trajectories import Trajectories
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.data.trajectory_scales import trajectory_scales
from skhybrid.model.layout import Layout
from skhybrid.model.ode import ODE
from skhybrid.model.physics import Physics
from skhybrid.runtime.user_warnings import warn


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

    Warns
    -----
    UserWarning
        If y begins with the initial states of X.
    """
    ode.validate()
    check_signature(physics, ode)
    outputs, scalar = read_outputs(y, masked)
    read_x = read_initial_states if ode.inputs is None else read_records
    given = read_x(estimator, ode, X, outputs, reset)
    _check_outputs(ode, given, outputs)
    values, lengths = _observations(ode, given, outputs)
    if reset and ode.inputs is None and ode.observe is None:
        _warn_of_repeated_initial_states(given.initial_states, outputs)
    times = read_times(ode, len(values), lengths, ode.inputs is not None, given.times)
    ode.require_few_steps(times.shape[1] - 1, "over the longest trajectory in y")
    layout = _layout(ode, physics, given, values, times, lengths)
    states, known_first = _states(ode, given, layout, values)
    layout = _with_free_states(layout, ode)
    if not layout.learned and ode.inputs is not None and not masked:
        _check_first_states(states)
    trajectories = Trajectories(
        states,
        times,
        values,
        given.inputs,
        lengths,
        trajectory_weights(sample_weight, len(values)),
        layout,
        known_first=known_first,
        has_physics=physics is not None,
    )
    names = (*given.state_names, *free_state_names(ode), *given.input_names, "time")
    info = TrajectoryInfo(
        layout=layout,
        scales=trajectory_scales(trajectories),
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


def _check_outputs(ode: ODE, given: GivenX, outputs: Sequence[np.ndarray]) -> None:
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


def _warn_of_repeated_initial_states(X: np.ndarray, outputs: Sequence[np.ndarray]) -> None:
    """Warn if y begins with the initial states of X, though it holds the states after them.

    Trajectories that begin at rest and stay there are no mistake.
    """
    repeats = all(np.array_equal(each[0], first) for each, first in zip(outputs, X, strict=True))
    if repeats and any(not np.array_equal(each[0], each[-1]) for each in outputs):
        warn(
            "y begins with the initial states of X, but the first states in y are those one step "
            "after X. Every trajectory then stands still for a step, and θ is wrong. Leave them "
            "out of y: y[:, 1:]."
        )


def _observations(
    ode: ODE, given: GivenX, outputs: Sequence[np.ndarray]
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


def _layout(
    ode: ODE,
    physics: Physics | None,
    given: GivenX,
    values: np.ndarray,
    times: np.ndarray,
    lengths: np.ndarray,
) -> Layout:
    """Return the layout of the physics' own states, which are guessed without the free ones."""
    learned = _learns_first_states(ode, values, times, lengths)
    return Layout(
        state_shape=given.state_shape,
        output_shape=tuple(values.shape[2:]),
        n_inputs=0 if given.inputs is None else given.inputs.shape[2],
        reads_inputs=physics is not None and len(physics.inputs) == 3,
        uniform_step=uniform_step(times, lengths),
        with_first=ode.inputs is not None or learned,
        learned=learned,
        states_observed=ode.observe is None,
        corrects=find_corrected_rates(ode, physics, given.state_names),
    )


def _with_free_states(layout: Layout, ode: ODE) -> Layout:
    """Return the layout with the states that are the network's alone."""
    if not ode.n_free_states:
        return layout
    n_states = layout.state_shape[0] + ode.n_free_states
    return replace(layout, state_shape=(n_states,), n_free_states=ode.n_free_states)


def _states(
    ode: ODE, given: GivenX, layout: Layout, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return observed or guessed states, free ones at zero, and which initial ones are exact."""
    states = guess_states(ode, layout, values)
    known = None
    hidden = not layout.states_observed
    if given.initial_states is not None and (ode.names_initial_states or hidden):
        known = ~np.isnan(given.initial_states)
        states[:, 0] = np.where(known, given.initial_states, states[:, 0])
    states = with_free_states(states, 0.0, ode.n_free_states)
    known = None if known is None else with_free_states(known, False, ode.n_free_states)
    return states, known if hidden and ode.initial_state != "learned" else None


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
