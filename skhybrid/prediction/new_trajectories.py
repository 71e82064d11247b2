"""Read new trajectories to predict: initial states, times and inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skhybrid.data.free_states import with_free_states
from skhybrid.data.given_arrays import columns_named, read_numbers
from skhybrid.data.records import note_features, read_inputs, split_columns
from skhybrid.data.times import padded, read_times
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.model.batch import Windows
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.ode import ODE
from skhybrid.model.solvers import FIXED_STEP


@dataclass(frozen=True)
class NewTrajectories:
    """New trajectories, padded to the length of the longest.

    Attributes
    ----------
    x : Windows
        Arrays of whole trajectories.
    times : array of shape (n, n_times)
        Times of the states.
    lengths : array of int, shape (n,)
    wanted : array of int, list of arrays or None
        Indices of the times that the user asked for, or those of each trajectory; None is all.
    known_first : array of bool, shape (n, *state_shape), or None
        Components of the initial states that columns of X give.
    """

    x: Windows
    times: np.ndarray
    lengths: np.ndarray
    wanted: np.ndarray | list[np.ndarray] | None = None
    known_first: np.ndarray | None = None


def read_new_trajectories(
    estimator: Any, X: Any, *, times: Any = None, initial_states: Any = None
) -> NewTrajectories:
    """Check the arguments of ``predict``.

    Parameters
    ----------
    estimator : HybridRegressor
        Fitted, with an :class:`~skhybrid.ODE`.
    X : array-like or list of array-like
        Initial states, or inputs over time.
    times : array-like of shape (n_times,), list of array-like or None
        Times to predict at, or those of each trajectory; None is the times of the training
        trajectories.
    initial_states : array-like of shape (n, *state_shape) or None

    Raises
    ------
    ValueError
        If an argument does not match the fit.
    """
    read = _from_states if estimator._fitted.hybrid.structure.inputs is None else _from_records
    new = read(estimator, X, times)
    if initial_states is None:
        return new
    with columns_named(initial_states=initial_states):
        states = check_array(
            np.atleast_1d(initial_states),
            dtype=np.float64,
            ensure_2d=False,
            allow_nd=True,
            input_name="initial_states",
        )
    layout = estimator._fitted.trajectory_info.layout
    expected = (len(new.times), *layout.state_shape)
    if layout.n_free_states and states.shape == (len(new.times), layout.n_known_states):
        states = _with_mean_free_states(estimator, states)
    if states.shape != expected:
        known = ""
        if layout.n_free_states:
            known = f", or {(len(new.times), layout.n_known_states)} without free states"
        raise ValueError(
            f"initial_states has shape {states.shape}; for these X it must have shape "
            f"{expected}{known}."
        )
    x = new.x._replace(first_state=states)
    return NewTrajectories(x, new.times, new.lengths, new.wanted)


def _from_states(estimator: Any, X: Any, times: Any) -> NewTrajectories:
    """Read initial states, or images for a LatentODE."""
    info: TrajectoryInfo = estimator._fitted.trajectory_info
    with columns_named(X=X):
        X = validate_data(estimator, X, dtype=np.float64, allow_nd=True, reset=False)
    if X.shape[1:] != info.x_shape:
        raise ValueError(
            f"One trajectory in X has shape {X.shape[1:]}, but {type(estimator).__name__} "
            f"was fitted with shape {info.x_shape}."
        )
    if times is None:
        times = _training_times(estimator._fitted.hybrid.structure, len(X))
    if _are_of_each(times):
        all_times, lengths, wanted = _times_of_each(estimator._fitted.hybrid, info, times, len(X))
    else:
        all_times, wanted = info.times, None
        if times is not None:
            all_times, wanted = _given_times(estimator._fitted.hybrid, info, times)
        all_times = np.broadcast_to(all_times, (len(X), len(all_times)))
        lengths = np.full(len(X), all_times.shape[1])
    first = _with_mean_free_states(estimator, X)
    x = Windows(first, all_times[:, 0], np.diff(all_times, axis=1))
    return NewTrajectories(x, all_times, lengths, wanted)


def _with_mean_free_states(estimator: Any, states: np.ndarray) -> np.ndarray:
    """Return states of the physics with the mean initial free states of training."""
    n_free = estimator._fitted.trajectory_info.layout.n_free_states
    if n_free == 0:
        return states
    mean = np.nanmean(estimator._fitted.initial_states, axis=0)
    return with_free_states(states, mean[-n_free:], n_free)


def _training_times(ode: ODE, n: int) -> list[np.ndarray] | None:
    """Return the times of each training trajectory; None if all have the same.

    Raises
    ------
    ValueError
        If they differ, and there is another number of trajectories to predict.
    """
    if ode.reads_images or not _are_of_each(ode.times):
        return None
    given = [np.asarray(each, dtype=np.float64) for each in ode.times]
    if all(np.array_equal(each, given[0]) for each in given):
        return None
    if len(given) != n:
        raise ValueError(
            f"The {len(given)} training trajectories have times of their own, and X has {n} "
            "trajectories: predict(X, times=...) needs one list of times for all, or a list for "
            "each."
        )
    return given


def _are_of_each(times: Any) -> bool:
    """Return whether times hold the times of each trajectory."""
    return isinstance(times, (list, tuple)) and any(np.ndim(each) > 0 for each in times)


def _times_of_each(
    model: Dynamics, info: TrajectoryInfo, times: Sequence[Any], n: int
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return padded times of each trajectory, their numbers, and indices of the wanted ones."""
    if len(times) != n:
        raise ValueError(
            f"times holds the times of {len(times)} trajectories, but X has {n}. Give one list of "
            "times for each, or one for all."
        )
    rows, wanted = [], []
    for number, each in enumerate(times):
        begin = info.times[0]
        if info.has_first_times:
            each = read_numbers(f"times[{number}]", each)
            if each.ndim != 1 or len(each) < 2:
                raise ValueError(
                    f"times[{number}] has shape {each.shape}; as in fit, it must hold the time of "
                    "the initial state and, after it, one time at least."
                )
            begin, each = each[0], each[1:]
        row, chosen = _given_times(model, info, each, begin=begin, name=f"times[{number}]")
        rows.append(row)
        wanted.append(chosen)
    lengths = np.array([len(row) for row in rows])
    all_times = padded(rows, np.nan)
    for row, length in zip(all_times, lengths, strict=True):
        row[length:] = row[length - 1]
    return all_times, lengths, wanted


