"""Rollouts: the states that follow from first states, by a solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from skhybrid.model.batch import Windows
from skhybrid.model.right_hand_side import RightHandSide
from skhybrid.model.solver_steps import SolverSteps
from skhybrid.model.solvers import FIXED_STEP, STIFF, solve_adaptive, solve_fixed
from skhybrid.model.stiff_solver import SolverFailure

# Training clamps states at this many standard deviations from their mean, so that a rollout that
# diverges has a finite loss and no gradient.
MAX_DEVIATION = 100.0


@dataclass(frozen=True, eq=False)
class Rollouts(RightHandSide):
    """Solves the right-hand side over windows.

    Attributes
    ----------
    physics, space, network, structure, scales, network_columns, layout, reads_time
        As for :class:`~skhybrid.model.right_hand_side.RightHandSide`.
    chosen_steps : SolverSteps or None
        Steps that a fit has chosen; None uses the number that the user gave.
    """

    chosen_steps: SolverSteps | None = field(default=None, kw_only=True)

    @property
    def step(self) -> Callable | None:
        """One step of a fixed-step solver; None for torchdiffeq's methods."""
        return FIXED_STEP.get(self.structure.method)

    @property
    def allows_vmap(self) -> bool:
        """Whether ``torch.vmap`` may evaluate several members: torchdiffeq branches on data."""
        return self.step is not None

    @property
    def differentiable(self) -> bool:
        """Whether derivatives pass through the solver's steps; scipy's methods need the adjoint."""
        return self.structure.method not in STIFF

    @property
    def solver_steps(self) -> SolverSteps:
        """Steps of a fixed-step solver between observations: chosen, or as given."""
        return self.chosen_steps or SolverSteps(self.structure.given_substeps())

    def with_steps(self, steps: SolverSteps) -> Rollouts:
        """Return the same model with other steps between observations."""
        return replace(self, chosen_steps=steps)

    def batching_key(self) -> Hashable:
        """Return the layout and the number of steps between observations."""
        return (super().batching_key(), self.solver_steps.counts)

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
        """Return the states of the windows, including the first: (n, w + 1, *state_shape).

        Parameters
        ----------
        x : Windows
        first : Tensor of shape (n, *state_shape)
            First states.
        physics, network : callable
            Functions of time, state and inputs.
        parameters : iterable of Tensor, default=()
            Tensors that get gradients from the adjoint equation. If there are none, the adjoint
            equation is not used: it would silently give zero for other derivatives, as in least
            squares.
        bounded : bool, default=False
            Whether to clamp the states.
        """
        parameters = [*parameters]
        try:
            states = self._solve(x, first, physics, network, parameters, bounded=bounded)
        except SolverFailure:  # like a rollout that diverges
            failed = math.nan * (first + sum(each.sum() for each in parameters))
            states = [first, *[failed] * x.steps.shape[1]]
        return torch.stack(states, dim=1)

    def solver_failure(self, x: Windows, first: Tensor, values: Mapping[str, Tensor]) -> str | None:
        """Return why the solver cannot solve the physics alone; None if it can."""
        physics = self.bind_physics(values)
        try:
            with torch.no_grad():
                self._solve(x, first, physics, self.silent_network, [], bounded=False)
        except SolverFailure as failure:
            return str(failure)
        return None

    def _solve(
        self,
        x: Windows,
        first: Tensor,
        physics: Callable,
        network: Callable,
        parameters: list[Tensor],
        *,
        bounded: bool,
    ) -> list[Tensor]:
        """Return the first states and the states after every step, or raise a SolverFailure."""
        ode = self.structure
        rate = self.rate(physics, network)

        inputs_in_interval = self.inputs_in_interval(x)

        def rate_in_interval(interval: int) -> Callable:
            inputs = inputs_in_interval(interval)
            return lambda t, state, fraction: rate(t, state, inputs(fraction))

        lengths = self.interval_lengths(x, first)
        if self.step is not None:
            step = self._bounded_step(self.step) if bounded else self.step
            counts = self.solver_steps.in_intervals(len(lengths))
            return solve_fixed(step, rate_in_interval, first, x.first_time, lengths, counts)
        adjoint = None
        if ode.adjoint or ode.method in STIFF:
            adjoint = [p for p in parameters if p.requires_grad] or None
        return solve_adaptive(
            ode.method,
            rate_in_interval,
            first,
            x.first_time,
            lengths,
            substeps=self.solver_steps.most,
            rtol=ode.rtol,
            atol=ode.atol,
            smooth=self.layout.uniform_step is not None and x.inputs is None,
            adjoint=adjoint,
            # A power of two changes no digit.
            unit=self.scales.state_scale.log2().round().exp2(),
        )

    def inputs_in_interval(self, x: Windows) -> Callable[[int], Callable[[float], Tensor | None]]:
        """Return a function from an interval to its inputs as a function of the passed fraction."""

        def in_interval(interval: int) -> Callable[[float], Tensor | None]:
            if x.inputs is None:
                return lambda fraction: None
            now = x.inputs[:, interval]
            if self.structure.inputs != "linear":
                return lambda fraction: now
            change = x.inputs[:, interval + 1] - now
            return lambda fraction: now + fraction * change

        return in_interval

    @property
    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """Bounds to which training moves the states."""
        mean, limit = self.scales.state_mean, MAX_DEVIATION * self.scales.state_scale
        return mean - limit, mean + limit

    def interval_lengths(self, x: Windows, first: Tensor) -> list:
        """Return the lengths of the steps: numbers, or one tensor of all windows for each step."""
        if self.layout.uniform_step is not None:
            return [self.layout.uniform_step] * x.steps.shape[1]
        shape = (first.shape[0], *[1] * (first.ndim - 1))
        return [length.reshape(shape) for length in x.steps.unbind(1)]

    def _bounded_step(self, step: Callable) -> Callable:
        """Return a step that clamps the new state to a range around the mean state."""
        low, high = self.state_bounds

        def bounded(rate, t, state, length, begin, end) -> Tensor:
            return step(rate, t, state, length, begin, end).clamp(low, high)

        return bounded
