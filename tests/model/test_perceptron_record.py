"""Perceptrons that are differentiated for all calls at once."""

import itertools

import pytest
import torch
from torch.nn.functional import linear, silu
from torch.testing import assert_close

from skhybrid.model.perceptron_record import PerceptronRecord

N_CALLS, N_ROWS = 3, 5


def make_layers(sizes, leading=()):
    """Return weights and biases of random layers."""
    return [
        (
            torch.randn(*leading, outputs, inputs, dtype=torch.float64, requires_grad=True),
            torch.randn(*leading, outputs, dtype=torch.float64, requires_grad=True),
        )
        for inputs, outputs in itertools.pairwise(sizes)
    ]


def evaluate(layers, inputs):
    """Return the outputs of a perceptron by torch."""
    for weight, bias in layers[:-1]:
        inputs = silu(linear(inputs, weight, bias))
    return linear(inputs, *layers[-1])


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("sizes", [(2, 4, 6, 1), (3, 4, 2), (2, 20, 3), (2, 1)], ids=str)
def test_derivatives_are_those_of_autograd(sizes, members):
    torch.manual_seed(0)
    leading = () if members is None else (members,)
    layers = make_layers(sizes, leading)
    inputs = torch.randn(*leading, N_CALLS, N_ROWS, sizes[0], dtype=torch.float64)
    record = PerceptronRecord(layers, N_CALLS, N_ROWS)
    of_outputs = torch.randn(*leading, N_CALLS * N_ROWS, sizes[-1], dtype=torch.float64)
    for repetition in range(2):  # the memory is used again
        record.begin(layers)
        inputs = inputs + repetition
        for number in range(N_CALLS):
            record.call(number, inputs[..., number, :, :])
        jacobian, gradients = record.jacobian(), record.gradients(of_outputs)

    rows = inputs.flatten(-3, -2).requires_grad_()
    if members is None:
        outputs = evaluate(layers, rows)
    else:
        own = [[(w[m], b[m]) for w, b in layers] for m in range(members)]
        outputs = torch.stack([evaluate(own[m], rows[m]) for m in range(members)])
    assert_close(record.outputs, outputs.detach())
    for number in range(sizes[-1]):
        (expected,) = torch.autograd.grad(outputs[..., number].sum(), rows, retain_graph=True)
        assert_close(jacobian[..., number, :], expected)
    leaves = [each for pair in layers for each in pair]
    expected = torch.autograd.grad(outputs, leaves, of_outputs)
    for found, own in zip(gradients, expected, strict=True):
        assert_close(found, own)


def test_an_overwritten_record_has_no_gradient():
    layers = make_layers((2, 3, 1))
    record = PerceptronRecord(layers, 1, 1)
    record.begin(layers)
    version = record.version
    record.require(version)
    record.begin(layers)
    with pytest.raises(RuntimeError, match="overwritten"):
        record.require(version)
