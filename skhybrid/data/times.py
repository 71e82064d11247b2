"""Read the times of trajectories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skhybrid.data.given_arrays import read_numbers
from skhybrid.model.ode import ODE


def read_times(
    ode: ODE, n: int, lengths: np.ndarray, with_first: bool, column: np.ndarray | None
) -> np.ndarray:
    """Return the padded times of all trajectories, of shape (n, longest).

    Parameters
    ----------
    ode : ODE
    n : int
        Number of trajectories.
    lengths : array of int
        Number of times of each trajectory, including the time of the initial state.
    with_first : bool
        Whether the first observation is at the time of the initial state.
    column : array of shape (n, longest) or None
        Column of times in X.

    Raises
    ------
    ValueError
        If times are missing or do not increase.
    """
    longest = int(lengths.max())
    if column is not None:
        times = column
    elif ode.dt is not None:
        times = np.broadcast_to(ode.dt * np.arange(longest), (n, longest))
    elif np.ndim(ode.times[0]) == 0:
        shared = read_numbers("times of ODE", ode.times)
        # The initial state is at time 0, unless there is one time more than observations.
        begins_later = len(shared) == longest - 1 or (len(shared) > longest and shared[0] > 0)
        if not with_first and begins_later:
            shared = np.concatenate([[0.0], shared])
        if len(shared) < longest:
            raise ValueError(
                f"ODE has {len(shared)} times, but the longest trajectory in y has "
                f"{longest - (not with_first)}. There must be one time for each."
            )
        times = np.broadcast_to(shared[:longest], (n, longest))
    else:
        if len(ode.times) != n:
            raise ValueError(
                f"ODE has the times of {len(ode.times)} trajectories, but there are {n}. To have "
                "the times split with the trajectories, put them into X and name their column "
                "(times=0)."
            )
        times = np.empty((n, longest))
        for i, given in enumerate(ode.times):
            given = np.atleast_1d(read_numbers(f"times[{i}] of ODE", given))
            if given.ndim > 1:
                raise ValueError(
                    f"times[{i}] of ODE has shape {given.shape}; the times of a trajectory must "
                    "have shape (n_times,)."
                )
            if not with_first and len(given) == lengths[i] - 1:
                given = np.concatenate([[0.0], given])
            if len(given) < lengths[i]:
                raise ValueError(
                    f"Trajectory {i} has {lengths[i] - (not with_first)} observations, but "
                    f"{len(given)} times."
                )
            times[i, : lengths[i]] = given[: lengths[i]]
    times = np.array(times, dtype=np.float64)
    for i, length in enumerate(lengths):
        times[i, length:] = times[i, length - 1]
        wrong = np.flatnonzero(~(np.diff(times[i, :length]) > 0))
        if not np.isfinite(times[i, :length]).all():
            raise ValueError(
                f"Times must be finite; trajectory {i} has the times "
                f"{np.array2string(times[i, :length], threshold=6)}."
            )
        if len(wrong):
            k = wrong[0]
            raise ValueError(
                f"Times must increase; in trajectory {i} time {times[i, k]:g} is followed by "
                f"{times[i, k + 1]:g}. Sort each trajectory by time, X and y alike; a time "
                "may occur once only."
            )
    return times


def has_first_times(ode: ODE, lengths: np.ndarray) -> bool:
    """Return whether the user gave the times of each trajectory, that of its initial state first.

    ``lengths`` are the numbers of times, including that of the initial state.
    """
    given = ode.times
    if ode.inputs is not None or given is None or np.ndim(given[0]) == 0:
        return False
    return all(len(each) >= length for each, length in zip(given, lengths, strict=True))


def uniform_step(times: np.ndarray, lengths: np.ndarray) -> float | None:
    """Return the time between observations if it is constant in all trajectories, or None."""
    if np.ptp(lengths) > 0 or times.shape[1] < 2:
        return None
    steps = np.diff(times, axis=1)
    step = float(steps.mean())
    return step if np.allclose(steps, step, rtol=1e-6, atol=0.0) else None


def padded(arrays: Sequence[np.ndarray], fill: float | None) -> np.ndarray:
    """Return arrays of different lengths as one array; ``fill`` extends the shorter ones.

    None repeats the last row: physics may not be finite at inputs that are made up, such as zero.
    """
    longest = max(len(array) for array in arrays)
    stacked = np.full((len(arrays), longest, *arrays[0].shape[1:]), 0.0 if fill is None else fill)
    for i, array in enumerate(arrays):
        stacked[i, : len(array)] = array
        if fill is None:
            stacked[i, len(array) :] = array[-1]
    return stacked
