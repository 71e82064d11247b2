"""Trajectories, cut into the windows that training uses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skhybrid.data.missing_targets import mask_missing
from skhybrid.data.rows import Rows
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