def _given_times(
    model: Dynamics,
    info: TrajectoryInfo,
    times: Any,
    *,
    begin: float | None = None,
    name: str = "times",
) -> tuple[np.ndarray, np.ndarray]:
    """Return times with enough steps between the wanted ones, and indices of the wanted ones."""
    begin = info.times[0] if begin is None else begin
    with columns_named(**{name: times}):
        shape = np.shape(times)
        if len(shape) != 1 or shape[0] == 0:
            raise ValueError(
                f"{name} must have shape (n_times,), with one time at least; it has shape {shape}."
            )
        times = check_array(times, ensure_2d=False, dtype=np.float64, input_name=name)
    whole = np.concatenate([[begin], times])
    if not np.all(np.diff(whole) > 0):
        raise ValueError(
            f"{name} must increase, and be after the initial states' time ({begin:g}); got "
            f"{np.array2string(times, threshold=6)}."
        )
    # Fixed-step methods take steps no longer than in training.
    ode, longest, n_chosen = model.structure, np.inf, 0.0
    if ode.method in FIXED_STEP:
        longest = np.diff(info.times).max()
        n_chosen = (whole[-1] - whole[0]) / (model.solver_steps.longest or np.inf)
    n_steps = np.maximum(1, np.ceil(np.diff(whole) / longest - 1e-6))
    ode.require_few_steps(max(n_steps.sum(), n_chosen), f"to the last time ({times[-1]:g})")
    n_steps = n_steps.astype(int)
    wanted = np.cumsum(n_steps)
    return np.interp(np.arange(wanted[-1] + 1), [0, *wanted], whole), wanted


def _from_records(estimator: Any, X: Any, times: Any) -> NewTrajectories:
    """Read inputs over time; trajectories begin at the mean initial state of training."""
    if times is not None:
        raise ValueError(
            "times is for models whose X holds initial states; here X holds inputs over time, and "
            "ODE gives their times. Leave times out."
        )
    fitted = estimator._fitted
    info, ode = fitted.trajectory_info, fitted.hybrid.structure
    records, names = read_inputs(X, ode, info.state_columns)
    note_features(estimator, records, names, reset=False)
    lengths = np.array([len(record) for record in records])
    records, column, given = split_columns(records, info.time_column, info.state_columns)
    if ode.dt is None and info.time_column is None and np.ndim(ode.times[0]) > 0:
        raise ValueError(
            "ODE has the times of each training trajectory, but not of new trajectories. Put the "
            "times into X and name their column (times=0)."
        )
    all_times = read_times(ode, len(records), lengths, True, column)
    inputs = padded(records, None) if info.layout.n_inputs else None
    states = np.broadcast_to(
        np.nanmean(fitted.initial_states, axis=0), (len(records), *info.layout.state_shape)
    )
    known = None
    if given is not None:
        given = with_free_states(given, np.nan, info.layout.n_free_states)
        known = ~np.isnan(given)
        states = np.where(known, given, states)
    x = Windows(states, all_times[:, 0], np.diff(all_times, axis=1), inputs)
    return NewTrajectories(x, all_times, lengths, known_first=known)
