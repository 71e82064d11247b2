"""Perceptrons that are evaluated call by call and differentiated for all calls at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from skhybrid.model.narrow_products import weight_gradient


class PerceptronRecord:
    """Outputs of the layers of a perceptron, or of those of several members, in several calls.

    The Jacobians and the gradients of all calls together take a few large products of matrices, in
    place of many small ones.

    Parameters
    ----------
    layers : sequence of (Tensor, Tensor)
        Weight and bias of every layer, of shapes ([n_members,] n_outputs, n_inputs) and
        ([n_members,] n_outputs).
    n_calls, n_rows : int
        Number of calls, and of rows in each.
    """

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], n_calls: int, n_rows: int) -> None:
        weight = layers[0][0]
        of_members = weight.ndim == 3
        self._affine = torch.baddbmm if of_members else torch.addmm
        self._product = torch.bmm if of_members else torch.mm
        self._leading = weight.shape[:-2]
        self._widths = [weight.shape[-2] for weight, _ in layers]
        new = weight.new_empty
        shapes = [(*self._leading, n_calls, n_rows, width) for width in self._widths]
        self._outputs = [new(shape) for shape in shapes]
        self._activated = [new(shape) for shape in shapes[:-1]]
        self._slopes = [new(shape) for shape in shapes[:-1]]
        self._inputs = new((*self._leading, n_calls, n_rows, weight.shape[-1]))
        self._chains: list[list[Tensor]] = []
        self.version = 0

    def begin(self, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Start with other values of weights and biases."""
        self.version += 1
        self._weights = [weight.detach() for weight, _ in layers]
        self._transposed = [weight.mT for weight in self._weights]
        self._biases = [bias.detach().unsqueeze(-2) for _, bias in layers]

    def require(self, version: int) -> None:
        """Raise an error if the calls after this :meth:`begin` have been overwritten."""
        if version != self.version:
            raise RuntimeError("A later rollout has overwritten this one: its gradient is lost.")

    def call(self, number: int, inputs: Tensor) -> Tensor:
        """Return the outputs, of shape ([n_members,] n_rows, n_outputs), of one call.

        Parameters
        ----------
        number : int
            Number of the call.
        inputs : Tensor of shape ([n_members,] n_rows, n_inputs)
        """
        layer_input = self._inputs.select(-3, number).copy_(inputs)
        last = len(self._weights) - 1
        for layer, (bias, weight) in enumerate(zip(self._biases, self._transposed, strict=True)):
            output = self._outputs[layer].select(-3, number)
            self._affine(bias, layer_input, weight, out=output)
            if layer < last:
                layer_input = self._activated[layer].select(-3, number)
                torch.ops.aten.silu.out(output, out=layer_input)
        return output

    @property
    def outputs(self) -> Tensor:
        """Outputs of all calls, of shape ([n_members,] n_calls * n_rows, n_outputs)."""
        return self._outputs[-1].flatten(-3, -2)

    def jacobian(self) -> Tensor:
        """Return the derivatives of outputs by inputs: ([n_members,] n, n_outputs, n_inputs).

        The rows of all calls come one after the other.
        """
        for output, slope in zip(self._outputs[:-1], self._slopes, strict=True):
            one = output.new_ones(()).expand_as(output)
            torch.ops.aten.silu_backward.grad_input(one, output, grad_input=slope)
        n_outputs = self._widths[-1]
        found = [self._chain(number) for number in range(n_outputs)]
        n_rows = self.outputs.shape[-2]
        return torch.stack([each.expand(*each.shape[:-2], n_rows, -1) for each in found], dim=-2)

    def gradients(self, of_outputs: Tensor) -> list[Tensor]:
        """Return the gradients of weight and bias of every layer, once after :meth:`jacobian`.

        Parameters
        ----------
        of_outputs : Tensor of shape ([n_members,] n, n_outputs)
            Gradients of the outputs of all calls.
        """
        gradient, found = of_outputs, []
        for layer in range(len(self._weights) - 1, -1, -1):
            layer_input = self._inputs if layer == 0 else self._activated[layer - 1]
            of_weight = weight_gradient(gradient, layer_input.flatten(-3, -2), self._product)
            found = [of_weight, gradient.sum(dim=-2), *found]
            if layer == 0:
                continue
            if self._widths[-1] == 1:  # the derivative of the only output is known
                gradient = self._chains[layer - 1].mul_(of_outputs)
            else:
                slopes = self._slopes[layer - 1].flatten(-3, -2)
                gradient = self._product(gradient, self._weights[layer]).mul_(slopes)
        return found

    def _chain(self, number: int) -> Tensor:
        """Return the derivatives of one output by the inputs: ([n_members,] n, n_inputs).

        If it is the only output, its derivatives by the outputs of all layers take the place of the
        slopes.
        """
        chain, self._chains = self._weights[-1][..., number : number + 1, :], []
        for layer in range(len(self._weights) - 2, -1, -1):
            slopes = self._slopes[layer].flatten(-3, -2)
            chain = slopes.mul_(chain) if self._widths[-1] == 1 else slopes * chain
            self._chains.insert(0, chain)
            chain = self._product(chain, self._weights[layer])
        return chain
