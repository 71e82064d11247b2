"""Forward and backward pass of perceptrons without autograd."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from skhybrid.model.narrow_products import NARROW


class PerceptronPass:
    """Passes through a perceptron, or through those of several members, into kept tensors.

    It computes the same as torch with autograd, up to rounding. A graph for the network takes about
    half of the time of a step, because the matrices of the usual networks are small.

    Parameters
    ----------
    layers : sequence of (Tensor, Tensor)
        Weight and bias of every layer, of shapes ([n_members,] n_outputs, n_inputs) and
        ([n_members,] n_outputs). They are read at every pass, so they may change between passes.
    gradients : sequence of (Tensor, Tensor)
        Where the gradients are written, in the same shapes.
    """

    def __init__(
        self,
        layers: Sequence[tuple[Tensor, Tensor]],
        gradients: Sequence[tuple[Tensor, Tensor]],
    ) -> None:
        of_members = layers[0][0].ndim == 3
        self._affine = torch.baddbmm if of_members else torch.addmm
        self._product = torch.bmm if of_members else torch.mm
        self._weights = [weight.detach() for weight, _ in layers]
        self._transposed = [weight.mT for weight in self._weights]
        self._biases = [bias.detach().unsqueeze(-2) for _, bias in layers]
        self._of_weights = [weight for weight, _ in gradients]
        self._of_biases = [bias for _, bias in gradients]
        self._buffers: dict[torch.Size, _Buffers] = {}
        self._inputs: list[Tensor] = []
        self._kept: _Buffers | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs, of shape ([n_members,] n, n_outputs), until the next pass.

        Parameters
        ----------
        inputs : Tensor of shape ([n_members,] n, n_inputs)
        """
        kept = self._buffers.get(inputs.shape)
        if kept is None:
            kept = self._buffers[inputs.shape] = _Buffers(inputs, self._weights)
        self._kept, self._inputs = kept, [inputs]
        last = len(self._weights) - 1
        for layer, (bias, weight) in enumerate(zip(self._biases, self._transposed, strict=True)):
            output = kept.outputs[layer]
            if kept.scratch is not None and layer == last:
                torch.mul(self._inputs[-1], self._weights[-1], out=kept.scratch)
                torch.sum(kept.scratch, dim=-1, keepdim=True, out=output).add_(bias)
                break
            self._affine(bias, self._inputs[-1], weight, out=output)
            if layer < last:
                activated = kept.activated[layer]
                torch.ops.aten.silu.out(output, out=activated)
                self._inputs.append(activated)
        return output

    def backward(
        self, gradient: Tensor, *, biases: bool = True, inputs: bool = False
    ) -> Tensor | None:
        """Write the gradients of the parameters; return that of the inputs if it is asked for.

        Parameters
        ----------
        gradient : Tensor of shape ([n_members,] n, n_outputs)
            Gradient of the outputs of the last forward pass.
        biases : bool, default=True
            Whether to write the gradients of the biases.
        inputs : bool, default=False
            Whether to return the gradient of the inputs.
        """
        kept = self._kept
        for layer in range(len(self._weights) - 1, -1, -1):
            self._write_weight_gradient(gradient, self._inputs[layer], self._of_weights[layer])
            if biases:
                torch.sum(gradient, dim=-2, out=self._of_biases[layer])
            if layer > 0:
                below = kept.gradients[layer - 1]
                self._write_input_gradient(gradient, self._weights[layer], below)
                torch.ops.aten.silu_backward.grad_input(
                    below, kept.outputs[layer - 1], grad_input=below
                )
                gradient = below
        return self._product(gradient, self._weights[0]) if inputs else None

    def _write_weight_gradient(self, gradient: Tensor, layer_input: Tensor, target: Tensor) -> None:
        """Write the gradient of a layer's weight from the gradient of its output."""
        if layer_input.shape[-1] < NARROW:
            target.copy_(self._product(layer_input.mT, gradient).mT)
        else:
            self._product(gradient.mT, layer_input, out=target)

    def _write_input_gradient(self, gradient: Tensor, weight: Tensor, target: Tensor) -> None:
        """Write the gradient of a layer's input from the gradient of its output."""
        if gradient.shape[-1] == 1:
            torch.mul(gradient, weight, out=target)
        else:
            self._product(gradient, weight, out=target)


class _Buffers:
    """Tensors of one pass: outputs before and after the activations, and their gradients."""

    def __init__(self, inputs: Tensor, weights: Sequence[Tensor]) -> None:
        shapes = [(*inputs.shape[:-1], weight.shape[-2]) for weight in weights]
        self.outputs = [inputs.new_empty(shape) for shape in shapes]
        self.activated = [torch.empty_like(output) for output in self.outputs[:-1]]
        self.gradients = [torch.empty_like(output) for output in self.outputs[:-1]]
        # With several members, products with a single column take twice the time of a sum.
        single_column = inputs.ndim == 3 and shapes[-1][-1] == 1 and len(shapes) > 1
        self.scratch = self.gradients[-1] if single_column else None
