"""Shapes and times of trajectories."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import pad

# Name of the learned first states among the coordinates. Physics parameters are identifiers.
FIRST_STATES = "first states"


@dataclass(frozen=True)
class Layout:
    """Shapes and times of the trajectories.

    Attributes
    ----------
    state_shape : tuple
        (n_states,) for vectors, (n_channels, ...) for fields.
    output_shape : tuple
        Shape of the observation of one state.
    n_inputs : int
    reads_inputs : bool
        Whether the physics takes the inputs as its third argument.
    uniform_step : float or None
        Time between two observations; None if it varies.
    with_first : bool
        Whether predictions begin with the first state, as for outputs recorded together with
        inputs. Otherwise they begin one step later.
    learned : bool
        Whether the first state of every window is learned.
    states_observed : bool
        Whether the outputs are the states, except free ones.
    corrects : tuple of int or None
        Numbers of the states whose rates the network changes, in increasing order; None is all.
    n_free_states : int
        Number of states that are the network's alone; they are the last ones.
    """

    state_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    n_inputs: int = 0
    reads_inputs: bool = False
    uniform_step: float | None = None
    with_first: bool = False
    learned: bool = False
    states_observed: bool = True
    corrects: tuple[int, ...] | None = None
    n_free_states: int = 0

    @property
    def is_field(self) -> bool:
        """Whether states are fields, with the channels first."""
        return len(self.state_shape) > 1

    @property
    def channel_axis(self) -> int:
        """Axis of the components in a batch of states, counted from the right."""
        return -len(self.state_shape)

    @property
    def n_known_states(self) -> int:
        """Number of states of the physics, or of channels: all but the free ones."""
        return self.state_shape[0] - self.n_free_states

    @property
    def free_columns(self) -> tuple[int, ...]:
        """Numbers of the free states among the components that the network may read."""
        return tuple(range(self.n_known_states, self.state_shape[0]))

    def known_states(self, states):
        """Return the states of the physics from arrays or tensors of shape (..., n_states)."""
        return states[..., : self.n_known_states] if self.n_free_states else states

    def hidden_states(self, states: Tensor) -> Tensor:
        """Return the states that are not observed, as a view of states (..., *state_shape)."""
        if not self.states_observed:
            return states
        return states.narrow(self.channel_axis, self.n_known_states, self.n_free_states)

    def with_free_rates(self, rates: Tensor) -> Tensor:
        """Return rates of the physics, and zero for free states."""
        return pad(rates, (0, self.n_free_states)) if self.n_free_states else rates

    @property
    def n_corrected_rates(self) -> int:
        """Number of states whose rates the network changes."""
        return self.state_shape[0] if self.corrects is None else len(self.corrects)

    def other_axes(self, values: Tensor) -> list[int]:
        """Return all axes of a batch except the component axis."""
        return [axis for axis in range(values.ndim) if axis != values.ndim + self.channel_axis]

    def per_channel(self, values: Tensor) -> Tensor:
        """Reshape one number per component so that it broadcasts with states."""
        return values.reshape(-1, *[1] * (len(self.state_shape) - 1))
