"""The networks of many members as one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skhybrid.model.group_table import GroupTable
from skhybrid.model.narrow_products import NARROW, weight_gradient
from skhybrid.model.network_parts import SplitNetwork
from skhybrid.model.networks import MultilayerPerceptron, Pointwise


class StackedNetworks:
    """The networks of all members; they have one architecture.

    Parameters
    ----------
    network : torch.nn.Module
        The architecture.
    n_members : int
    """

    def __init__(self, network: nn.Module, n_members: int) -> None:
        self.network = network
        self.n_members = n_members

    def function(self, weights: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
        """Return the function from rows to outputs; every member has the same number of rows.

        Parameters
        ----------
        weights : mapping of str to Tensor
            The networks' parameters, with a leading member axis.
        """
        network = self.network
        if type(network) in (Pointwise, SplitNetwork):
            return network.function(weights, self._of_part)
        if type(network) is GroupTable:
            return network.function(weights)
        if type(network) is MultilayerPerceptron:
            return self._perceptrons(weights)
        evaluate = torch.vmap(
            lambda own, rows: torch.func.functional_call(network, own, (rows,)),
            randomness="different",
        )
        return lambda rows: evaluate(weights, rows.unflatten(0, (self.n_members, -1))).flatten(0, 1)

    def _of_part(self, network: nn.Module, weights: Mapping[str, Tensor]) -> Callable:
        """Return one part of the members' networks as one function."""
        return StackedNetworks(network, self.n_members).function(weights)

    def _perceptrons(self, weights: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
        """Return the members' perceptrons as one function; all share the frozen parameters."""
        frozen = {
            name: own.expand(self.n_members, *own.shape)
            for name, own in self.network.named_parameters()
            if name not in weights
        }
        layers = self.network.layers({**weights, **frozen})
        stacked = [parameter for layer in layers for parameter in layer]

        def function(rows: Tensor) -> Tensor:
            inputs = rows.reshape(self.n_members, -1, rows.shape[-1])
            outputs = Perceptrons.apply(inputs, *stacked)
            return outputs.reshape(*rows.shape[:-1], outputs.shape[-1])

        return function


class Perceptrons(torch.autograd.Function):
    """Multilayer perceptrons of several members, with SiLU activations and a custom gradient.

    It computes the same as torch, up to rounding. The matrix product adds the bias, the gradient of
    an activation overwrites the gradient of its output, and products of narrow matrices have the
    faster of two orders. On a CPU, default fits with torch's own gradient take 1.1 to 1.2 times as
    long, and searches 1.2 to 1.3 times (benchmarks/results/what_pays.csv).

    The arguments are the inputs, of shape (n_members, n, n_inputs), then weight and bias of each
    layer, of shapes (n_members, n_outputs, n_inputs) and (n_members, n_outputs).
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, *parameters: Tensor) -> Tensor:
        """Return the outputs, of shape (n_members, n, n_outputs)."""
        saved, layer_input = [], inputs
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
            if saved:
                layer_input = torch.ops.aten.silu(saved[-1])
            output = torch.baddbmm(bias.unsqueeze(1), layer_input, weight.mT)
            saved += [weight, layer_input, output]
        ctx.save_for_backward(*saved[:-1])
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the inputs and of the parameters."""
        saved = ctx.saved_tensors
        gradients: list[Tensor | None] = []
        for layer in reversed(range(len(saved) // 3 + 1)):
            weight, layer_input = saved[3 * layer : 3 * layer + 2]
            of_weight = weight_gradient(gradient, layer_input, torch.bmm)
            gradients = [of_weight, gradient.sum(dim=1), *gradients]
            if layer > 0 or ctx.needs_input_grad[0]:
                gradient = _input_gradient(gradient, weight)
            if layer > 0:
                below = saved[3 * layer - 1]  # output of the layer below, before its activation
                torch.ops.aten.silu_backward.grad_input(gradient, below, grad_input=gradient)
        return (gradient if ctx.needs_input_grad[0] else None), *gradients


def _input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of a layer's input from the gradient of its output."""
    if gradient.shape[-1] == 1:
        return gradient * weight
    if weight.shape[-1] < NARROW:
        return torch.bmm(gradient, weight.mT.contiguous().mT)
    return torch.bmm(gradient, weight)
