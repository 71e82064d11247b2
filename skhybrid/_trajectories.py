"""From the user's arrays to trajectories, and from trajectories to the windows training sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from skhybrid._data import Rows, moments
from skhybrid.structures import ODE, Layout, RateScales, Windows

# Two steps estimate θ as well as longer windows or better, whatever the noise, and in the shortest
# time (benchmarks/bench_windows.py).
AUTO_WINDOW = 2
# Learned first states need several observations for each of them, more where states are hidden.
AUTO_LEARNED_WINDOW = 5
AUTO_HIDDEN_WINDOW = 20
AUTO_LATENT_WINDOW = 10
# Held-out parts of one long record, where there are too few trajectories to hold out whole ones.
MIN_GROUPS = 5
N_BLOCKS = 20


@dataclass(frozen=True)
class Trajectories:
    """Validated trajectories in float64, padded to the length of the longest.

    Attributes
    ----------
    states : array of shape (n, n_times, *state_shape)
        Observed states, NaN where one is missing; or, where first states are learned, guesses.
    times : array of shape (n, n_times)
        The last time is repeated after the end of a trajectory.
    outputs : array of shape (n, n_times, *output_shape)
        NaN where there is none.
    inputs : array of shape (n, n_times, n_inputs) or None
    lengths : array of int, shape (n,)
        Number of times of each trajectory.
    weight : array of shape (n,)
    layout : Layout
    first_is_exact : bool
        Whether the first state stays as given where other first states are learned.
    with_ends : bool
        Whether windows also know what ``states`` has at their ends.
    """

    states: np.ndarray
    times: np.ndarray
    outputs: np.ndarray
    inputs: np.ndarray | None
    lengths: np.ndarray
    weight: np.ndarray
    layout: Layout
    first_is_exact: bool = False
    with_ends: bool = False

    @property
    def n_steps(self) -> int:
        """Steps of the longest trajectory."""
        return self.times.shape[1] - 1

    def scales(self) -> RateScales:
        """Return means and spreads of outputs, states and rates, the network's inputs left out.

        Of states that are not observed they are rough: the physics tells more, once it is fitted.
        """
        output_mean, output_spread = self._moments(self.outputs, self.layout.output_shape)
        if self.layout.states_observed:
            state_mean, state_spread = output_mean, output_spread
            square, _ = self._moments(self._rates() ** 2, self.layout.state_shape)
            rate_scale = np.sqrt(np.where(square > 0, square, 1.0))
        else:
            typical = float(np.mean(np.sqrt(output_mean**2 + output_spread**2)))
            state_mean = self.states.mean(axis=(0, 1))
            size = np.abs(state_mean)
            guessed = self.states.std(axis=(0, 1))
            state_spread = np.where(guessed > 0, guessed, np.where(size > 0, size, typical))
            duration = (self.times[:, -1] - self.times[:, 0]).mean()
            rate_scale = state_spread * 10.0 / duration
        zero, one = torch.zeros(()), torch.ones(())
        values = (state_mean, state_spread, rate_scale)
        state_values = [torch.tensor(np.ascontiguousarray(value)) for value in values]
        output_values = [torch.tensor(output_mean), torch.tensor(output_spread)]
        return RateScales(zero, one, zero, one, *output_values, *state_values).to(torch.float64)

    def windows(self, window: int | str | None, scales: RateScales) -> Rows:
        """Cut the trajectories into windows.

        Windows that start at observed states overlap: every state that is complete starts one.
        Those whose first states are learned follow one after the other.

        Parameters
        ----------
        window : int, "auto" or None
            Steps in a window.
        scales : RateScales
        """
        learned = self.layout.learned
        window = self._length(window)
        which, at = self._window_starts(window, every=window if learned else 1)
        if len(which) == 0:
            raise ValueError(
                "There is no window to train on: no observed state is complete and followed by "
                "another observation. Set initial_state='learned' to start at unknown states."
            )
        last = self.lengths[which] - 1
        wanted = at[:, None] + np.arange(window + 1)
        index = np.minimum(wanted, last[:, None])
        inside = wanted <= last[:, None]
        times = self.times[which[:, None], index]
        outputs = self.outputs[which[:, None], index]
        outputs = np.where(
            inside.reshape(*inside.shape, *[1] * (outputs.ndim - 2)), outputs, np.nan
        )
        inputs = None if self.inputs is None else self.inputs[which[:, None], index]
        x = Windows(
            start=self.states[which, at],
            origin=times[:, 0],
            steps=np.diff(times, axis=1),
            inputs=inputs,
        )
        if self.with_ends:
            x = x._replace(end=self.states[which, index[:, -1]])
        if learned:
            x = self._with_entries(x, which, at, scales)
        y = outputs if self.layout.with_first else outputs[:, 1:]
        rows = Rows.of(x, y, self.weight[which], keep_empty=learned)
        groups = self._groups(which, at)
        return replace(rows, groups=groups[rows.kept])

    def _rates(self) -> np.ndarray:
        """Return rates of change since the value observed before, NaN where there is none."""
        outputs = self.outputs
        times = self.times.reshape(*self.times.shape, *[1] * (outputs.ndim - 2))
        times = np.broadcast_to(times, outputs.shape)
        index = np.arange(outputs.shape[1]).reshape(1, -1, *[1] * (outputs.ndim - 2))
        last = np.maximum.accumulate(np.where(np.isnan(outputs), -1, index), axis=1)[:, :-1]
        before = np.maximum(last, 0)
        change = outputs[:, 1:] - np.take_along_axis(outputs, before, axis=1)
        elapsed = times[:, 1:] - np.take_along_axis(times, before, axis=1)
        known = (last >= 0) & (elapsed > 0)
        return np.where(known, change / np.where(known, elapsed, 1.0), np.nan)

    def first_entries(self, window: int | str | None) -> np.ndarray:
        """Return the numbers of the windows with which trajectories begin, if all are learned."""
        window = self._length(window)
        _, at = self._window_starts(window, every=window)
        return np.flatnonzero(at == 0)

    def _length(self, window: int | str | None) -> int:
        if window == "auto":
            return min(self._auto_window(), self.n_steps)
        if window is None:
            return self.n_steps
        if window > self.n_steps:
            raise ValueError(
                f"The window of {window} steps is longer than every trajectory: the longest has "
                f"{self.n_steps} steps. Choose a shorter window, or window=None for whole "
                "trajectories."
            )
        return window

    def _auto_window(self) -> int:
        if self.with_ends:
            return AUTO_LATENT_WINDOW
        if self.layout.learned:
            return AUTO_LEARNED_WINDOW if self.layout.states_observed else AUTO_HIDDEN_WINDOW
        return AUTO_WINDOW

    def _moments(self, values: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return weighted mean and spread of every component over all that is there."""
        columns = np.moveaxis(values, 2, -1)
        weight = self.weight.reshape(-1, *[1] * (columns.ndim - 2))
        weight = np.broadcast_to(weight, columns.shape[:-1]).reshape(-1)
        columns = columns.reshape(-1, columns.shape[-1])
        mean, spread = np.empty(columns.shape[1]), np.empty(columns.shape[1])
        for component, column in enumerate(columns.T):
            there = ~np.isnan(column) & (weight > 0)
            if not there.any():
                raise ValueError(f"Output {component} of y is missing everywhere; leave it out.")
            mean[component], spread[component] = moments(column[there], weight[there])
        per_channel = (-1, *[1] * (len(shape) - 1))
        return mean.reshape(per_channel), spread.reshape(per_channel)

    def _window_starts(self, window: int, every: int) -> tuple[np.ndarray, np.ndarray]:
        which, at = [], []
        for i, length in enumerate(self.lengths):
            n_steps = length - 1
            last = n_steps - 1 if self.layout.learned else max(0, n_steps - window)
            begins = np.arange(0, max(0, last) + 1, every)
            if not self.layout.learned:
                states = self.states[i, begins].reshape(len(begins), -1)
                complete = ~np.isnan(states).any(axis=1)
                begins = begins[complete]
            which.append(np.full(len(begins), i))
            at.append(begins)
        return np.concatenate(which), np.concatenate(at)

    def _with_entries(
        self, x: Windows, which: np.ndarray, at: np.ndarray, scales: RateScales
    ) -> Windows:
        entry = np.arange(len(which))
        follows = np.zeros(len(which), dtype=bool)
        follows[:-1] = which[1:] == which[:-1]
        following = np.where(follows, entry + 1, -1)
        spread = np.broadcast_to(scales.state_scale.numpy(), x.start.shape)
        reach = spread.copy()
        if self.first_is_exact:
            reach[at == 0] = 0.0
        behind = np.maximum(following, 0)
        return x._replace(
            entry=entry,
            reach=reach,
            following=following,
            end=x.start[behind],
            end_reach=reach[behind],
        )

    def _groups(self, which: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Number what is held out together: trajectories, or blocks of a few long ones."""
        if len(np.unique(which)) >= MIN_GROUPS:
            return which
        return np.minimum(np.arange(len(which)) * N_BLOCKS // len(which), N_BLOCKS - 1)


def initial_states(rows: Rows, table: np.ndarray, first_entries: np.ndarray) -> np.ndarray:
    """Return the learned first states of whole trajectories, NaN for those left out of the rows.

    Parameters
    ----------
    rows : Rows
        Windows with learned first states.
    table : array of shape (n_entries, *state_shape)
        The first states, as coordinates.
    first_entries : array of int, shape (n,)
        Entries of the windows with which trajectories begin.
    """
    x = rows.x
    states = np.full((len(table), *x.start.shape[1:]), np.nan)
    states[x.entry] = x.start + x.reach * table[x.entry]
    return states[first_entries]


def at_learned_states(rows: Rows, table: np.ndarray, spread: np.ndarray | None) -> Rows:
    """Return windows that start at learned states, from which learning goes on.

    Parameters
    ----------
    rows : Rows
        Windows with learned first states.
    table : array of shape (n_entries, *state_shape)
        The first states, as coordinates.
    spread : array of shape (n_states,) or None
        New spread of the states; None keeps the one there is.
    """
    x = rows.x
    start = x.start + x.reach * table[x.entry]
    end = x.end + x.end_reach * table[np.maximum(x.following, 0)]
    reach, end_reach = x.reach, x.end_reach
    if spread is not None:
        reach, end_reach = ((each != 0) * spread for each in (reach, end_reach))
    moved = x._replace(start=start, end=end, reach=reach, end_reach=end_reach)
    return replace(rows, x=moved)


def read_times(
    ode: ODE, n: int, lengths: np.ndarray, with_first: bool, column: np.ndarray | None
) -> np.ndarray:
    """Return the times of every trajectory, padded, of shape (n, longest).

    Parameters
    ----------
    ode : ODE
    n : int
        Number of trajectories.
    lengths : array of int
        Number of times of each, the first state's included.
    with_first : bool
        Whether the first observation is that of the first state.
    column : array of shape (n, longest) or None
        Times that came with X.
    """
    longest = int(lengths.max())
    if column is not None:
        times = column
    elif ode.dt is not None:
        times = np.broadcast_to(ode.dt * np.arange(longest), (n, longest))
    elif np.ndim(ode.times[0]) == 0:
        shared = np.asarray(ode.times, dtype=np.float64)
        # The initial state has time 0, unless there is one time more than observations.
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
            given = np.asarray(given, dtype=np.float64)
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
        if len(wrong):
            k = wrong[0]
            raise ValueError(
                f"Times must increase; in trajectory {i} time {times[i, k]:g} is followed by "
                f"{times[i, k + 1]:g}."
            )
    return times


def uniform_step(times: np.ndarray, lengths: np.ndarray) -> float | None:
    """Return the time between two observations if it is the same everywhere, or None."""
    if np.ptp(lengths) > 0 or times.shape[1] < 2:
        return None
    steps = np.diff(times, axis=1)
    step = float(steps.mean())
    return step if np.allclose(steps, step, rtol=1e-6, atol=0.0) else None


def padded(arrays: Sequence[np.ndarray], fill: float) -> np.ndarray:
    """Return arrays of different lengths as one, filled up at their ends."""
    longest = max(len(array) for array in arrays)
    stacked = np.full((len(arrays), longest, *arrays[0].shape[1:]), fill)
    for i, array in enumerate(arrays):
        stacked[i, : len(array)] = array
    return stacked
