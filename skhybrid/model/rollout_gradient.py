"""Rollouts whose gradient takes a few large operations, in place of many small ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from skhybrid.model.batch import Windows
from skhybrid.model.layout import FIRST_STATES
from skhybrid.model.networks import MultilayerPerceptron
from skhybrid.model.perceptron_record import PerceptronRecord
from skhybrid.model.solver_adjoint import TABLEAUS, of_begins
from skhybrid.model.solvers import moved
from skhybrid.model.stages_differ import StagesDiffer, require_same_rates

# The Jacobians take a backward pass for every state, and a product for every corrected rate.
MOST_STATES = 6


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
        self.n_members = n_members
        self._for_rows = for_rows
        self._records: dict[tuple[int, int], PerceptronRecord] = {}

    @staticmethod
    def possible(model: Any) -> bool:
        """Whether a model of trajectories has few states, fixed steps and a trained perceptron."""
        return (
            model.structure.method in TABLEAUS
            and model.structure.correct == "rate"
            and not model.layout.is_field
            and model.layout.state_shape[0] <= MOST_STATES
            and model.parts is None
            and type(model.network) is MultilayerPerceptron
            and all(parameter.requires_grad for parameter in model.network.parameters())
        )

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
        network = model.network
        if self.n_members is not None:
            network = network.network
        layers = [each for pair in network.layers(weights or {}) for each in pair]
        names = tuple(name for name in coordinates if name != FIRST_STATES)
        own = [coordinates[name] for name in names]
        return _Rollout.apply(self, model, x, names, first, *own, *layers)

    def solve(
        self,
        model: Any,
        x: Windows,
        first: Tensor,
        coordinates: Mapping[str, Tensor],
        layers: Sequence[tuple[Tensor, Tensor]],
    ) -> tuple[Tensor, _Course]:
        """Return the states of the windows, and all that their gradient needs."""
        tableau, lengths = TABLEAUS[model.structure.method], model.interval_lengths(x, first)
        counts = model.solver_steps.in_intervals(len(lengths))
        record = self._record(layers, tableau.n_stages * sum(counts), len(first))
        course = _Course(model, tuple(coordinates), list(coordinates.values()), counts, record)
        answers = _Answers(model)
        physics = model.bind_physics(model.space.values(coordinates), answers)
        rate, bounds = model.rate(physics, answers), model.state_bounds
        inputs_at = model.inputs_in_interval(x)
        state, t, states = first, x.first_time, [first]
        for interval, (length, n_steps) in enumerate(zip(lengths, counts, strict=True)):
            h, inputs = length / n_steps, inputs_at(interval)
            later = h.flatten() if isinstance(h, Tensor) else h
            for step in range(n_steps):
                slope, end = None, state
                for part, weight in zip(tableau.parts, tableau.weights, strict=True):
                    at = state if slope is None else moved(state, slope, part * h)
                    rows = (t + part * later, at, inputs((step + part) / n_steps))
                    answers.give(self._outputs(record, len(course.rows), model, rows), rows)
                    slope = rate(*rows)
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
        self, course: _Course, of_states: Tensor
    ) -> tuple[Tensor, Sequence[Tensor], list[Tensor]]:
        """Return the gradients of the first states, of the coordinates and of the layers."""
        course.record.require(course.version)
        n_members, d = self.n_members or 1, of_states.shape[-1]
        tableau = TABLEAUS[course.model.structure.method]
        n_steps, n = len(course.ends), len(of_states) // n_members
        stages = _Stages(self, course)
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

    def together(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return the rows of several tensors, ordered by member, tensor and row."""
        stacked = torch.stack(tensors)
        if self.n_members is None:
            return stacked.flatten(0, 1)
        return stacked.unflatten(1, (self.n_members, -1)).transpose(0, 1).flatten(0, 2)

    def model_for(self, model: Any, n_rows: int) -> Any:
        """Return the model for a number of rows of all members together."""
        if self._for_rows is None:
            return model
        return self._for_rows(n_rows // (self.n_members or 1))

    def _record(
        self, layers: Sequence[tuple[Tensor, Tensor]], n_calls: int, n_rows: int
    ) -> PerceptronRecord:
        """Return a record of the network's calls; it keeps its memory for the next rollout."""
        key = n_calls, n_rows // (self.n_members or 1)
        if key not in self._records:
            self._records[key] = PerceptronRecord(layers, *key)
        self._records[key].begin(layers)
        return self._records[key]

    def _outputs(self, record: PerceptronRecord, number: int, model: Any, rows: tuple) -> Tensor:
        """Return the network's outputs at a stage, of shape (n, n_outputs)."""
        seen = model.network_inputs(*rows)
        if self.n_members is None:
            return record.call(number, seen)
        return record.call(number, seen.unflatten(0, (self.n_members, -1))).flatten(0, 1)

    def _step_lengths(self, lengths: Sequence[float | Tensor], like: Tensor) -> Tensor:
        """Return the lengths of the steps: (n_members, n_steps, n, 1), with ones for equal ones."""
        if not isinstance(lengths[0], Tensor):
            return torch.tensor(lengths, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)
        stacked = torch.stack(list(lengths)).unflatten(1, (self.n_members or 1, -1))
        return stacked.transpose(0, 1)

    def _inside(self, course: _Course) -> tuple[Tensor, ...] | None:
        """Return where the ends of the steps are inside the bounds; None if all are."""
        low, high = course.model.state_bounds
        ends = torch.stack(course.ends)
        inside = (ends >= low) & (ends <= high)
        if bool(inside.all()):
            return None
        return inside.unflatten(1, (self.n_members or 1, -1)).unbind(0)


@dataclass
class _Course:
    """What a rollout has passed.

    Attributes
    ----------
    model : Dynamics
    names, coordinates : sequence
        Scaled physics parameters.
    counts : sequence of int
        Number of steps in every interval.
    record : PerceptronRecord
        The network's calls.
    rows : list of (time, state, inputs)
        Where the right-hand side was evaluated.
    slopes : list of Tensor
        What it gave.
    ends, lengths : list
        Ends of the steps, before they were moved to the bounds, and lengths of the steps.
    """

    model: Any
    names: Sequence[str]
    coordinates: Sequence[Tensor]
    counts: Sequence[int]
    record: PerceptronRecord
    rows: list[tuple] = field(default_factory=list)
    slopes: list[Tensor] = field(default_factory=list)
    ends: list[Tensor] = field(default_factory=list)
    lengths: list[float | Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.version = self.record.version


class _Stages:
    """The right-hand side at all stages of a rollout together.

    Attributes
    ----------
    jacobian : Tensor of shape (n, d, d)
        Derivatives of the rates by the states, through physics and network.
    """

    def __init__(self, of: RolloutGradient, course: _Course) -> None:
        times, states, inputs = zip(*course.rows, strict=True)
        at = of.together(states).requires_grad_()
        model = of.model_for(course.model, len(at))
        self._record = course.record
        outputs = self._record.outputs.flatten(0, -2).requires_grad_()
        self._leaves = [each.detach().requires_grad_() for each in course.coordinates]
        given = None if inputs[0] is None else of.together(inputs)
        with torch.enable_grad():
            answers, rows = _Answers(model), (of.together(times), at, given)
            answers.give(outputs, rows)
            values = model.space.values(dict(zip(course.names, self._leaves, strict=True)))
            rate = model.rate(model.bind_physics(values, answers), answers)
            self._rates = rate(*rows)
        rates = self._rates.detach(), of.together(course.slopes)
        require_same_rates(*(each.unflatten(0, (of.n_members or 1, -1)) for each in rates))
        one_rate = torch.eye(at.shape[1], dtype=at.dtype, device=at.device)
        by_state, by_output = zip(
            *(
                torch.autograd.grad(
                    self._rates,
                    (at, outputs),
                    one.expand_as(at),
                    retain_graph=True,
                    materialize_grads=True,
                )
                for one in one_rate
            ),
            strict=True,
        )
        self._by_output = torch.stack(by_output, dim=1)
        network = self._record.jacobian().flatten(0, -3) * model.scales.feature_factor.unsqueeze(-2)
        network = network @ model.read_states.to(network)
        self.jacobian = torch.baddbmm(torch.stack(by_state, dim=1), self._by_output, network)

    def gradients(self, of_rates: Tensor) -> tuple[Sequence[Tensor], list[Tensor]]:
        """Return the gradients of coordinates and layers, from those of the rates."""
        of_outputs = (self._by_output * of_rates.unsqueeze(-1)).sum(dim=1)
        of_layers = self._record.gradients(of_outputs.view_as(self._record.outputs))
        if not self._leaves:
            return (), of_layers
        found = torch.autograd.grad(self._rates, self._leaves, of_rates, materialize_grads=True)
        return found, of_layers


class _Answers:
    """Given outputs at given rows in place of a bound network."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def give(self, outputs: Tensor, rows: tuple[Tensor | None, ...]) -> None:
        """Answer these outputs from now on, if the network is asked at these rows."""
        self._outputs, self._rows = outputs, rows

    def __call__(self, *rows: Tensor | None, scale: float | Tensor | None = None) -> Tensor:
        """Return the outputs, in the network's unit or in that of ``scale``.

        Raises
        ------
        StagesDiffer
            If the rows are not the given tensors themselves: a ``join`` may change some of them
            only now and then.
        """
        same = (one is other for one, other in zip(rows, self._rows, strict=False))
        if len(rows) != len(self._rows) or not all(same):
            raise StagesDiffer("The network is asked for outputs at other rows than the physics.")
        output = self._model._checked_output(self._outputs, *rows)
        return output * (self._model.network_unit if scale is None else scale)


class _Rollout(torch.autograd.Function):
    """The states of rollouts as a function of first states, θ and the network's parameters."""

    @staticmethod
    def forward(ctx: Any, of: RolloutGradient, model, x, names, first, *tensors) -> Tensor:
        """Return the states."""
        coordinates = dict(zip(names, tensors, strict=False))
        layers = tensors[len(names) :]
        pairs = list(zip(layers[::2], layers[1::2], strict=True))
        states, course = of.solve(model, x, first, coordinates, pairs)
        ctx.of, ctx.course = of, course
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        """Return the gradients of first states, coordinates and layers."""
        first, of_coordinates, of_layers = ctx.of.gradients(ctx.course, gradient)
        return None, None, None, None, first, *of_coordinates, *of_layers
