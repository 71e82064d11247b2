"""From trajectories to the windows that training sees."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from skhybrid.data.rows import Rows
from skhybrid.data.scaling import moments
from skhybrid.model.batch import Windows
from skhybrid.model.layout import Layout
from skhybrid.model.scales import RateScales

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
        """Return means and stds of outputs, states and rates, the network's inputs left out.

        Of states that are not observed they are rough: the physics tells more, once it is fitted.
        """
        output_mean, output_std = self._moments(self.outputs, self.layout.output_shape)
        if self.layout.states_observed:
            state_mean, state_std = output_mean, output_std
            square, _ = self._moments(self._rates() ** 2, self.layout.state_shape)
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
            first_state=self.states[which, at],
            first_time=times[:, 0],
            steps=np.diff(times, axis=1),
            inputs=inputs,
        )
        if self.with_ends:
            x = x._replace(next_state=self.states[which, index[:, -1]])
        if learned:
            x = self._with_learned_states(x, which, at, scales)
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

    def first_indices(self, window: int | str | None) -> np.ndarray:
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
        """Return weighted mean and std of every component over all that is there."""
        columns = np.moveaxis(values, 2, -1)
        weight = self.weight.reshape(-1, *[1] * (columns.ndim - 2))
        weight = np.broadcast_to(weight, columns.shape[:-1]).reshape(-1)
        columns = columns.reshape(-1, columns.shape[-1])
        mean, std = np.empty(columns.shape[1]), np.empty(columns.shape[1])
        for component, column in enumerate(columns.T):
            there = ~np.isnan(column) & (weight > 0)
            if not there.any():
                raise ValueError(f"Output {component} of y is missing everywhere; leave it out.")
            mean[component], std[component] = moments(column[there], weight[there])
        per_channel = (-1, *[1] * (len(shape) - 1))
        return mean.reshape(per_channel), std.reshape(per_channel)

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

    def _with_learned_states(
        self, x: Windows, which: np.ndarray, at: np.ndarray, scales: RateScales
    ) -> Windows:
        index = np.arange(len(which))
        has_next = np.zeros(len(which), dtype=bool)
        has_next[:-1] = which[1:] == which[:-1]
        next_index = np.where(has_next, index + 1, -1)
        unit = np.broadcast_to(scales.state_scale.numpy(), x.first_state.shape).copy()
        if self.first_is_exact:
            unit[at == 0] = 0.0
        behind = np.maximum(next_index, 0)
        return x._replace(
            index=index,
            unit=unit,
            next_index=next_index,
            next_state=x.first_state[behind],
            next_unit=unit[behind],
        )

    def _groups(self, which: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Number what is held out together: trajectories, or blocks of a few long ones."""
        if len(np.unique(which)) >= MIN_GROUPS:
            return which
        return np.minimum(np.arange(len(which)) * N_BLOCKS // len(which), N_BLOCKS - 1)


def initial_states(rows: Rows, learned: np.ndarray, first_indices: np.ndarray) -> np.ndarray:
    """Return the learned initial states of trajectories, NaN for those without rows.

    Parameters
    ----------
    rows : Rows
        Windows with learned first states.
    learned : array of shape (n_first_states, *state_shape)
        Coordinates of the first states.
    first_indices : array of int, shape (n,)
        Indices of the windows with which trajectories begin.
    """
    x = rows.x
    states = np.full((len(learned), *x.first_state.shape[1:]), np.nan)
    states[x.index] = x.first_state + x.unit * learned[x.index]
    return states[first_indices]


def windows_at_learned_states(rows: Rows, learned: np.ndarray, std: np.ndarray | None) -> Rows:
    """Return windows that begin at learned states, from which learning continues.

    Parameters
    ----------
    rows : Rows
        Windows with learned first states.
    learned : array of shape (n_first_states, *state_shape)
        Coordinates of the first states.
    std : array of shape (n_states,) or None
        New standard deviation of the states; None keeps the present one.
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
