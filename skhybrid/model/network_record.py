"""Networks of perceptrons that are evaluated call by call and differentiated for all calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from skhybrid.model.network_parts import SplitNetwork
from skhybrid.model.networks import MultilayerPerceptron
from skhybrid.model.perceptron_record import PerceptronRecord

Layer = tuple[Tensor, Tensor]


def perceptrons_of(network: Any) -> list[tuple[str, Any, tuple[int, ...] | None]] | None:
    """Return the perceptrons of a network; None if it has other parts, or frozen parameters.

    Each has the prefix of its parameters' names, and the inputs that it reads (None is all).
    """
    if type(network) is SplitNetwork and network.tables:
        return None
    found = _parts_of(network)
    if not all(type(each) is MultilayerPerceptron for _, each, _ in found):
        return None
    return found if all(each.requires_grad for each in network.parameters()) else None


def _parts_of(network: Any) -> list[tuple[str, Any, tuple[int, ...] | None]]:
    """Return the same for a network whose parts are known to be perceptrons."""
    if type(network) is not SplitNetwork:
        return [("", network, None)]
    parts = network.parts
    found = [("correction.", network.correction, parts.correction)]
    found += [
        (f"groups.{i}.", group, columns)
        for i, (group, (columns, _)) in enumerate(zip(network.groups, parts.groups, strict=True))
    ]
    return [each for each in found if each[1] is not None]


def layers_of(network: Any, weights: Mapping[str, Tensor] | None) -> list[list[Layer]]:
    """Return weight and bias of every layer, for every perceptron of a network.

    Parameters
    ----------
    network : torch.nn.Module
        With perceptrons as its only parts.
    weights : mapping of str to Tensor or None
        Its parameters by name; None uses its own.
    """
    given = weights or {}
    return [
        own.layers({k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)})
        for prefix, own, _ in _parts_of(network)
    ]


class NetworkRecord:
    """Calls of all perceptrons of a network, whose outputs follow each other.

    Parameters
    ----------
    network : torch.nn.Module
        With perceptrons as its only parts.
    layers : sequence of sequence of (Tensor, Tensor)
        As :func:`layers_of` returns them, or with a leading member axis.
    n_calls, n_rows : int
        Number of calls, and of rows in each.
    """

    def __init__(
        self, network: Any, layers: Sequence[Sequence[Layer]], n_calls: int, n_rows: int
    ) -> None:
        self._columns = [
            None if columns is None else torch.tensor(columns, device=layers[0][0][0].device)
            for _, _, columns in _parts_of(network)
        ]
        self._records = [PerceptronRecord(each, n_calls, n_rows) for each in layers]
        self._n_inputs = 0

    @property
    def version(self) -> int:
        """How often :meth:`begin` was called."""
        return self._records[0].version

    def begin(self, layers: Sequence[Sequence[Layer]]) -> None:
        """Start with other values of weights and biases."""
        for record, own in zip(self._records, layers, strict=True):
            record.begin(own)

    def require(self, version: int) -> None:
        """Raise an error if the calls after this :meth:`begin` have been overwritten."""
        self._records[0].require(version)

    def call(self, number: int, inputs: Tensor) -> Tensor:
        """Return the outputs of one call, of shape ([n_members,] n_rows, n_outputs)."""
        self._n_inputs = inputs.shape[-1]
        outputs = [
            record.call(number, inputs if columns is None else inputs.index_select(-1, columns))
            for record, columns in zip(self._records, self._columns, strict=True)
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)

    @property
    def outputs(self) -> Tensor:
        """Outputs of all calls, of shape ([n_members,] n_calls * n_rows, n_outputs)."""
        return torch.cat([record.outputs for record in self._records], dim=-1)

    def jacobian(self) -> Tensor:
        """Return the derivatives of outputs by inputs: ([n_members,] n, n_outputs, n_inputs)."""
        blocks = []
        for record, columns in zip(self._records, self._columns, strict=True):
            block = record.jacobian()
            if columns is not None:
                whole = block.new_zeros((*block.shape[:-1], self._n_inputs))
                block = whole.index_copy_(-1, columns, block)
            blocks.append(block)
        return torch.cat(blocks, dim=-2)

    def gradients(self, of_outputs: Tensor) -> list[Tensor]:
        """Return the gradients of weight and bias of every layer, once after :meth:`jacobian`."""
        widths = [record.outputs.shape[-1] for record in self._records]
        return [
            gradient
            for record, own in zip(self._records, of_outputs.split(widths, dim=-1), strict=True)
            for gradient in record.gradients(own)
        ]
