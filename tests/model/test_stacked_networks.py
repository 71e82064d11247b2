"""The networks of many members as one function: answers and gradients equal those one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skhybrid.model.networks import Pointwise, as_function, build_network
from skhybrid.model.stacked_networks import NARROW, Perceptrons, StackedNetworks

N_MEMBERS, N_ROWS = 3, 5
WIDE = NARROW + 1


def stacked_weights(network, seed=0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(
            (N_MEMBERS, *p.shape), generator=generator, dtype=torch.float64
        ).requires_grad_()
        for name, p in network.named_parameters()
        if p.requires_grad
    }


def rows(*shape, seed=1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


def one_by_one(network, weights, inputs) -> torch.Tensor:
    return torch.cat(
        [
            torch.func.functional_call(network, {n: w[k] for n, w in weights.items()}, (own,))
            for k, own in enumerate(inputs.unflatten(0, (N_MEMBERS, -1)))
        ]
    )


def assert_same(network, inputs):
    weights = stacked_weights(network)
    direction = rows(*one_by_one(network, weights, inputs).shape, seed=2).detach()
    leaves = [inputs, *weights.values()]
    found = []
    for outputs in (
        as_function(StackedNetworks(network, N_MEMBERS), weights)(inputs),
        one_by_one(network, weights, inputs),
    ):
        gradients = torch.autograd.grad((outputs * direction).sum(), leaves)
        found.append((outputs.detach(), *gradients))
    assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 6), (WIDE, WIDE)], ids=str)
@pytest.mark.parametrize("n_inputs", [1, 2, WIDE])
@pytest.mark.parametrize("n_outputs", [1, 2, WIDE])
def test_perceptrons(hidden, n_inputs, n_outputs):
    network = build_network(hidden, n_inputs, n_outputs, seed=0).double()
    assert_same(network, rows(N_MEMBERS * N_ROWS, n_inputs))


def test_a_perceptron_at_every_point_of_a_field():
    network = Pointwise(build_network((4, 4), 2, 3, seed=0).double())
    assert_same(network, rows(N_MEMBERS * 2, 2, 3, 4))


def test_any_other_network():
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    assert_same(network, rows(N_MEMBERS * N_ROWS, 2))


def test_a_frozen_layer_gets_no_gradient_and_is_the_same_for_all_members():
    network = build_network((4,), 2, 1, seed=0).double()
    network[0].weight.requires_grad_(False)
    assert_same(network, rows(N_MEMBERS * N_ROWS, 2))
    assert network[0].weight.grad is None


def test_inputs_without_a_gradient_get_none():
    network = build_network((4,), 2, 1, seed=0).double()
    weights = stacked_weights(network)
    function = StackedNetworks(network, N_MEMBERS).function(weights)
    given = rows(N_MEMBERS * N_ROWS, 2).detach()
    function(given).sum().backward()
    assert given.grad is None
    assert all(weight.grad is not None for weight in weights.values())


def test_gradients_equal_finite_differences():
    network = build_network((3, 3), 2, 2, seed=0).double()
    arguments = [rows(N_MEMBERS, N_ROWS, 2), *stacked_weights(network).values()]
    assert torch.autograd.gradcheck(Perceptrons.apply, arguments)


def test_second_derivatives_are_an_error():
    network = build_network((3,), 2, 1, seed=0).double()
    inputs = rows(N_MEMBERS, N_ROWS, 2)
    outputs = Perceptrons.apply(inputs, *stacked_weights(network).values())
    given = torch.ones_like(outputs).requires_grad_()
    (slope,) = torch.autograd.grad(outputs, inputs, given, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.square().sum().backward()


def test_the_incoming_gradient_is_not_overwritten():
    """Gradients of activations are computed in place, but not in the incoming tensor."""
    network = build_network((3,), 2, 1, seed=0).double()
    outputs = Perceptrons.apply(rows(N_MEMBERS, N_ROWS, 2), *stacked_weights(network).values())
    given = torch.ones_like(outputs)
    outputs.backward(given)
    assert torch.equal(given, torch.ones_like(outputs))
