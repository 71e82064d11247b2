"""The course of a rollout, and the derivatives of its rates at all stages together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from skhybrid.model.network_record import NetworkRecord
from skhybrid.model.quick_rates import GivenAnswers
from skhybrid.model.stages_differ import require_same_rates


@dataclass
class Course:
    """The stages and steps of a rollout, as its gradient needs them.

    Attributes
    ----------
    model : Dynamics
    names, coordinates : sequence
        Scaled physics parameters.
    counts : sequence of int
        Number of steps in every interval.
    record : NetworkRecord
        The network's calls.
    rows : list of (time, state, inputs)
        Where the right-hand side was evaluated.
    slopes : list of Tensor
        The rates there.
    ends, lengths : list
        Ends of the steps, before they were moved to the bounds, and lengths of the steps.
    """

    model: Any
    names: Sequence[str]
    coordinates: Sequence[Tensor]
    counts: Sequence[int]
    record: NetworkRecord
    rows: list[tuple] = field(default_factory=list)
    slopes: list[Tensor] = field(default_factory=list)
    ends: list[Tensor] = field(default_factory=list)
    lengths: list[float | Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.version = self.record.version


class Stages:
    """The right-hand side at all stages of a rollout together.

    Parameters
    ----------
    course : Course
    together : callable
        Returns the rows of the tensors of all stages as one tensor.
    model_for : callable
        Returns the model for a number of rows of all members together.
    n_members : int

    Raises
    ------
    StagesDiffer
        If the rates are not those of the rollout.

    Attributes
    ----------
    jacobian : Tensor of shape (n, d, d)
        Derivatives of the rates by the states, through physics and network.
    """

    def __init__(
        self,
        course: Course,
        together: Callable[[Sequence[Tensor]], Tensor],
        model_for: Callable[[int], Any],
        n_members: int,
    ) -> None:
        times, states, inputs = zip(*course.rows, strict=True)
        at = together(states).requires_grad_()
        model = model_for(len(at))
        self._record = course.record
        outputs = self._record.outputs.flatten(0, -2).requires_grad_()
        self._leaves = [each.detach().requires_grad_() for each in course.coordinates]
        given = None if inputs[0] is None else together(inputs)
        with torch.enable_grad():
            answers, rows = GivenAnswers(model), (together(times), at, given)
            answers.give(outputs, rows)
            values = model.space.values(dict(zip(course.names, self._leaves, strict=True)))
            rate = model.rate(model.bind_physics(values, answers), answers)
            self._rates = rate(*rows)
        rates = self._rates.detach(), together(course.slopes)
        require_same_rates(*(each.unflatten(0, (n_members, -1)) for each in rates))
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
