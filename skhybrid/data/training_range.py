"""The range of what a fit has seen, column by column."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skhybrid.data.trajectories import Trajectories
from skhybrid.model.right_hand_side import HOLD_MARGIN

PIXELS = ("darkest pixel", "brightest pixel")


@dataclass(frozen=True)
class TrainingRange:
    """Smallest and largest value of each column in training, and its standard deviation.

    Attributes
    ----------
    low, high, std : array of shape (n_columns,)
        For trajectories, ``low`` and ``high`` are a tenth of the range wider on either side, as
        for ``nn_extrapolation="hold"``: rollouts of a good model leave the range a little.
    names : tuple of str
        Empty for a table, whose names the estimator has.
    """

    low: np.ndarray
    high: np.ndarray
    std: np.ndarray
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, values: np.ndarray, names: Sequence[str] = (), *, margin: float = 0.0
    ) -> TrainingRange:
        """Note the range of values of shape (n, n_columns); NaN is missing."""
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        width = margin * (high - low)
        # The rounding error of a mean must not make a constant column vary.
        std = np.where(high > low, np.nanstd(values, axis=0), 0.0)
        return cls(low - width, high + width, std, tuple(names))

    def joined(self, other: TrainingRange) -> TrainingRange:
        """Return the columns of both."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        low, high, std, names = pairs
        arrays = [np.concatenate(each) for each in (low, high, std)]
        return TrainingRange(*arrays, names[0] + names[1])

    def beyond(self, values: np.ndarray) -> np.ndarray:
        """Return how far values of shape (n, n_columns) are outside, in their own unit.

        Negative below the range, positive above, zero inside, and infinite if not finite.
        """
        found = np.maximum(values - self.high, 0.0) - np.maximum(self.low - values, 0.0)
        return np.where(np.isfinite(values), found, np.inf)


def range_of_trajectories(
    trajectories: Trajectories,
    component_names: Sequence[str],
    *,
    given_states: bool,
    images: np.ndarray | None = None,
) -> TrainingRange:
    """Return the range of the columns of trajectories, in the order of :func:`trajectory_columns`.

    Parameters
    ----------
    trajectories : Trajectories
    component_names : sequence of str
        Names of states, inputs and the time.
    given_states : bool
        Whether X holds initial states.
    images : array of shape (n, n_times, ...), default=None
        Images take the place of states and outputs.
    """
    layout, used = trajectories.layout, trajectories.weight > 0
    note = functools.partial(TrainingRange.of, margin=HOLD_MARGIN)
    if images is not None:
        return note(np.concatenate([pixel_columns(each) for each in images[used]]), PIXELS)
    states = component_names[: layout.n_known_states]
    inputs = component_names[layout.state_shape[0] : -1]
    outputs = np.concatenate([channels(each) for each in trajectories.outputs[used]])
    names = states if layout.states_observed else output_names(outputs.shape[1])
    found = note(outputs, names)
    if given_states and not layout.states_observed:
        first = trajectories.states[used, 0]
        found = note(
            channels(layout.known_states(first)), [f"initial {name}" for name in states]
        ).joined(found)
    if trajectories.inputs is not None:
        records = zip(trajectories.inputs[used], trajectories.lengths[used], strict=True)
        seen = np.concatenate([each[:length] for each, length in records])
        found = found.joined(note(seen, inputs))
    return found


def channels(values: np.ndarray) -> np.ndarray:
    """Return values of shape (n, n_channels, ...) with a row for each point of a field."""
    return np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])


def pixel_columns(images: np.ndarray) -> np.ndarray:
    """Return the darkest and the brightest pixel of images of shape (n, ...)."""
    flat = images.reshape(len(images), -1)
    return np.stack([flat.min(axis=1), flat.max(axis=1)], axis=1)


def output_names(n_outputs: int) -> list[str]:
    """Return names of outputs, which y does not name."""
    return [f"output_{number}" for number in range(n_outputs)]
