"""Rollouts whose gradient takes a few large operations, in place of many small ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skhybrid.model.batch import Windows
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.network_record import Layer, NetworkRecord, layers_of, perceptrons_of
from skhybrid.model.quick_rates import QuickRates
from skhybrid.model.rollout_course import Course, Stages
from skhybrid.model.solver_adjoint import TABLEAUS, of_begins
from skhybrid.model.solvers import moved

# The Jacobians take a backward pass for every state, and a product for every corrected rate.
MOST_STATES = 6
# With fewer stages, or more outputs of the network, autograd is faster. It is also faster for many
# rows of several members, whose tensors for all stages do not fit into the processor's cache,
# unless the network has one output, whose Jacobian serves for the gradient, too
# (benchmarks/bench_rollout_gradient.py).
LEAST_STAGES = 16
MOST_OUTPUTS = 3
MOST_ROWS_OF_MEMBERS = 512


class RolloutGradient:
    """Solves rollouts stage by stage, and differentiates all stages at once.

    The right-hand side is f(t, x, u; θ, a), where a = N(t, x, u; φ) is the network's output. The
    backward pass evaluates ∂f/∂x, ∂f/∂a and ∂N/∂x for all stages together. They give a small matrix
    for every solver step, its derivative by its begin; gradients go back through these matrices.
    Then one backward pass for all stages together gives the gradients of θ and φ. This is the
    discrete adjoint of the solver (Hairer, Nørsett and Wanner, "Solving ordinary differential
    equations I", 1993, section II.6), so the gradients are those of autograd up to rounding.
    Autograd takes dozens of small operations for each of the many stages.

    Rows must not depend on each other: the physics sees the rows of all stages as one batch. If the
    rates that it gives then are not those of the rollout, or if the network is asked for outputs at
    other rows, a :class:`StagesDiffer` is raised. The caller must check that gradients are right.

    Parameters
    ----------
    n_members : int or None, default=None
        Number of members whose windows follow each other, for stacked networks. None is one model
        whose network's parameters have no member axis.
    for_rows : callable, default=None
        Returns the model for a number of rows of each member; None is the same model.
    """

    def __init__(
        self, n_members: int | None = None, for_rows: Callable[[int], Any] | None = None
    ) -> None:
        self._n_members = n_members
        self._for_rows = for_rows
        self._records: dict[tuple[int, int], NetworkRecord] = {}

    @staticmethod
    def possible(model: Any) -> bool:
        """Whether a model of trajectories has few states, fixed steps and trained perceptrons."""
        return (
            model.structure.method in TABLEAUS
            and model.structure.correct == "rate"
            and not model.layout.is_field
            and model.layout.state_shape[0] <= MOST_STATES
            and model.network is not None
            and perceptrons_of(model.network) is not None
        )

    @staticmethod
    def pays(model: Any, x: Windows, n_members: int) -> bool:
        """Whether these windows of so many members take less time than with autograd.

        Parameters
        ----------
        model : Dynamics
        x : Windows
            The windows of one member, or those of all with a leading member axis.
        n_members : int
        """
        n_intervals = x.steps.shape[-1]
        n_steps = sum(model.solver_steps.in_intervals(n_intervals))
        if n_steps * TABLEAUS[model.structure.method].n_stages < LEAST_STAGES:
            return False
        n_outputs = sum(own[-1].out_features for _, own, _ in perceptrons_of(model.network))
        if n_members == 1:
            return n_outputs <= MOST_OUTPUTS
        n_rows = x.steps.numel() // n_intervals * (n_members if x.steps.ndim == 2 else 1)
        return n_outputs == 1 and n_rows <= MOST_ROWS_OF_MEMBERS

    def __call__(
        self,
        model: Any,
        x: Windows,
        first: Tensor,
        coordinates: Mapping[str, Tensor],
        weights: Mapping[str, Tensor] | None,
    ) -> Tensor:
        """Return the states of the windows, including the first: (n, w + 1, n_states).

        Parameters
        ----------
        model : Dynamics
        x : Windows
        first : Tensor of shape (n, n_states)
        coordinates, weights : mapping of str to Tensor
            Scaled physics parameters and network parameters; None is the network's own.
        """
        layers = layers_of(self._network(model), weights)
        flat = [each for own in layers for pair in own for each in pair]
        numbers = tuple(len(own) for own in layers)
        names = tuple(name for name in coordinates if name != FIRST_STATES)
        own = [coordinates[name] for name in names]
        return _Rollout.apply(self, model, x, (names, numbers), first, *own, *flat)

    def solve(
        self,
        model: Any,
        x: Windows,
        first: Tensor,
        coordinates: Mapping[str, Tensor],
        layers: Sequence[Sequence[Layer]],
    ) -> tuple[Tensor, Course]:
        """Return the states of the windows, and all that their gradient needs."""
        tableau, lengths = TABLEAUS[model.structure.method], model.interval_lengths(x, first)
        counts = model.solver_steps.in_intervals(len(lengths))
        record = self._record(model, layers, tableau.n_stages * sum(counts), len(first))
        course = Course(model, tuple(coordinates), list(coordinates.values()), counts, record)
        side = QuickRates(model, coordinates)
        inputs_at, bounds = model.inputs_in_interval(x), model.state_bounds
        state, t, states = first, x.first_time, [first]
        for interval, (length, n_steps) in enumerate(zip(lengths, counts, strict=True)):
            h, inputs = length / n_steps, inputs_at(interval)
            later = h.flatten() if isinstance(h, Tensor) else h
            side.enter_interval(t, state, inputs(0.0))
            for step in range(n_steps):
                slope, end = None, state
                times = {part: t + part * later if part else t for part in set(tableau.parts)}
                for part, weight in zip(tableau.parts, tableau.weights, strict=True):
                    at = state if slope is None else moved(state, slope, part * h)
                    rows = (times[part], at, inputs((step + part) / n_steps))
                    outputs = self._outputs(record, len(course.rows), side.network_inputs(rows))
                    slope = side.rate(outputs, rows)
                    course.rows.append(rows)
                    course.slopes.append(slope)
                    if weight:
                        end = moved(end, slope, weight * h)
                course.ends.append(end)
                course.lengths.append(h)
                state, t = end.clamp(*bounds), t + later
            states.append(state)
        return torch.stack(states, dim=1), course

    def gradients(
        self, course: Course, of_states: Tensor
    ) -> tuple[Tensor, Sequence[Tensor], list[Tensor]]:
        """Return the gradients of the first states, of the coordinates and of the layers."""
        course.record.require(course.version)
        n_members, d = self._n_members or 1, of_states.shape[-1]
        tableau = TABLEAUS[course.model.structure.method]
        n_steps, n = len(course.ends), len(of_states) // n_members
        stages = Stages(
            course,
            self._together,
            functools.partial(self._model_for, course.model),
            n_members,
        )
        jacobian = stages.jacobian.view(n_members, n_steps, tableau.n_stages, n, d, d)
        h = self._step_lengths(course.lengths, of_states)
        given: list[Tensor | None] = [None] * (n_steps + 1)
        at = 0
        for gradient, n_more in zip(
            of_states.unflatten(0, (n_members, n)).unbind(2), (*course.counts, 0), strict=True
        ):
            given[at] = gradient
            at += n_more
        first, of_ends = of_begins(
            tableau.step_matrices(jacobian, h).unbind(1), given, self._inside(course)
        )
        of_slopes = tableau.of_slopes(jacobian, torch.stack(of_ends, dim=1), h)
        return first.flatten(0, 1), *stages.gradients(of_slopes.reshape(-1, d))

    def _together(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return the rows of several tensors, ordered by member, tensor and row."""
        stacked = torch.stack(tensors)
        if self._n_members is None:
            return stacked.flatten(0, 1)
        return stacked.unflatten(1, (self._n_members, -1)).transpose(0, 1).flatten(0, 2)

    def _model_for(self, model: Any, n_rows: int) -> Any:
        """Return the model for a number of rows of all members together."""
        if self._for_rows is None:
            return model
        return self._for_rows(n_rows // (self._n_members or 1))

    def _network(self, model: Any) -> Any:
        """Return the network of one member."""
        return model.network if self._n_members is None else model.network.network

    def _record(
        self, model: Any, layers: Sequence[Sequence[Layer]], n_calls: int, n_rows: int
    ) -> NetworkRecord:
        """Return a record of the network's calls; it keeps its memory for the next rollout."""
        key = n_calls, n_rows // (self._n_members or 1)
        if key not in self._records:
            self._records[key] = NetworkRecord(self._network(model), layers, *key)
        self._records[key].begin(layers)
        return self._records[key]

    def _outputs(self, record: NetworkRecord, number: int, seen: Tensor) -> Tensor:
        """Return the network's outputs at a stage, of shape (n, n_outputs)."""
        if self._n_members is None:
            return record.call(number, seen)
        return record.call(number, seen.unflatten(0, (self._n_members, -1))).flatten(0, 1)

    def _step_lengths(self, lengths: Sequence[float | Tensor], like: Tensor) -> Tensor:
        """Return the lengths of the steps: (n_members, n_steps, n, 1), with ones for equal ones."""
        if not isinstance(lengths[0], Tensor):
            return torch.tensor(lengths, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)
        stacked = torch.stack(list(lengths)).unflatten(1, (self._n_members or 1, -1))
        return stacked.transpose(0, 1)

    def _inside(self, course: Course) -> tuple[Tensor, ...] | None:
        """Return where the ends of the steps are inside the bounds; None if all are."""
        low, high = course.model.state_bounds
        ends = torch.stack(course.ends)
        inside = (ends >= low) & (ends <= high)
        if bool(inside.all()):
            return None
        return inside.unflatten(1, (self._n_members or 1, -1)).unbind(0)


class _Rollout(torch.autograd.Function):
    """The states of rollouts as a function of first states, θ and the network's parameters."""

    @staticmethod
    def forward(ctx: Any, of: RolloutGradient, model, x, counted, first, *tensors) -> Tensor:
        """Return the states."""
        names, numbers = counted
        coordinates = dict(zip(names, tensors, strict=False))
        left = iter(tensors[len(names) :])
        layers = [[(next(left), next(left)) for _ in range(number)] for number in numbers]
        states, course = of.solve(model, x, first, coordinates, layers)
        ctx.of, ctx.course = of, course
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        """Return the gradients of first states, coordinates and layers."""
        first, of_coordinates, of_layers = ctx.of.gradients(ctx.course, gradient)
        return None, None, None, None, first, *of_coordinates, *of_layers
