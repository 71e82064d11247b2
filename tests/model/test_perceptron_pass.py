"""Passes through perceptrons without autograd equal those of autograd."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.nn.functional import silu
from torch.testing import assert_close

from skhybrid.model.perceptron_pass import PerceptronPass

TOLERANCE = {
    torch.float64: {"rtol": 1e-11, "atol": 1e-12},
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
}


def make_layers(widths, members, dtype):
    """Return random layers; ``members`` is () or (n_members,)."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*members, *shape, generator=generator, dtype=dtype)

    return [(draw(after, before), draw(after)) for before, after in pairwise(widths)]


def expected_outputs(layers, inputs):
    for number, (weight, bias) in enumerate(layers):
        inputs = inputs @ weight.mT + bias.unsqueeze(-2)
        if number < len(layers) - 1:
            inputs = silu(inputs)
    return inputs


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("members", [(), (3,)])
@pytest.mark.parametrize(
    "widths", [(2, 1), (2, 5, 1), (3, 20, 17, 2), (18, 20, 1), (1, 4, 4, 4, 3)]
)
def test_passes_equal_those_of_autograd(widths, members, dtype):
    layers = make_layers(widths, members, dtype)
    found = [tuple(torch.full_like(each, torch.nan) for each in layer) for layer in layers]
    passes = PerceptronPass(layers, found)
    for seed in range(2):  # the second time in the kept tensors
        generator = torch.Generator().manual_seed(seed)
        inputs, gradient = (
            torch.randn(*members, 7, width, generator=generator, dtype=dtype)
            for width in (widths[0], widths[-1])
        )
        leaves = [each.clone().requires_grad_() for layer in layers for each in layer]
        inputs.requires_grad_()
        outputs = expected_outputs([*zip(leaves[::2], leaves[1::2], strict=True)], inputs)
        expected = torch.autograd.grad(outputs, [inputs, *leaves], gradient)
        with torch.no_grad():
            assert_close(passes.forward(inputs), outputs, **TOLERANCE[dtype])
            of_inputs = passes.backward(gradient, inputs=True)
        flat = [each for layer in found for each in layer]
        for one, other in zip([of_inputs, *flat], expected, strict=True):
            assert_close(one, other, **TOLERANCE[dtype])


@torch.no_grad()
def test_gradients_of_biases_and_inputs_are_left_out_unless_asked_for():
    layers = make_layers((2, 5, 1), (), torch.float64)
    found = [tuple(torch.zeros_like(each) for each in layer) for layer in layers]
    passes = PerceptronPass(layers, found)
    passes.forward(torch.ones(4, 2, dtype=torch.float64))
    assert passes.backward(torch.ones(4, 1, dtype=torch.float64), biases=False) is None
    assert all(bool((weight != 0).any()) and not bias.any() for weight, bias in found)


@torch.no_grad()
def test_weights_are_read_at_every_pass():
    layers = make_layers((2, 5, 1), (), torch.float64)
    passes = PerceptronPass(layers, layers)
    inputs = torch.ones(4, 2, dtype=torch.float64)
    before = passes.forward(inputs).clone()
    layers[0][0].mul_(2.0)
    assert not torch.equal(passes.forward(inputs), before)
    assert_close(passes.forward(inputs), expected_outputs(layers, inputs))
