"""The forward map of a hybrid differential equation: from windows to what is observed in them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from skhybrid._parameter_space import ParameterSpace
from skhybrid.exceptions import NetworkError, PhysicsError
from skhybrid.networks import as_function
from skhybrid.physics import Physics
from skhybrid.structures.hybrid import Hybrid, Weights, described_type
from skhybrid.structures.layout import STATES, Layout, RateScales
from skhybrid.structures.ode import ODE
from skhybrid.structures.solvers import FIXED_STEP, STIFF, solve_adaptive, solve_fixed
from skhybrid.structures.windows import Windows

# While training, a state further from the mean than so many of its spreads stays there, so that a
# rollout that diverges leaves a loss that is finite and no gradient.
FARTHEST = 100.0
# Trajectories go a little beyond those of the training. Where the network is held so closely that
# it is held there too, rollouts are worse (benchmarks/bench_windows.py).
HOLD_MARGIN = 0.1


class Dynamics(Hybrid):
    """Windows in, what is observed of their states out.

    Parameters
    ----------
    physics : Physics or None
        ``(t, state)`` or ``(t, state, inputs)`` to the rate of change; None is no change.
    space : ParameterSpace
    network : torch.nn.Module or None
    ode : ODE
    scales : RateScales
    layout : Layout
    network_columns : Tensor of int or None
        What the network reads of the state, the inputs and the time, in this order; None is the
        state and the inputs.
    n_entries : int
        Number of learned first states.
    """

    def __init__(
        self,
        physics: Physics | None,
        space: ParameterSpace,
        network: nn.Module | None,
        ode: ODE,
        scales: RateScales,
        *,
        layout: Layout,
        network_columns: Tensor | None = None,
        n_entries: int = 0,
    ) -> None:
        super().__init__(
            physics,
            space,
            network,
            ode,
            scales,
            network_columns=network_columns,
            target_shape=layout.output_shape,
        )
        self.layout = layout
        self.n_entries = n_entries
        self._reads_time = network_columns is not None and self._has_time(network_columns.tolist())
        self._step = FIXED_STEP.get(ode.method)

    @property
    def vectorisable(self) -> bool:
        """Whether several members can be evaluated together: torchdiffeq branches on data."""
        return self._step is not None

    @property
    def foldable(self) -> bool:
        """Whether several members may be evaluated with the windows of all of them as one batch.

        Learned first states are numbered within a member.
        """
        return super().foldable and not self.n_entries

    @property
    def n_space_axes(self) -> int:
        """Number of axes of a component of the state: none but for fields."""
        return len(self.layout.state_shape) - 1

    @property
    def differentiable(self) -> bool:
        """Whether derivatives pass through the solver's steps, and not by the adjoint equation."""
        return self.structure.method not in STIFF

    @property
    def n_network_outputs(self) -> int:
        """Number of columns or channels that the network answers with."""
        if self.structure.correct == "output":
            corrected = self.structure.corrected
            return math.prod(self.target_shape) if corrected is None else len(corrected)
        return self.layout.state_shape[0]

    def layout_key(self) -> Hashable:
        """Return the layout, with a step that does not depend on how it was averaged."""
        step = self.layout.uniform_step
        return replace(self.layout, uniform_step=None), step and f"{step:.9g}"

    def readable(self, x: Windows) -> list[int]:
        """Return the components that a network reads which is not restricted: not the time."""
        return list(range(self.layout.state_shape[0] + self.layout.n_inputs))

    def seeing(self, columns: Sequence[int]) -> Dynamics:
        """Return the same model with a network that reads these components."""
        copied = super().seeing(columns)
        copied._reads_time = self._has_time(columns)
        return copied

    def _has_time(self, columns: Sequence[int]) -> bool:
        """Whether the time, which comes after states and inputs, is one of these components."""
        return self.layout.state_shape[0] + self.layout.n_inputs in columns

    def at_observed_states(self) -> Dynamics:
        """Return the same model for windows that start where their states were observed."""
        copied = self.at(self.space, self.scales)
        copied.n_entries = 0
        return copied

    def at_step(self, uniform_step: float | None) -> Dynamics:
        """Return the same model, its network too, for other times between observations."""
        copied = copy.copy(self)
        copied.layout = replace(self.layout, uniform_step=uniform_step)
        return copied

    @torch.no_grad()
    def simulated_scales(
        self, x: Windows, values: Mapping[str, Tensor], table: Tensor
    ) -> RateScales:
        """Return the scales with spreads of states and rates that the physics alone has."""
        first = self.first_states(x, table)
        physics = self.bind_physics(values)
        states = self.rollout(x, first, physics, self.silent_network, values.values())
        flat = states.flatten(0, 1)
        inputs = None if x.inputs is None else x.inputs.flatten(0, 1)
        times = x.origin[:, None].expand(states.shape[:2]).reshape(-1)
        rates = physics(times, flat, inputs)
        axes = self.layout.other_axes(flat)
        mean = self.layout.per_channel(flat.mean(dim=axes))
        spread = self.layout.per_channel(flat.std(dim=axes, correction=0))
        rate = self.layout.per_channel(rates.square().mean(dim=axes).sqrt())
        scales = self.scales
        return replace(
            scales,
            state_mean=mean,
            state_scale=torch.where(spread > 0, spread, scales.state_scale),
            rate_scale=torch.where(rate > 0, rate, scales.rate_scale),
        )

    def compiled(self) -> Dynamics:
        """Return the same model with one step of its solver compiled.

        The loop over the steps stays in Python: to compile a whole rollout takes minutes.
        """
        copied = copy.copy(self)
        if self._step is not None:
            copied._step = torch.compile(self._step, dynamic=False)
        return copied

    def origin(self) -> dict[str, Tensor]:
        """Return the coordinates of the start, which are zero."""
        origin = self.space.origin()
        if self.n_entries:
            scale = self.scales.state_scale
            origin[STATES] = scale.new_zeros((self.n_entries, *self.layout.state_shape))
        return origin

    def evaluate(
        self,
        x: Windows,
        coordinates: Weights,
        weights: Weights | None = None,
        *,
        hold: bool = False,
        bounded: bool = False,
    ) -> tuple[Tensor, Tensor | float]:
        """Return the prediction, and how far windows end from where the next ones begin."""
        values = self.space.values(coordinates)
        network = self.bind_network(weights, hold=hold)
        table = coordinates.get(STATES)
        first = self.first_states(x, table, weights)
        parameters = [*coordinates.values()]
        if self.network is not None:
            parameters += self.network.parameters() if weights is None else weights.values()
        physics = self.bind_physics(values)
        states = self.rollout(x, first, physics, network, parameters, bounded=bounded)
        outputs = self.observed(x, states, values, network, weights)
        return outputs, self.tie(x, states[:, -1], table, weights)

    def tie(
        self, x: Windows, last: Tensor, table: Tensor | None, weights: Weights | None
    ) -> Tensor | float:
        """Return the penalty on windows that do not end where the next ones begin."""
        if table is None or x.following is None:
            return 0.0
        return self.structure.continuity * self.gaps(x, last, table).square().mean()

    def first_states(
        self, x: Windows, table: Tensor | None, weights: Weights | None = None
    ) -> Tensor:
        """Return the first state of every window, learned if there is a table of them."""
        if x.entry is None or table is None:
            return x.start
        return torch.addcmul(x.start, x.reach, table[x.entry])

    def gaps(self, x: Windows, last: Tensor, table: Tensor) -> Tensor:
        """Return how far windows end from where the next ones begin, in spreads of the states."""
        begin = torch.addcmul(x.end, x.end_reach, table[x.following.clamp(min=0)])
        exists = (x.following >= 0).reshape(-1, *[1] * (last.ndim - 1))
        return (last - begin) / self.scales.state_scale * exists

    def rollout(
        self,
        x: Windows,
        first: Tensor,
        physics: Callable,
        network: Callable,
        parameters: Iterable[Tensor] = (),
        *,
        bounded: bool = False,
    ) -> Tensor:
        """Return the states of the windows, the first ones included: (n, w + 1, *state_shape).

        ``parameters`` are the tensors to which the adjoint equation brings gradients. Without any
        it is not used: derivatives of other kinds, as least squares takes, would silently be zero.
        """
        ode, layout = self.structure, self.layout
        rate = self.joined(physics, network)

        def rate_in_interval(interval: int) -> Callable:
            if x.inputs is None:
                return lambda t, state, part: rate(t, state, None)
            now = x.inputs[:, interval]
            if ode.inputs != "linear":
                return lambda t, state, part: rate(t, state, now)
            change = x.inputs[:, interval + 1] - now
            return lambda t, state, part: rate(t, state, now + part * change)

        lengths = self._lengths(x, first)
        if self._step is not None:
            step = self._bounded_step if bounded else self._step
            states = solve_fixed(step, rate_in_interval, first, x.origin, lengths, ode.substeps)
        else:
            smooth = layout.uniform_step is not None and x.inputs is None
            adjoint = None
            if ode.adjoint or ode.method in STIFF:
                adjoint = [p for p in parameters if p.requires_grad] or None
            states = solve_adaptive(
                ode.method,
                rate_in_interval,
                first,
                x.origin,
                lengths,
                substeps=ode.substeps,
                rtol=ode.rtol,
                atol=ode.atol,
                smooth=smooth,
                adjoint=adjoint,
            )
        return torch.stack(states, dim=1)

    def joined(self, physics: Callable, network: Callable) -> Callable[..., Tensor]:
        """Return the right-hand side as a function of time, state and inputs (or None)."""
        join = self.structure.join
        if self.structure.correct == "output":
            return physics
        if network == self.silent_network and join in ("add", "multiply"):
            return physics
        if join == "add":
            if self.physics is None:
                return network
            return lambda t, state, inputs: physics(t, state, inputs) + network(t, state, inputs)
        if join == "multiply":
            return lambda t, state, inputs: (
                physics(t, state, inputs) * (1.0 + network(t, state, inputs, scale=1.0))
            )
        if self.layout.n_inputs:
            return lambda t, state, inputs: self._shaped(
                join(t, state, inputs, physics, network), state, ValueError, "join"
            )

        def without_inputs(t: Tensor, state: Tensor, inputs: None) -> Tensor:
            def physics_of(t, state):
                return physics(t, state, None)

            def network_of(t, state, *extra, **options):
                return network(t, state, None, *extra, **options)

            rates = join(t, state, physics_of, network_of)
            return self._shaped(rates, state, ValueError, "join")

        return without_inputs

    def observed(
        self,
        x: Windows,
        states: Tensor,
        values: Mapping[str, Tensor],
        network: Callable,
        weights: Weights | None = None,
    ) -> Tensor:
        """Return what is observed of the states, without the first where it is given."""
        n_windows, n_times = states.shape[:2]
        inputs = x.inputs
        if not self.layout.with_first:
            states, n_times = states[:, 1:], n_times - 1
            inputs = None if inputs is None else inputs[:, 1:]
        if self.structure.observe is None and self.structure.correct == "rate":
            return states
        flat = states.reshape(n_windows * n_times, *states.shape[2:])
        inputs = None if inputs is None else inputs.reshape(n_windows * n_times, -1)
        outputs = self.observation(flat, inputs, values)
        if self.structure.correct == "output" and network != self.silent_output:
            elapsed = torch.cat([torch.zeros_like(x.steps[:, :1]), x.steps.cumsum(1)], dim=1)
            times = (x.origin[:, None] + elapsed)[:, -n_times:].reshape(-1)
            outputs = self._corrected(outputs, network(times, flat, inputs))
        return outputs.reshape(n_windows, n_times, *outputs.shape[1:])

    def observation(
        self, states: Tensor, inputs: Tensor | None, values: Mapping[str, Tensor]
    ) -> Tensor:
        """Return what ``observe`` says of a batch of states."""
        observe = self.structure.observe
        if observe is None:
            return states
        arguments = [states, inputs][: self.structure.n_observe_inputs()]
        shared = self.structure.observe_parameters()
        outputs = observe(*arguments, **{name: values[name] for name in shared})
        if not isinstance(outputs, Tensor):
            raise PhysicsError(
                f"observe must return a torch.Tensor; it returned {described_type(outputs)}"
            )
        if outputs.shape == states.shape[:1]:
            outputs = outputs[:, None]
        if outputs.shape[1:] != self.target_shape:
            raise PhysicsError(
                f"observe returned shape {tuple(outputs.shape)} for states of shape "
                f"{tuple(states.shape)}; y has outputs of shape {self.target_shape}, so it must "
                f"return shape {(len(states), *self.target_shape)}."
            )
        return outputs

    def physics_part(self, x: Windows, coordinates: Weights) -> Tensor:
        """Return what the physics alone predicts from the same first states."""
        values, table = self.space.values(coordinates), coordinates.get(STATES)
        return self.without_network(x, values, table)[0]

    def without_network(
        self, x: Windows, values: Mapping[str, Tensor], table: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return what the physics alone predicts, and the last states of the windows."""
        first = self.first_states(x, table)
        parameters = () if self.differentiable else values.values()
        physics, silent = self.bind_physics(values), self.silent_network
        states = self.rollout(x, first, physics, silent, parameters)
        return self.observed(x, states, values, self.silent_output), states[:, -1]

    def baseline(self, x: Windows, coordinates: Weights) -> Tensor:
        """Return what is predicted if nothing ever changes."""
        first = self.first_states(x, coordinates.get(STATES))
        states = first[:, None].expand(-1, x.steps.shape[1] + 1, *first.shape[1:])
        return self.observed(x, states, self.space.values(coordinates), self.silent_output)

    def join(self, x: Windows, values: Mapping[str, Tensor], network: Callable) -> Tensor:
        """Return the prediction for values of the physics parameters and a bound network."""
        parameters = []
        if not self.differentiable:
            parameters = [*values.values()]
            parameters += () if self.network is None else self.network.parameters()
        states = self.rollout(x, x.start, self.bind_physics(values), network, parameters)
        return self.observed(x, states, values, network)

    def bind_physics(self, values: Mapping[str, Tensor]) -> Callable[..., Tensor]:
        """Return the physics as a function of time, state and inputs."""
        if self.physics is None:
            return lambda t, state, inputs: torch.zeros_like(state)
        physics, who = self.physics, f"physics {self.physics.name!r}"
        reads_inputs = self.layout.reads_inputs

        def rates(t: Tensor, state: Tensor, inputs: Tensor | None) -> Tensor:
            if reads_inputs:
                output = physics(t, state, inputs, **values)
            else:
                output = physics(t, state, **values)
            return self._shaped(output, state, PhysicsError, who)

        return rates

    def bind_network(self, weights: Weights | None = None, *, hold: bool = False) -> Callable:
        """Return the network as a function of time, state, inputs and what a join adds."""
        correct_rate = self.structure.correct == "rate"
        if self.network is None:
            return self.silent
        function = self.rate_function(weights)
        unit = self.scales.rate_scale if correct_rate else self._output_unit()

        def network(
            t: Tensor,
            state: Tensor,
            inputs: Tensor | None,
            *extra: Tensor,
            scale: float | Tensor | None = None,
        ) -> Tensor:
            seen = self.network_inputs(t, state, inputs, *extra)
            if hold:
                seen = seen.clamp(self.scales.feature_low, self.scales.feature_high)
            output = function(seen)
            if correct_rate:
                output = self._shaped(output, state, NetworkError, "nn")
            return output * (unit if scale is None else scale)

        return network

    def rate_function(self, weights: Weights | None) -> Callable[[Tensor], Tensor]:
        """Return the network as a function of its inputs alone."""
        return as_function(self.network, weights)

    @property
    def silent(self) -> Callable:
        """What stands for the network where there is none."""
        return self.silent_network if self.structure.correct == "rate" else self.silent_output

    def silent_network(self, t, state, inputs, *extra, scale=None) -> Tensor:
        """Answer zero rates."""
        return torch.zeros_like(state)

    def silent_output(self, t, state, inputs, *extra, scale=None) -> Tensor:
        """Answer zero corrections of the outputs."""
        corrected = self.structure.corrected
        shape = self.target_shape if corrected is None else (len(corrected),)
        return state.new_zeros((len(state), *shape))

    def network_inputs(
        self, t: Tensor, state: Tensor, inputs: Tensor | None, *extra: Tensor
    ) -> Tensor:
        """Return the standardised inputs of the network, the components on the channel axis."""
        axis = self.layout.channel_axis
        parts = [state]
        if inputs is not None:
            parts.append(self._as_channels(inputs, state))
        if self._reads_time:
            t = torch.as_tensor(t, dtype=state.dtype, device=state.device).expand(len(state))
            parts.append(self._as_channels(t[:, None], state))
        seen = parts[0] if len(parts) == 1 else torch.cat(parts, dim=axis)
        if self.network_columns is not None:
            seen = seen.index_select(axis, self.network_columns)
        if extra:
            seen = torch.cat([seen, *extra], dim=axis)
        return torch.addcmul(self.scales.feature_offset, seen, self.scales.feature_factor)

    def pooled(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return one batch of inputs of the network of those of all its calls."""
        return torch.cat(list(inputs))

    def with_range(self, inputs: Tensor) -> RateScales:
        """Return the scales with the range of these standardised inputs of the network."""
        axes = self.layout.other_axes(inputs)
        low, high = inputs.amin(dim=axes), inputs.amax(dim=axes)
        margin = HOLD_MARGIN * (high - low)
        per_channel = self.layout.per_channel
        return replace(
            self.scales,
            feature_low=per_channel(low - margin),
            feature_high=per_channel(high + margin),
        )

    def _output_unit(self) -> Tensor:
        corrected = self.structure.corrected
        scale = self.scales.target_scale
        return scale if corrected is None else scale[list(corrected)]

    def _corrected(self, outputs: Tensor, correction: Tensor) -> Tensor:
        corrected = self.structure.corrected
        expected = outputs.shape if corrected is None else (len(outputs), len(corrected))
        if correction.shape != expected:
            raise NetworkError(
                f"nn must return shape {tuple(expected)}, a correction of each output; it returned "
                f"{tuple(correction.shape)}."
            )
        if corrected is None:
            return outputs + correction
        at = torch.tensor(list(corrected), device=outputs.device)
        return outputs.index_add(1, at, correction)

    def _as_channels(self, values: Tensor, state: Tensor) -> Tensor:
        """Return numbers of shape (n, k) as k components, constant over a field."""
        if not self.layout.is_field:
            return values
        space = state.shape[2:]
        return values.reshape(*values.shape, *[1] * len(space)).expand(*values.shape, *space)

    def _lengths(self, x: Windows, first: Tensor) -> list:
        if self.layout.uniform_step is not None:
            return [self.layout.uniform_step] * x.steps.shape[1]
        shape = (len(first), *[1] * (first.ndim - 1))
        return [length.reshape(shape) for length in x.steps.unbind(1)]

    def _bounded_step(self, rate, t, state, length, begin, end) -> Tensor:
        """Take a step that ends where numbers are still finite."""
        mean, reach = self.scales.state_mean, FARTHEST * self.scales.state_scale
        return self._step(rate, t, state, length, begin, end).clamp(mean - reach, mean + reach)

    def _shaped(self, output: Tensor, state: Tensor, error: type[Exception], who: str) -> Tensor:
        """Return rates of the shape of the state, or raise an error that says why not."""
        if isinstance(output, Tensor) and output.shape == state.shape:
            return output
        if not isinstance(output, Tensor):
            described = described_type(output, many="The rates of several states")
            raise error(f"{who} must return a torch.Tensor; it returned {described}")
        raise error(
            f"{who} must return the rate of change of every state, of shape {tuple(state.shape)}; "
            f"it returned {tuple(output.shape)}."
        )
