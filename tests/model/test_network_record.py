"""Networks of several perceptrons that are differentiated for all calls at once."""

import pytest
import torch
from torch.testing import assert_close

from skhybrid.model.network_parts import NetworkParts, build_parts
from skhybrid.model.network_record import NetworkRecord, layers_of, perceptrons_of
from skhybrid.model.networks import build_network

PARTS = NetworkParts(
    n_inputs=3,
    correction=(0, 2),
    groups=(((1,), ("gain",)), ((2, 0), ("slope", "level"))),
    shapes=(("gain", ()), ("slope", (2,)), ("level", ())),
)


def build(n_inputs, n_outputs, seed):
    return build_network((4,), n_inputs, n_outputs, seed=seed).double()


def make_network(parts=PARTS):
    return build_parts(parts, build, 3, 2, -1, seed=0).double()


def test_outputs_and_derivatives_are_those_of_the_network():
    network = make_network()
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    layers = layers_of(network, None)
    record = NetworkRecord(network, layers, 2, 5)
    record.begin(layers)
    for number in range(2):
        record.call(number, inputs[number])
    rows = inputs.flatten(0, 1).requires_grad_()
    outputs = network(rows)
    assert_close(record.outputs, outputs.detach())
    jacobian = record.jacobian()
    for number in range(outputs.shape[1]):
        (expected,) = torch.autograd.grad(outputs[:, number].sum(), rows, retain_graph=True)
        assert_close(jacobian[:, number], expected)
    of_outputs = torch.randn_like(outputs)
    leaves = [each for own in layers for pair in own for each in pair]
    expected = torch.autograd.grad(outputs, leaves, of_outputs)
    for found, own in zip(record.gradients(of_outputs), expected, strict=True):
        assert_close(found, own)


def test_layers_may_be_given():
    network = make_network()
    given = {name: torch.zeros_like(own) for name, own in network.named_parameters()}
    assert all(
        not bool(each.any()) for own in layers_of(network, given) for pair in own for each in pair
    )


def test_networks_with_other_parts_have_no_record():
    assert perceptrons_of(torch.nn.Linear(2, 1)) is None
    frozen = build(2, 1, 0)
    frozen[0].weight.requires_grad_(False)
    assert perceptrons_of(frozen) is None
    with_table = NetworkParts(
        n_inputs=1,
        correction=None,
        groups=(),
        shapes=(("gain", ()),),
        tables=((0, (0.0, 1.0), ("gain",)),),
    )
    assert perceptrons_of(make_network(with_table)) is None


@pytest.mark.parametrize("columns", [None, (1, 0)])
def test_a_part_reads_its_inputs(columns):
    parts = NetworkParts(2, columns, (((0,), ("gain",)),), (("gain", ()),))
    read = [each for _, _, each in perceptrons_of(build_parts(parts, build, 2, 1, -1, seed=0))]
    assert read == ([(0,)] if columns is None else [(1, 0), (0,)])
