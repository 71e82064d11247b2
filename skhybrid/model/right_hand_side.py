"""The right-hand side of a hybrid differential equation: physics and network joined."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from skhybrid.exceptions import NetworkError, PhysicsError, StructureError
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.layout import Layout
from skhybrid.model.networks import Pointwise, build_network
from skhybrid.model.ode import ODE
from skhybrid.model.parameter_values import replaced_values
from skhybrid.model.rate_shapes import (
    require_corrected_rates,
    require_corrections,
    wrong_rates,
)
from skhybrid.model.scales import RateScales
from skhybrid.model.user_code import named, require_dense

# Trajectories go a little beyond the training range. If the network's inputs are held exactly to
# that range, rollouts are worse (benchmarks/bench_windows.py).
HOLD_MARGIN = 0.1
# Hidden states of a network alone vary if their standard deviation is above this part of the guess.
LEAST_STD = 0.1


@dataclass(frozen=True, eq=False)
class RightHandSide(Hybrid):
    """Physics and network as functions of time, state and inputs.

    Attributes
    ----------
    physics : Physics or None
        Maps ``(t, state)`` or ``(t, state, inputs)`` to the rate of change; None is a rate of zero.
    space, network
        As for :class:`~skhybrid.model.hybrid.Hybrid`.
    structure : ODE
    scales : RateScales
    network_columns : Tensor of int or None
        Components that the network reads: of the state, the inputs and the time, in this order.
        None is the state and the inputs.
    layout : Layout
    reads_time : bool
        Whether ``network_columns`` contains the time.
    """

    structure: ODE
    scales: RateScales
    layout: Layout = field(kw_only=True)
    reads_time: bool = field(default=False, kw_only=True)

    @property
    def channel_axis(self) -> int:
        """Axis of the components of states and network inputs, counted from the right."""
        return self.layout.channel_axis

    @property
    def n_field_axes(self) -> int:
        """Number of spatial axes of a state; zero for vectors."""
        return len(self.layout.state_shape) - 1

    @property
    def n_network_outputs(self) -> int:
        """Number of columns or channels of the network's output."""
        if self.structure.correct == "output":
            corrected = self.structure.corrected
            return math.prod(self.target_shape) if corrected is None else len(corrected)
        return self.layout.n_corrected_rates

    def new_network(self, nn: Sequence[int] | int | nn.Module, *, seed: int) -> nn.Module:
        """Return a newly initialised network; for fields, hidden sizes give a pointwise one.

        Parameters
        ----------
        nn : int, sequence of int or torch.nn.Module
        seed : int
        """
        n_inputs = self.scales.feature_offset.shape[0]
        return self._placed(self._built(nn, n_inputs, seed))

    def _one_network(
        self, nn: Sequence[int] | int | nn.Module, n_inputs: int, n_outputs: int, seed: int
    ) -> nn.Module:
        """Return one part of the network; for fields, hidden sizes give a pointwise one."""
        network = build_network(nn, n_inputs, n_outputs, seed=seed)
        if self.layout.is_field and not isinstance(nn, torch.nn.Module):
            return Pointwise(network)
        return network

    def batching_key(self) -> Hashable:
        """Return the layout with the time step rounded: mean steps differ in their last digits."""
        step = self.layout.uniform_step
        return replace(self.layout, uniform_step=None), step and f"{step:.9g}", self.parts

    def unrestricted_columns(self, x: tuple) -> list[int]:
        """Return the columns of the state and the inputs, without the time."""
        return list(range(self.layout.state_shape[0] + self.layout.n_inputs))

    def input_units(self) -> list[float]:
        """Return units of the network's inputs, for inputs that do not vary.

        Without physics, states are constant as long as the network is silent. Their unit is their
        standard deviation, 1 for inputs and the time.
        """
        return self._of_inputs(self._state_scales(), 1.0)

    def least_input_stds(self) -> list[float]:
        """Return standard deviations below which the network's inputs do not vary.

        Without physics, hidden states hardly differ between windows before a network is trained.
        """
        if self.physics is not None or self.layout.states_observed:
            return self._of_inputs([0.0] * self.layout.state_shape[0], 0.0)
        return self._of_inputs([LEAST_STD * scale for scale in self._state_scales()], 0.0)

    def _state_scales(self) -> list[float]:
        """Return the standard deviation of every state."""
        return self.scales.state_scale.flatten().expand(self.layout.state_shape[0]).tolist()

    def _of_inputs(self, of_states: list[float], of_others: float) -> list[float]:
        """Return numbers for the network's inputs: those of states, and one for all others."""
        numbers = [*of_states, *[of_others] * (self.layout.n_inputs + 1)]
        if self.network_columns is None:
            return numbers[:-1]
        return [numbers[column] for column in self.network_columns.tolist()]

    def with_network_columns(self, columns: Sequence[int]) -> RightHandSide:
        """Return the same model with a network that reads these components."""
        time = self.layout.state_shape[0] + self.layout.n_inputs
        return replace(super().with_network_columns(columns), reads_time=time in columns)

    @property
    def adds_correction(self) -> bool:
        """Whether the rate is that of the physics plus a correction, and nothing varies θ."""
        adds = self._join == "add" and self.structure.correct == "rate"
        return adds and self.parts is None and self.physics is not None

    @property
    def _join(self) -> str | Callable:
        """How physics and network give the rate; never "auto"."""
        if self.structure.join != "auto":
            return self.structure.join
        return "add" if self.has_correction else "none"

    def rate(self, physics: Callable, network: Callable) -> Callable[..., Tensor]:
        """Return the right-hand side as a function of time, state and inputs (or None)."""
        join = self._join
        if self.structure.correct == "output" or join == "none":
            return physics
        if network == self.silent_network and join in ("add", "multiply"):
            return physics
        if join == "add":
            if self.physics is None:
                return network
            return lambda t, state, inputs: physics(t, state, inputs) + network(t, state, inputs)
        if join == "multiply":
            return self._multiplied(physics, network)
        join = named("join", join, StructureError)
        if self.layout.n_inputs:
            return lambda t, state, inputs: self._shaped(
                join(t, state, inputs, physics, network), state, StructureError, "join"
            )

        def without_inputs(t: Tensor, state: Tensor, inputs: None) -> Tensor:
            def physics_rate(t, state, **replaced):
                return physics(t, state, None, **replaced)

            def network_rate(t, state, *extra, **options):
                return network(t, state, None, *extra, **options)

            rates = join(t, state, physics_rate, network_rate)
            return self._shaped(rates, state, StructureError, "join")

        return without_inputs

    def _multiplied(self, physics: Callable, network: Callable) -> Callable[..., Tensor]:
        """Return f_S · (1 + f_N); a free state has the rate f_N, in the unit of its rate."""

        def rates(t: Tensor, state: Tensor, inputs: Tensor | None) -> Tensor:
            known, answer = physics(t, state, inputs), network(t, state, inputs, scale=1.0)
            if not self.layout.n_free_states:
                return known * (1.0 + answer)
            n = self.layout.n_known_states
            free = answer[:, n:] * self.scales.rate_scale[n:]
            return torch.cat([known[:, :n] * (1.0 + answer[:, :n]), free], dim=1)

        return rates

    def bind_physics(
        self, values: Mapping[str, Tensor], network: Callable | None = None
    ) -> Callable[..., Tensor]:
        """Return the physics as a function of time, state and inputs.

        A bound network varies the parameters; without it they are constant.
        """
        if self.physics is None:
            return lambda t, state, inputs: torch.zeros_like(state)
        who = f"physics {self.physics.name!r}"
        physics = named(who, self.physics)
        reads_inputs = self.layout.reads_inputs
        answers, layout = self.answers_of(network), self.layout

        def rates(t: Tensor, state: Tensor, inputs: Tensor | None, **replaced: Tensor) -> Tensor:
            own = values
            if answers is not None:
                own = self.space.varied(values, answers(t, state, inputs))
            if replaced:
                own = replaced_values(own, replaced, self.physics.name)
            known = layout.known_states(state)
            given = (t, known, inputs) if reads_inputs else (t, known)
            output = self._shaped(physics(*given, **own), known, PhysicsError, who)
            return layout.with_free_rates(output)

        return rates

    @property
    def network_unit(self) -> Tensor:
        """Unit of the network's outputs."""
        return self.scales.rate_scale if self.structure.correct == "rate" else self._output_unit()

    def _checked_output(
        self, output: Tensor, t: Tensor, state: Tensor, inputs: Tensor | None, *extra: Tensor
    ) -> Tensor:
        """Return rates or corrections of outputs, or raise a NetworkError."""
        if self.structure.correct == "output":
            require_corrections(output, (len(state), *self._correction_shape))
            return output
        if self.layout.corrects is None:
            return self._shaped(output, state, NetworkError, "nn")
        require_corrected_rates(output, state, self.layout.corrects)
        return self.as_rates(output, state)

    def as_rates(self, corrections: Tensor, state: Tensor) -> Tensor:
        """Return corrections of the rates that the network changes, and zeros for the others.

        Parameters
        ----------
        corrections : Tensor of shape (n, n_corrected_rates, ...)
        state : Tensor of shape (n, *state_shape)
        """
        corrects, axis = self.layout.corrects, self.layout.channel_axis
        if corrects is None:
            return corrections
        first, n_after = corrects[0], state.shape[axis] - corrects[-1] - 1
        if corrects[-1] - first == len(corrects) - 1:  # neighbours, much faster than by index
            return pad(corrections, (*(0, 0) * (-axis - 1), first, n_after))
        at = torch.tensor(corrects, device=state.device)
        return torch.zeros_like(state).index_add(axis, at, corrections)

    @property
    def silent(self) -> Callable:
        """A network that answers zero."""
        return self.silent_network if self.structure.correct == "rate" else self.silent_output

    def silent_network(self, t, state, inputs, *extra, scale=None) -> Tensor:
        """Answer zero rates."""
        return torch.zeros_like(state)

    def silent_output(self, t, state, inputs, *extra, scale=None) -> Tensor:
        """Answer zero corrections of the outputs."""
        return state.new_zeros((state.shape[0], *self._correction_shape))

    def network_inputs(
        self, t: Tensor, state: Tensor, inputs: Tensor | None, *extra: Tensor
    ) -> Tensor:
        """Return the standardised inputs of the network, with components on the channel axis."""
        axis = self.layout.channel_axis
        parts = [state]
        if inputs is not None:
            parts.append(self._as_channels(inputs, state))
        if self.reads_time:
            t = torch.as_tensor(t, dtype=state.dtype, device=state.device).expand(state.shape[0])
            parts.append(self._as_channels(t[:, None], state))
        seen = parts[0] if len(parts) == 1 else torch.cat(parts, dim=axis)
        if self.network_columns is not None:
            seen = seen.index_select(axis, self.network_columns)
        if extra:
            seen = torch.cat([seen, *extra], dim=axis)
        return self.standardised(seen)

    @property
    def read_states(self) -> Tensor:
        """Ones where an input of the network is a state: (n_nn_inputs, n_states)."""
        n_inputs = self.scales.feature_offset.shape[-1]
        columns = self.network_columns
        if columns is None:
            columns = torch.arange(n_inputs, device=self.scales.target_scale.device)
        return columns[:, None] == torch.arange(self.layout.state_shape[0], device=columns.device)

    def pool_network_inputs(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the network inputs of all calls as one batch."""
        return torch.cat(list(inputs))

    def with_input_range(self, inputs: Tensor) -> RightHandSide:
        """Return the same model with the range of these standardised network inputs."""
        axes = self.layout.other_axes(inputs)
        low, high = inputs.amin(dim=axes), inputs.amax(dim=axes)
        margin = HOLD_MARGIN * (high - low)
        per_channel = self.layout.per_channel
        scales = replace(
            self.scales,
            feature_low=per_channel(low - margin),
            feature_high=per_channel(high + margin),
        )
        return replace(self, scales=self.with_group_codes(scales))

    def _output_unit(self) -> Tensor:
        """Return the standard deviations of the outputs that the network corrects."""
        corrected = self.structure.corrected
        scale = self.scales.target_scale
        return scale if corrected is None else scale[list(corrected)]

    @property
    def _correction_shape(self) -> tuple[int, ...]:
        """Shape of the network's correction of one observation."""
        corrected = self.structure.corrected
        if corrected is None:
            return tuple(self.target_shape)
        return (len(corrected), *self.target_shape[1:])

    def _as_channels(self, values: Tensor, state: Tensor) -> Tensor:
        """Return numbers of shape (n, k) as k components that are constant over a field."""
        if not self.layout.is_field:
            return values
        space = state.shape[2:]
        return values.reshape(*values.shape, *[1] * len(space)).expand(*values.shape, *space)

    def _shaped(self, output: Tensor, state: Tensor, error: type[Exception], who: str) -> Tensor:
        """Return the output if it has the shape of the state; otherwise raise an error."""
        require_dense(output, error, who, many="The rates of several states")
        if output.shape != state.shape:
            raise wrong_rates(output, state, error, who, self.varying)
        return output
