"""A network in parts: a correction of the physics, and parameters that vary from row to row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from skhybrid.model.group_table import GroupTable


@dataclass(frozen=True)
class NetworkParts:
    """What the parts of a network read and give.

    Inputs are counted among those of the whole network, which are the columns that any part reads.

    Attributes
    ----------
    n_inputs : int
        Inputs of the whole network.
    correction : tuple of int or None
        Inputs of the correction; None is no correction.
    groups : tuple of (inputs, names)
        Parameters with the same inputs share a network.
    shapes : tuple of (name, shape)
        Shapes of the parameters.
    tables : tuple of (input, codes, names)
        Parameters with a value for each group, which share the column of the groups' codes.
    """

    n_inputs: int
    correction: tuple[int, ...] | None
    groups: tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    tables: tuple[tuple[int, tuple[float, ...], tuple[str, ...]], ...] = ()

    @property
    def grouped(self) -> tuple[str, ...]:
        """Names of the parameters with a value for each group."""
        return tuple(name for _, _, names in self.tables for name in names)

    @property
    def group_inputs(self) -> tuple[int, ...]:
        """Inputs that are codes of groups."""
        return tuple(sorted({column for column, _, _ in self.tables}))

    @property
    def sources(self) -> tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]:
        """Inputs and parameters of every network and, after them, of every table."""
        return (*self.groups, *(((column,), names) for column, _, names in self.tables))

    @property
    def has_networks(self) -> bool:
        """Whether there is a network, and not only tables of groups."""
        return self.correction is not None or bool(self.groups)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(name for name, _ in self.shapes)

    def n_outputs(self, names: Sequence[str]) -> int:
        """Return the number of elements of some parameters."""
        shapes = dict(self.shapes)
        return sum(torch.Size(shapes[name]).numel() for name in names)


class SplitNetwork(nn.Module):
    """A network for every part; all are trained together.

    Parameters
    ----------
    parts : NetworkParts
    correction : torch.nn.Module or None
    groups : sequence of torch.nn.Module
        A network for every group of parameters.
    axis : int
        Axis of the inputs, counted from the right.
    tables : sequence of GroupTable, default=()
        A table for every column of groups.
    """

    def __init__(
        self,
        parts: NetworkParts,
        correction: nn.Module | None,
        groups: Sequence[nn.Module],
        axis: int,
        tables: Sequence[GroupTable] = (),
    ) -> None:
        super().__init__()
        self.parts = parts
        self.axis = axis
        self.correction = correction
        self.groups = nn.ModuleList(groups)
        self.tables = nn.ModuleList(tables)

    @staticmethod
    def is_group(name: str) -> bool:
        """Whether a parameter of this name holds values of groups."""
        return name.startswith("tables.")

    def set_groups(self, answers: Mapping[str, np.ndarray]) -> None:
        """Set the answers of all groups, of shape (n_groups, n_elements) for every parameter."""
        for table, (_, _, names) in zip(self.tables, self.parts.tables, strict=True):
            values = np.concatenate([answers[name] for name in names], axis=1)
            table.values.data = torch.tensor(values).to(table.values)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of all parts, one after the other."""
        outputs = []
        function = self.function(None, lambda network, weights: network)
        if self.correction is not None:
            outputs.append(function(inputs))
        for name, answer in function.answers(inputs).items():
            n_axes = len(dict(self.parts.shapes)[name])
            flat = answer.flatten(0, n_axes - 1) if n_axes else answer[None]
            outputs.append(flat.movedim(0, self.axis))
        return torch.cat(outputs, dim=self.axis)

    def function(
        self,
        weights: Mapping[str, Tensor] | None,
        as_function: Callable[[nn.Module, Mapping[str, Tensor] | None], Callable],
    ) -> SplitFunction:
        """Return the parts as functions of the inputs of the whole network.

        Parameters
        ----------
        weights : mapping of str to Tensor or None
            Parameters by name; None uses the modules' own.
        as_function : callable
            Returns one of the networks as a function, for that network and its weights.
        """

        def part(network: nn.Module, prefix: str) -> Callable[[Tensor], Tensor]:
            own = weights
            if weights is not None:
                own = {
                    name.removeprefix(prefix): each
                    for name, each in weights.items()
                    if name.startswith(prefix)
                }
            return as_function(network, own)

        correction = None if self.correction is None else part(self.correction, "correction.")
        groups = [part(network, f"groups.{i}.") for i, network in enumerate(self.groups)]
        tables = [part(table, f"tables.{i}.") for i, table in enumerate(self.tables)]
        return SplitFunction(self.parts, correction, [*groups, *tables], self.axis)


class SplitFunction:
    """The parts of a network as functions of the inputs of the whole network.

    Parameters
    ----------
    parts : NetworkParts
    correction : callable or None
    groups : sequence of callable
        Networks and tables of parameters, in the order of ``NetworkParts.sources``.
    axis : int
        Axis of the inputs, counted from the right.
    """

    def __init__(
        self,
        parts: NetworkParts,
        correction: Callable[[Tensor], Tensor] | None,
        groups: Sequence[Callable[[Tensor], Tensor]],
        axis: int,
    ) -> None:
        self.parts = parts
        self._correction = correction
        self._groups = groups
        self._axis = axis

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the correction. Inputs that a structure adds come last, and it reads them all."""
        added = range(self.parts.n_inputs, inputs.shape[self._axis])
        return self._correction(self._selected(inputs, (*self.parts.correction, *added)))

    def answers(self, inputs: Tensor) -> dict[str, Tensor]:
        """Return the answers for every parameter, of shape (*shape, n, ...)."""
        shapes, answers = dict(self.parts.shapes), {}
        for function, (columns, names) in zip(self._groups, self.parts.sources, strict=True):
            outputs = function(self._selected(inputs, columns)).movedim(self._axis, 0)
            sizes = [torch.Size(shapes[name]).numel() for name in names]
            for name, answer in zip(names, outputs.split(sizes), strict=True):
                answers[name] = answer.reshape(*shapes[name], *outputs.shape[1:])
        return answers

    def _selected(self, inputs: Tensor, columns: tuple[int, ...]) -> Tensor:
        """Return some of the inputs."""
        runs = [[column, 1] for column in columns[:1]]
        for before, column in itertools.pairwise(columns):
            if column == before + 1:
                runs[-1][1] += 1
            else:
                runs.append([column, 1])
        if runs == [[0, inputs.shape[self._axis]]]:
            return inputs
        # A tensor of indices would be copied to the device in every call.
        pieces = [inputs.narrow(self._axis, *run) for run in runs]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=self._axis)


def build_parts(
    parts: NetworkParts,
    build: Callable[[int, int, int], nn.Module],
    n_inputs: int,
    n_outputs: int,
    axis: int,
    seed: int,
) -> SplitNetwork:
    """Return newly initialised networks for all parts.

    Parameters
    ----------
    parts : NetworkParts
    build : callable
        From numbers of inputs and outputs and a seed to a network.
    n_inputs : int
        Inputs of the whole network, and those that a structure adds for the correction.
    n_outputs : int
        Outputs of the correction.
    axis : int
        Axis of the inputs, counted from the right.
    seed : int
    """
    correction = None
    if parts.correction is not None:
        correction = build(len(parts.correction) + n_inputs - parts.n_inputs, n_outputs, seed)
    groups = [
        build(len(columns), parts.n_outputs(names), seed + number)
        for number, (columns, names) in enumerate(parts.groups, start=1)
    ]
    tables = [GroupTable(codes, parts.n_outputs(names), axis) for _, codes, names in parts.tables]
    return SplitNetwork(parts, correction, groups, axis, tables)
