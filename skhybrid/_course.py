"""From what the user gives for a differential equation to trajectories and their model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight, validate_data

from skhybrid._checks import network_columns
from skhybrid._parameter_space import ParameterSpace
from skhybrid._records import (
    check_counts,
    check_lengths,
    find_time_column,
    note_features,
    read_inputs,
    read_outputs,
    without_times,
)
from skhybrid._trajectories import Trajectories, padded, read_times, uniform_step
from skhybrid.exceptions import PhysicsError
from skhybrid.physics import Physics, suggestion
from skhybrid.structures import ODE, Dynamics, LatentDynamics, LatentODE, Layout, RateScales

# Part of the states' spread from which on noise on the states that windows start from biases θ by
# more than it costs to learn them (benchmarks/bench_windows.py).
MUCH_NOISE = 0.2


@dataclass(frozen=True)
class Course:
    """What is known of the trajectories that a differential equation is fitted to.

    Attributes
    ----------
    layout : Layout
    scales : RateScales
    times : array of shape (n_times,)
        Times of the longest training trajectory, at which ``predict`` answers.
    component_names : tuple of str
        Names of what the network may read: states, inputs and the time.
    time_column : int or None
        Column of X that holds the times.
    scalar : bool
        Whether y has one output, without an axis for it.
    n_entries : int
        Number of learned first states.
    initial_states : array of shape (n, *state_shape)
        First states of the training trajectories, as far as they are known.
    first_entries : array of int, shape (n,), or None
        Which of the learned first states are those of whole trajectories.
    start_shape : tuple
        Shape of what X holds of one trajectory's begin: that of a state, or of some images.
    """

    layout: Layout
    scales: RateScales
    times: np.ndarray
    component_names: tuple[str, ...]
    time_column: int | None = None
    scalar: bool = False
    n_entries: int = 0
    initial_states: np.ndarray | None = None
    first_entries: np.ndarray | None = None
    start_shape: tuple[int, ...] | None = None

    def model(self, parts: Any) -> Dynamics:
        """Return the model with a silent network, in float64."""
        seen = None
        if parts.nn_features is not None:
            names = self.component_names
            seen = network_columns(parts.nn_features, names, len(names))
        kind = LatentDynamics if isinstance(parts.structure, LatentODE) else Dynamics
        model = kind(
            parts.physics,
            ParameterSpace(parts.physics, device=parts.device),
            None,
            parts.structure,
            self.scales.to(parts.device),
            layout=self.layout,
            network_columns=None if seen is None else torch.tensor(seen, device=parts.device),
            n_entries=self.n_entries,
        )
        model.course = self
        return model


def read_course(
    estimator: Any, physics: Physics | None, X: Any, y: Any, sample_weight: Any, *, reset: bool
) -> tuple[Trajectories, Course]:
    """Check what the user gave to ``fit`` and return it as trajectories.

    Parameters
    ----------
    estimator : HybridRegressor
        Its structure is an :class:`ODE`.
    physics : Physics or None
    X, y, sample_weight
        As given to ``fit``.
    reset : bool
        Whether the estimator is to note the features of X.
    """
    ode: ODE = estimator.structure
    ode.validate()
    check_signature(physics, ode)
    masked = estimator.missing_targets == "mask"
    outputs, scalar = read_outputs(y, masked)
    lengths = np.array([len(each) for each in outputs])
    time_column, column, inputs = None, None, None
    if ode.inputs is None:
        X = validate_data(estimator, X, dtype=np.float64, allow_nd=True, reset=reset)
        check_counts(X, outputs)
        state_shape = X.shape[1:]
        names = _names(
            ode.state_names, getattr(estimator, "feature_names_in_", None), state_shape[0], "state"
        )
        input_names: tuple[str, ...] = ()
    else:
        records, input_names = read_inputs(X)
        check_counts(records, outputs)
        check_lengths(records, outputs)
        time_column = find_time_column(ode.times, input_names, records[0].shape[1])
        note_features(estimator, records, input_names, reset=reset)
        records, column = without_times(records, time_column)
        if time_column is not None:
            input_names = tuple(np.delete(input_names, time_column)) if input_names else ()
        n_inputs = records[0].shape[1]
        inputs = padded(records, 0.0) if n_inputs else None
        input_names = _names(ode.input_names, input_names or None, n_inputs, "input")
        state_shape = _state_shape(ode, outputs[0].shape[1:])
        names = _names(ode.state_names, None, state_shape[0], "state")
    output_shape = outputs[0].shape[1:]
    states_observed = ode.observe is None
    if states_observed and output_shape != state_shape:
        raise ValueError(
            f"y has shape {(len(outputs), int(lengths.max()), *output_shape)}, but states have "
            f"shape {state_shape}: with observe=None, y must have shape (n_trajectories, n_times, "
            f"{', '.join(map(str, state_shape))}). If only part of a state is measured, give "
            "observe."
        )
    n_outputs = output_shape[0]
    wrong = [each for each in ode.corrected or () if not 0 <= each < n_outputs]
    if wrong:
        raise ValueError(
            f"corrected has output {wrong[0]}; y has {n_outputs} outputs, 0 to {n_outputs - 1}."
        )
    learned = ode.initial_state == "learned" or not states_observed
    if not states_observed and ode.initial_state == "given" and ode.inputs is not None:
        raise ValueError(
            "initial_state='given' needs initial states, but X holds inputs and y holds outputs. "
            "Set initial_state='learned'."
        )
    values = padded(outputs, np.nan)
    if ode.inputs is None:
        first = X[:, None] if states_observed else np.full((len(X), 1, *output_shape), np.nan)
        values = np.concatenate([first, values], axis=1)
        lengths = lengths + 1
    if lengths.min() < 2:
        short = int(np.argmin(lengths))
        raise ValueError(
            f"Trajectory {short} has {lengths[short]} observed time: there is no change to learn "
            "from. Leave it out."
        )
    with_first = ode.inputs is not None
    times = read_times(ode, len(values), lengths, with_first, column)
    if ode.initial_state == "auto" and states_observed and ode.inputs is None:
        is_even = uniform_step(times, lengths) is not None
        several = len(ode.windows()) > 1
        learned = values.ndim == 3 and is_even and not several and is_noisy(values)
    layout = Layout(
        state_shape=tuple(state_shape),
        output_shape=tuple(output_shape),
        n_inputs=0 if inputs is None else inputs.shape[2],
        reads_inputs=physics is not None and len(physics.inputs) == 3,
        uniform_step=uniform_step(times, lengths),
        with_first=with_first or learned,
        learned=learned,
        states_observed=states_observed,
    )
    first_is_exact = not states_observed and ode.inputs is None and ode.initial_state != "learned"
    states = _guess_states(ode, physics, layout, values)
    if first_is_exact or (not states_observed and ode.inputs is None):
        states[:, 0] = X
    if not learned and np.isnan(states[:, 0]).any():
        missing = int(np.isnan(states[:, 0]).reshape(len(states), -1).any(axis=1).argmax())
        if ode.inputs is not None and not masked:
            raise ValueError(f"The initial state of trajectory {missing} is missing.")
    weight = np.ones(len(values))
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, np.empty((len(values), 1)), dtype=np.float64)
    trajectories = Trajectories(
        states, times, values, inputs, lengths, weight, layout, first_is_exact
    )
    longest = int(lengths.argmax())
    course = Course(
        layout=layout,
        scales=trajectories.scales(),
        times=times[longest],
        component_names=(*names, *input_names, "time"),
        time_column=time_column,
        scalar=scalar,
        initial_states=states[:, 0],
        start_shape=layout.state_shape,
    )
    return trajectories, course


def is_noisy(states: np.ndarray) -> bool:
    """Whether states, evenly in time, have much noise: more than a fifth of their spread.

    The variance of noise is that of fifth differences, divided by the sum of their squared
    coefficients (von Neumann, "Distribution of the ratio of the mean square successive difference
    to the variance", 1941, for first differences). What moves smoothly, over six steps or more in a
    period, leaves little in them.

    Parameters
    ----------
    states : array of shape (n, n_times, n_states)
        NaN where one is missing.
    """
    order = 5
    if states.shape[1] < 2 * order:
        return False
    differences = np.diff(states, n=order, axis=1).reshape(-1, states.shape[2])
    known = ~np.isnan(differences)
    if known.sum(axis=0).min() < order:
        return False
    noise = np.nanmean(differences**2, axis=0) / math.comb(2 * order, order)
    spread = np.nanvar(states, axis=(0, 1))
    return bool(np.any(noise > MUCH_NOISE**2 * np.where(spread > 0, spread, np.inf)))


def check_signature(physics: Physics | None, ode: ODE) -> None:
    """Raise a PhysicsError if the physics is not a right-hand side, or reads inputs in vain."""
    if physics is None:
        return
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
    given: Sequence[str] | None, found: Sequence[str] | None, n: int, kind: str
) -> tuple[str, ...]:
    if given is None:
        given = found if found is not None else [f"{kind}_{i}" for i in range(n)]
    if len(given) != n:
        raise ValueError(
            f"{kind}_names has {len(given)} names for {n} {kind}s: {', '.join(map(str, given))}."
        )
    return tuple(map(str, given))


def component_names(names: Sequence[str] | None, n_states: int) -> tuple[str, ...]:
    """Return the names of states and of the time."""
    return (*_names(names, None, n_states, "state"), "time")


def _state_shape(ode: ODE, output_shape: tuple[int, ...]) -> tuple[int, ...]:
    if ode.observe is None:
        return output_shape
    n_states = ode.n_states
    if n_states is None and np.ndim(ode.state_guess) == 1:
        n_states = len(ode.state_guess)
    if n_states is None:
        raise ValueError(
            "ODE has observe, and X holds inputs, so that the number of states is not known: give "
            "n_states."
        )
    return (n_states,)


def _guess_states(
    ode: ODE, physics: Physics | None, layout: Layout, outputs: np.ndarray
) -> np.ndarray:
    """Return observed states, or guesses at all times where first states are learned."""
    if not layout.learned:
        return outputs.copy()
    filled = _filled(outputs)
    if layout.states_observed:
        return filled
    guess = np.zeros(layout.state_shape) if ode.state_guess is None else ode.state_guess
    guess = np.broadcast_to(np.asarray(guess, dtype=np.float64), layout.state_shape)
    states = np.broadcast_to(guess, (*outputs.shape[:2], *layout.state_shape)).copy()
    if ode.n_observe_inputs() == 1 and not ode.observe_parameters() and not layout.is_field:
        at = torch.tensor(guess)[None]
        with torch.no_grad():
            there = ode.observe(at).reshape(-1).numpy()
        slope = torch.autograd.functional.jacobian(lambda s: ode.observe(s).reshape(-1), at)
        change = np.linalg.pinv(slope.reshape(len(there), -1).numpy())
        states += (filled - there) @ change.T
    return states


def _filled(outputs: np.ndarray) -> np.ndarray:
    """Return outputs with what is missing interpolated in time, trajectory by trajectory."""
    flat = outputs.reshape(*outputs.shape[:2], -1).copy()
    means = np.nanmean(flat, axis=(0, 1)) if np.isnan(flat).any() else None
    for trajectory in flat if means is not None else ():
        for column, values in enumerate(trajectory.T):
            there = np.flatnonzero(~np.isnan(values))
            if len(there) == 0:
                values[:] = means[column]
            elif len(there) < len(values):
                values[:] = np.interp(np.arange(len(values)), there, values[there])
    return flat.reshape(outputs.shape)
