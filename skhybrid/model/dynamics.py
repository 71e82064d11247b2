"""The forward map of a hybrid differential equation: from windows to observations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from skhybrid.model.batch import Windows
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.network_side import Weights
from skhybrid.model.observation import observe_states
from skhybrid.model.parameter_values import parameters_at
from skhybrid.model.rollout_gradient import RolloutGradient
from skhybrid.model.rollouts import Rollouts


@dataclass(frozen=True, eq=False)
class Dynamics(Rollouts):
    """Maps windows to observations of their states.

    Attributes
    ----------
    physics, space, network, structure, scales, network_columns, layout, reads_time
    chosen_steps
        As for :class:`~skhybrid.model.rollouts.Rollouts`.
    n_first_states : int
        Number of learned first states.
    n_members : int or None
        Number of members whose windows follow each other, each with its own learned first states.
        None is one model without a member axis.
    gradient : RolloutGradient or None
        Solves rollouts in training; None leaves their gradient to autograd.
    """

    n_first_states: int = field(default=0, kw_only=True)
    n_members: int | None = field(default=None, kw_only=True)
    gradient: RolloutGradient | None = field(default=None, kw_only=True)

    @property
    def has_extra_loss(self) -> bool:
        """Whether gaps between windows are penalised."""
        return bool(self.n_first_states and self.structure.continuity)

    def gains_by_rollout_gradient(self, x: Windows, n_members: int) -> bool:
        """Whether a :class:`RolloutGradient` can solve these windows, and is faster."""
        return RolloutGradient.possible(self) and RolloutGradient.pays(self, x, n_members)

    def of_members(self, n_members: int) -> Dynamics:
        """Return the model of several members, whose windows follow each other."""
        return replace(super().of_members(n_members), n_members=n_members)

    def with_rollout_gradient(self, for_rows: Callable[[int], Dynamics] | None = None) -> Dynamics:
        """Return the same model with rollouts that training differentiates at once."""
        return replace(self, gradient=RolloutGradient(self.n_members, for_rows))

    def at_observed_states(self) -> Dynamics:
        """Return the same model for windows that start at observed states."""
        return replace(self, n_first_states=0)

    def at_step(self, uniform_step: float | None) -> Dynamics:
        """Return the same model with another time between observations."""
        return replace(self, layout=replace(self.layout, uniform_step=uniform_step))

    @torch.no_grad()
    def with_simulated_scales(
        self, x: Windows, values: Mapping[str, Tensor], learned: Tensor
    ) -> Dynamics:
        """Return the same model with scales of states and rates from a rollout of the physics.

        Without physics, nothing moves in a rollout: the scales stay, as those of free states do.
        """
        if self.physics is None:
            return self
        first = self.first_states(x, learned)
        physics = self.bind_physics(values)
        states = self.rollout(x, first, physics, self.silent_network, values.values())
        flat = states.flatten(0, 1)
        inputs = None if x.inputs is None else x.inputs.flatten(0, 1)
        times = x.first_time[:, None].expand(states.shape[:2]).reshape(-1)
        rates = physics(times, flat, inputs)
        axes = self.layout.other_axes(flat)
        mean = self.layout.per_channel(flat.mean(dim=axes))
        std = self.layout.per_channel(flat.std(dim=axes, correction=0))
        rate = self.layout.per_channel(rates.square().mean(dim=axes).sqrt())
        old, n = self.scales, self.layout.n_known_states
        found = {
            "state_mean": mean,
            "state_scale": torch.where(std > 0, std, old.state_scale),
            "rate_scale": torch.where(rate > 0, rate, old.rate_scale),
        }
        if self.layout.n_free_states:
            found = {k: torch.cat([each[:n], getattr(old, k)[n:]]) for k, each in found.items()}
        return replace(self, scales=replace(old, **found))

    def initial_coordinates(self) -> dict[str, Tensor]:
        """Return the coordinates at which training starts: zeros."""
        coordinates = self.space.initial_coordinates()
        if self.n_first_states:
            shape = (self.n_first_states, *self.layout.state_shape)
            coordinates[FIRST_STATES] = self.scales.state_scale.new_zeros(shape)
        return coordinates

    def evaluate(
        self,
        x: Windows,
        coordinates: Weights,
        weights: Weights | None = None,
        *,
        hold: bool = False,
        bounded: bool = False,
    ) -> tuple[Tensor, Tensor | float]:
        """Return the prediction and the continuity penalty."""
        values = self.space.values(coordinates)
        network = self.bind_network(weights, hold=hold)
        learned = coordinates.get(FIRST_STATES)
        first = self.first_states(x, learned, weights)
        parameters = [*coordinates.values()]
        if self.network is not None:
            parameters += self.network.parameters() if weights is None else weights.values()
        physics = self.bind_physics(values, network)
        if self.gradient is not None and bounded and torch.is_grad_enabled():
            states = self.gradient(self, x, first, coordinates, weights)
        else:
            states = self.rollout(x, first, physics, network, parameters, bounded=bounded)
        outputs = self.observed(x, states, values, network, weights)
        return outputs, self.continuity_penalty(x, states[:, -1], learned, weights)

    def continuity_penalty(
        self, x: Windows, last: Tensor, learned: Tensor | None, weights: Weights | None
    ) -> Tensor | float:
        """Return the penalty on gaps between a window's end and the next window."""
        if learned is None or x.next_index is None:
            return 0.0
        gaps = self.structure.continuity * self.gaps(x, last, learned).square()
        if self.n_members is None:
            return gaps.mean()
        return gaps.unflatten(0, (self.n_members, -1)).flatten(1).mean(dim=1)

    def first_states(
        self, x: Windows, learned: Tensor | None, weights: Weights | None = None
    ) -> Tensor:
        """Return the first state of every window; with learned coordinates, the learned one."""
        if x.index is None or learned is None:
            return x.first_state
        return torch.addcmul(x.first_state, x.unit, self._learned_at(x.index, learned))

    def _learned_at(self, index: Tensor, learned: Tensor) -> Tensor:
        """Return the learned coordinates of these first states; -1 gets any."""
        index = index.clamp(min=0)
        if self.n_members is None:
            return learned[index]
        index = index.unflatten(0, (self.n_members, -1))
        begins = torch.arange(self.n_members, device=index.device) * self.n_first_states
        return learned.flatten(0, 1)[(index + begins[:, None]).flatten()]

    def gaps(self, x: Windows, last: Tensor, learned: Tensor) -> Tensor:
        """Return the gap between each window's end and the next window, in standard deviations."""
        begin = torch.addcmul(x.next_state, x.next_unit, self._learned_at(x.next_index, learned))
        exists = (x.next_index >= 0).reshape(-1, *[1] * (last.ndim - 1))
        return (last - begin) / self.scales.state_scale * exists

    def observed(
        self,
        x: Windows,
        states: Tensor,
        values: Mapping[str, Tensor],
        network: Callable,
        weights: Weights | None = None,
    ) -> Tensor:
        """Return the observations of the states; without the first unless ``with_first``."""
        if self.structure.observe is None and self.structure.correct == "rate":
            known = self.layout.known_states(states)
            return known if self.layout.with_first else known[:, 1:]
        flat, inputs = self.visited(x, states)
        known = self.layout.known_states(flat)
        outputs = observe_states(self.structure, known, inputs, values, self.target_shape)
        if self.structure.correct == "output" and network != self.silent_output:
            outputs = self._corrected(outputs, network(self.visited_times(x), flat, inputs))
        return outputs.unflatten(0, (states.shape[0], -1))

    def visited(self, x: Windows, states: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return states and inputs of a rollout as rows, ordered by window.

        The first ones are left out unless ``with_first``.
        """
        begin = 0 if self.layout.with_first else 1
        inputs = None if x.inputs is None else x.inputs[:, begin:].flatten(0, 1)
        return states[:, begin:].flatten(0, 1), inputs

    def visited_times(self, x: Windows) -> Tensor:
        """Return the times of the rows of :meth:`visited`."""
        begin = 0 if self.layout.with_first else 1
        elapsed = torch.cat([torch.zeros_like(x.steps[:, :1]), x.steps.cumsum(1)], dim=1)
        return (x.first_time[:, None] + elapsed)[:, begin:].flatten()

    def whole_rollout(
        self,
        x: Windows,
        values: Mapping[str, Tensor],
        network: Callable,
        learned: Tensor | None = None,
    ) -> Tensor:
        """Return the states of the whole model from the first states, learned or given."""
        physics = self.bind_physics(values, network)
        return self.rollout(x, self.first_states(x, learned), physics, network)

    def parameters_of(self, x: Windows, coordinates: Weights, *, hold: bool = False) -> Weights:
        """Return every parameter along the rollouts, of shape (n, n_times, *shape)."""
        values, network = self.space.values(coordinates), self.bind_network(hold=hold)
        states = self.whole_rollout(x, values, network, coordinates.get(FIRST_STATES))
        rows = (self.visited_times(x), *self.visited(x, states))
        found = parameters_at(self, rows, coordinates, hold=hold)
        return {name: each.unflatten(0, (len(states), -1)) for name, each in found.items()}

    def _corrected(self, outputs: Tensor, correction: Tensor) -> Tensor:
        """Return the outputs plus the network's correction of all or of some of them."""
        corrected = self.structure.corrected
        if corrected is None:
            return outputs + correction
        at = torch.tensor(list(corrected), device=outputs.device)
        return outputs.index_add(1, at, correction)

    def physics_part(
        self, x: Windows, coordinates: Weights, constants: Mapping[str, np.ndarray] | None = None
    ) -> Tensor:
        """Return the prediction of the physics alone from the same first states."""
        values, learned = (
            self.constant_values(coordinates, constants),
            coordinates.get(FIRST_STATES),
        )
        return self.without_network(x, values, learned)[0]

    def without_network(
        self, x: Windows, values: Mapping[str, Tensor], learned: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the prediction of the physics alone, and the last states of the windows."""
        first = self.first_states(x, learned)
        parameters = () if self.differentiable else values.values()
        physics, silent = self.bind_physics(values), self.silent_network
        states = self.rollout(x, first, physics, silent, parameters)
        return self.observed(x, states, values, self.silent_output), states[:, -1]

    def baseline(self, x: Windows, coordinates: Weights) -> Tensor:
        """Return the prediction of constant states."""
        first = self.first_states(x, coordinates.get(FIRST_STATES))
        states = first[:, None].expand(-1, x.steps.shape[1] + 1, *first.shape[1:])
        return self.observed(x, states, self.space.values(coordinates), self.silent_output)

    def join(
        self,
        x: Windows,
        values: Mapping[str, Tensor],
        network: Callable,
        *,
        bounded: bool = False,
    ) -> Tensor:
        """Return the prediction for physics parameters and a bound network."""
        parameters = []
        if not self.differentiable:
            parameters = [*values.values()]
            parameters += () if self.network is None else self.network.parameters()
        physics = self.bind_physics(values, network)
        states = self.rollout(x, x.first_state, physics, network, parameters, bounded=bounded)
        return self.observed(x, states, values, network)
