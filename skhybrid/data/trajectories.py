"""Trajectories, cut into the windows that training uses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from skhybrid.data.missing_targets import mask_missing
from skhybrid.data.rows import Rows
from skhybrid.data.scaling import Moments, moments, robust_moments, robust_square
from skhybrid.model.batch import Windows
from skhybrid.model.layout import Layout
from skhybrid.model.scales import RateScales

# Two steps estimate θ at least as well as longer windows at every noise level, and in the shortest
# time (benchmarks/bench_windows.py).
AUTO_WINDOW = 2
# Each learned first state needs several observations. More steps do not help where states are
# hidden: what the physics lacks then moves the first states, and sharpness-aware minimisation a
# long rollout (benchmarks/bench_hidden_windows.py).
AUTO_LEARNED_WINDOW = 5
# Without physics only a rollout ties hidden states to the outputs.
AUTO_NETWORK_WINDOW = 20
AUTO_LATENT_WINDOW = 10

# With fewer trajectories than MIN_GROUPS, validation holds out blocks of windows instead.
MIN_GROUPS = 5
N_BLOCKS = 20


@dataclass(frozen=True)
class Trajectories:
    """Validated trajectories in float64, padded to the length of the longest.

    Attributes
    ----------
    states : array of shape (n, n_times, *state_shape)
        Observed states, NaN where a state is missing. Guesses where first states are learned.
    times : array of shape (n, n_times)
        The last time is repeated after the end of a trajectory.
    outputs : array of shape (n, n_times, *output_shape)
        NaN where an output is missing.
    inputs : array of shape (n, n_times, n_inputs) or None
    lengths : array of int, shape (n,)
        Number of times of each trajectory.
    weight : array of shape (n,)
    layout : Layout
    known_first : array of bool, shape (n, *state_shape), or None
        Components of initial states that stay as given while other first states are learned.
    with_ends : bool
        Whether windows also hold the entry of ``states`` at their ends.
    has_physics : bool
        Whether there is a physics, or a network alone.
    """

    states: np.ndarray
    times: np.ndarray
    outputs: np.ndarray
    inputs: np.ndarray | None
    lengths: np.ndarray
    weight: np.ndarray
    layout: Layout
    known_first: np.ndarray | None = None
    with_ends: bool = False
    has_physics: bool = True

    @property
    def n_steps(self) -> int:
        """Steps of the longest trajectory."""
        return self.times.shape[1] - 1

    def scales(self, *, robust: bool = False) -> RateScales:
        """Return the scales of outputs, states and rates; the network's inputs stay unchanged.

        For hidden states they are rough; the fitted physics gives better ones. With ``robust``,
        outliers do not inflate them. The unit of free states is 1, and they change about as fast as
        the other states, in their units.
        """
        n_free = self.layout.n_free_states
        if n_free:
            scales = self._without_free_states().scales(robust=robust)
            unit = torch.ones(n_free, dtype=torch.float64)
            speed = (scales.rate_scale / scales.state_scale).log().mean().exp()
            return replace(
                scales,
                state_mean=torch.cat([scales.state_mean, 0.0 * unit]),
                state_scale=torch.cat([scales.state_scale, unit]),
                rate_scale=torch.cat([scales.rate_scale, speed * unit]),
            )
        find = robust_moments if robust else moments
        output_mean, output_std = self._moments(self.outputs, self.layout.output_shape, find)
        if self.layout.states_observed:
            state_mean, state_std = output_mean, output_std
            find = robust_square if robust else moments
            square, _ = self._moments(self._rates() ** 2, self.layout.state_shape, find)
            rate_scale = np.sqrt(np.where(square > 0, square, 1.0))
        else:
            typical = float(np.mean(np.sqrt(output_mean**2 + output_std**2)))
            state_mean = self.states.mean(axis=(0, 1))
            size = np.abs(state_mean)
            guessed = self.states.std(axis=(0, 1))
            state_std = np.where(guessed > 0, guessed, np.where(size > 0, size, typical))
            duration = (self.times[:, -1] - self.times[:, 0]).mean()
            rate_scale = state_std * 10.0 / duration
        zero, one = torch.zeros(()), torch.ones(())
        values = (state_mean, state_std, rate_scale)
        state_values = [torch.tensor(np.ascontiguousarray(value)) for value in values]
        output_values = [torch.tensor(output_mean), torch.tensor(output_std)]
        return RateScales(zero, one, zero, one, *output_values, *state_values).to(torch.float64)

    def _without_free_states(self) -> Trajectories:
        """Return the same trajectories with the states of the physics alone."""
        known = replace(self.layout, state_shape=(self.layout.n_known_states,), n_free_states=0)
        return replace(self, states=self.layout.known_states(self.states), layout=known)

    def windows(self, window: int | str | None, scales: RateScales) -> Rows:
        """Cut the trajectories into windows.

        Windows that start at observed states overlap: every complete state starts one. Windows with
        learned first states follow each other: one begins where the previous one ends.

        Parameters
        ----------
        window : int, "auto" or None
            Steps in a window; None is the whole trajectory.
        scales : RateScales

        Raises
        ------
        ValueError
            If no window is left, or the window is longer than every trajectory.
        """
        learned = self.layout.learned
        window = self._length(window)
        trajectory, at = self._window_starts(window, every=window if learned else 1)
        if len(trajectory) == 0:
            raise ValueError(
                "There is no window to train on: no observed state is complete and followed by "
                "another observation. Set initial_state='learned' to start at unknown states."
            )
        last = self.lengths[trajectory] - 1
        index = at[:, None] + np.arange(window + 1)
        inside = index <= last[:, None]
        index = np.minimum(index, last[:, None])
        times = self.times[trajectory[:, None], index]
        outputs = self.outputs[trajectory[:, None], index]
        outputs = np.where(
            inside.reshape(*inside.shape, *[1] * (outputs.ndim - 2)), outputs, np.nan
        )
        inputs = None if self.inputs is None else self.inputs[trajectory[:, None], index]
        x = Windows(
            first_state=self.states[trajectory, at],
            first_time=times[:, 0],
            steps=np.diff(times, axis=1),
            inputs=inputs,
        )
        if self.with_ends:
            x = x._replace(next_state=self.states[trajectory, index[:, -1]])
        if learned:
            x = self._with_learned_states(x, trajectory, at, scales)
        y = outputs if self.layout.with_first else outputs[:, 1:]
        rows = mask_missing(x, y, self.weight[trajectory], keep_empty=learned)
        groups = self._groups(trajectory, at)
        return replace(rows, groups=groups[rows.kept])

    def _rates(self) -> np.ndarray:
        """Return rates of change since the previous observed value, NaN where there is none."""
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

    def n_window_steps(self, window: int) -> int:
        """Return the number of steps of all windows of a length together."""
        every = window if self.layout.learned else 1
        return window * len(self._window_starts(window, every)[0])

    def n_targets(self, window: int, kept: np.ndarray) -> int:
        """Return the number of observed values that are targets of windows, each counted once.

        The parameters are those of :meth:`window_places`.
        """
        trajectory, at = self.window_places(window, kept)
        is_target = np.zeros(self.outputs.shape[:2], dtype=bool)
        for step in range(0 if self.layout.with_first else 1, window + 1):
            is_target[trajectory, np.minimum(at + step, self.lengths[trajectory] - 1)] = True
        return int((~np.isnan(self.outputs))[is_target].sum())

    def window_places(self, window: int, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the trajectories of windows, and the indices of their first times.

        Parameters
        ----------
        window : int
            Steps in a window.
        kept : array of int, shape (n_windows,)
            Indices of these windows among all windows.
        """
        trajectory, at = self._window_starts(window, every=window if self.layout.learned else 1)
        return trajectory[kept], at[kept]

    @property
    def can_start_whole(self) -> bool:
        """Whether every trajectory has a first state from which a whole rollout can start."""
        return self.layout.learned or not np.isnan(self.states[self.weight > 0, 0]).any()

    def at_states(self, states: np.ndarray, kept: np.ndarray) -> Trajectories:
        """Return the same trajectories with other guesses of learned states.

        Parameters
        ----------
        states : array of shape (n_windows, n_steps + 1, *state_shape)
            States along windows of this length.
        kept : array of int, shape (n_windows,)
            Indices of these windows among all windows.
        """
        window = states.shape[1] - 1
        trajectory, at = (each[kept] for each in self._window_starts(window, every=window))
        guesses = self.states.copy()
        for i, begin, along in zip(trajectory, at, states, strict=True):
            room = guesses.shape[1] - begin
            guesses[i, begin : begin + window + 1] = along[:room]
        return replace(self, states=guesses)

    def trajectory_of_windows(self, window: int) -> np.ndarray:
        """Return the index of the trajectory of each window of this length."""
        return self._window_starts(window, every=window if self.layout.learned else 1)[0]

    def first_indices(self, window: int | str | None) -> np.ndarray:
        """Return the indices of the windows that begin trajectories, for learned first states."""
        window = self._length(window)
        _, at = self._window_starts(window, every=window)
        return np.flatnonzero(at == 0)

    def _length(self, window: int | str | None) -> int:
        """Return the number of steps of a window."""
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
        """Return the number of steps for ``window="auto"``."""
        if self.with_ends:
            return AUTO_LATENT_WINDOW
        if self.layout.learned:
            knows_states = self.layout.states_observed or self.has_physics
            return AUTO_LEARNED_WINDOW if knows_states else AUTO_NETWORK_WINDOW
        return AUTO_WINDOW

    def _moments(
        self, values: np.ndarray, shape: tuple[int, ...], find: Moments
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return weighted means and standard deviations of components without missing values."""
        columns = np.moveaxis(values, 2, -1)
        weight = self.weight.reshape(-1, *[1] * (columns.ndim - 2))
        weight = np.broadcast_to(weight, columns.shape[:-1]).reshape(-1)
        columns = columns.reshape(-1, columns.shape[-1])
        mean, std = np.empty(columns.shape[1]), np.empty(columns.shape[1])
        for component, column in enumerate(columns.T):
            known = ~np.isnan(column) & (weight > 0)
            if not known.any():
                raise ValueError(f"Output {component} of y is missing everywhere; leave it out.")
            mean[component], std[component] = find(column[known], weight[known])
        per_channel = (-1, *[1] * (len(shape) - 1))
        return mean.reshape(per_channel), std.reshape(per_channel)

    def _window_starts(self, window: int, every: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the trajectory of each window and the index of its first time."""
        trajectory, at = [], []
        for i, length in enumerate(self.lengths):
            n_steps = length - 1
            last = n_steps - 1 if self.layout.learned else max(0, n_steps - window)
            begins = np.arange(0, max(0, last) + 1, every)
            if not self.layout.learned:
                states = self.states[i, begins].reshape(len(begins), -1)
                complete = ~np.isnan(states).any(axis=1)
                begins = begins[complete]
            trajectory.append(np.full(len(begins), i))
            at.append(begins)
        return np.concatenate(trajectory), np.concatenate(at)

    def _with_learned_states(
        self, x: Windows, trajectory: np.ndarray, at: np.ndarray, scales: RateScales
    ) -> Windows:
        """Return the windows with their places among the learned first states."""
        index = np.arange(len(trajectory))
        has_next = np.zeros(len(trajectory), dtype=bool)
        has_next[:-1] = trajectory[1:] == trajectory[:-1]
        next_index = np.where(has_next, index + 1, -1)
        unit = np.broadcast_to(scales.state_scale.numpy(), x.first_state.shape).copy()
        if self.known_first is not None:
            begins = at == 0
            unit[begins] = np.where(self.known_first[trajectory[begins]], 0.0, unit[begins])
        following = np.maximum(next_index, 0)
        return x._replace(
            index=index,
            unit=unit,
            next_index=next_index,
            next_state=x.first_state[following],
            next_unit=unit[following],
        )

    def _groups(self, trajectory: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the group of each window: its trajectory, or a block of windows."""
        if len(np.unique(trajectory)) >= MIN_GROUPS:
            return trajectory
        return np.minimum(np.arange(len(trajectory)) * N_BLOCKS // len(trajectory), N_BLOCKS - 1)


def initial_states(rows: Rows, learned: np.ndarray, first_indices: np.ndarray) -> np.ndarray:
    """Return the learned initial states of trajectories, NaN for those without rows.

    Parameters
    ----------
    rows : Rows
        Windows with learned first states.
    learned : array of shape (n_first_states, *state_shape)
        Coordinates of the first states.
    first_indices : array of int, shape (n,)
        Indices of the windows that begin trajectories.
    """
    x = rows.x
    # The last trajectories may have no rows, and then no learned states either.
    n_states = max(len(learned), int(first_indices.max()) + 1)
    states = np.full((n_states, *x.first_state.shape[1:]), np.nan)
    states[x.index] = x.first_state + x.unit * learned[x.index]
    return states[first_indices]


def windows_at_learned_states(rows: Rows, learned: np.ndarray, std: np.ndarray | None) -> Rows:
    """Return windows whose first states are the learned ones, for further training.

    Parameters
    ----------
    rows : Rows
        Windows with learned first states.
    learned : array of shape (n_first_states, *state_shape)
        Coordinates of the first states.
    std : array of shape (n_states,) or None
        New standard deviation of the states; None keeps the current one.
    """
    x = rows.x
    first_state = x.first_state + x.unit * learned[x.index]
    next_state = x.next_state + x.next_unit * learned[np.maximum(x.next_index, 0)]
    unit, next_unit = x.unit, x.next_unit
    if std is not None:
        unit, next_unit = ((each != 0) * std for each in (unit, next_unit))
    moved = x._replace(
        first_state=first_state, next_state=next_state, unit=unit, next_unit=next_unit
    )
    return replace(rows, x=moved)
