"""Products of narrow matrices, in the order that is faster."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

# Products of matrices with fewer columns are faster in another order or memory layout.
NARROW = 16


def weight_gradient(
    gradient: Tensor, layer_input: Tensor, product: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the gradient of a layer's weight, of shape (..., n_outputs, n_inputs).

    Parameters
    ----------
    gradient : Tensor of shape (..., n, n_outputs)
        Gradient of the layer's output.
    layer_input : Tensor of shape (..., n, n_inputs)
    product : callable
        ``torch.mm``, or ``torch.bmm`` for several members.
    """
    if layer_input.shape[-1] < NARROW:
        return product(layer_input.mT, gradient).mT
    return product(gradient.mT, layer_input)
