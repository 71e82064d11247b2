"""Networks: hidden sizes, initialisation, and networks as functions."""

from __future__ import annotations

import copy
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from skhybrid.exceptions import NetworkError
from skhybrid.model.networks import (
    Pointwise,
    as_function,
    build_network,
    first_layer_weight,
    hidden_sizes,
    reject_running_statistics,
)


def same_parameters(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("network", "shapes"),
    [
        ((4, 5), [(4, 3), (4,), (5, 4), (5,), (2, 5), (2,)]),
        ([6], [(6, 3), (6,), (2, 6), (2,)]),
        (6, [(6, 3), (6,), (2, 6), (2,)]),
        (np.int64(6), [(6, 3), (6,), (2, 6), (2,)]),
        ((), [(2, 3), (2,)]),
    ],
)
def test_hidden_sizes_make_a_multilayer_perceptron(network, shapes):
    module = build_network(network, 3, 2, seed=0)
    assert [tuple(p.shape) for p in module.parameters()] == shapes
    assert module(torch.zeros(7, 3)).shape == (7, 2)


def test_activations_are_between_the_layers_only():
    module = build_network((4, 4), 3, 1, seed=0)
    types = [nn.Linear, nn.SiLU, nn.Linear, nn.SiLU, nn.Linear]
    assert [type(layer) for layer in module] == types


@pytest.mark.parametrize(
    "network", [(4,), nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))]
)
def test_the_seed_determines_the_network_and_the_global_generator_stays(network):
    state = torch.random.get_rng_state()
    first, again, other = (build_network(network, 3, 1, seed=seed) for seed in (0, 0, 1))
    assert same_parameters(first, again)
    assert not same_parameters(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_networks_built_in_threads_equal_networks_built_one_by_one():
    class SlowLinear(nn.Linear):
        def reset_parameters(self):
            time.sleep(0.01)  # meanwhile the other thread may draw
            super().reset_parameters()

    network = nn.Sequential(SlowLinear(3, 4), nn.Tanh(), SlowLinear(4, 1))

    def build(seed):
        return build_network(network, 3, 1, seed=seed)

    state = torch.random.get_rng_state()
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(build, range(4)))
    assert all(map(same_parameters, together, map(build, range(4))))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_module_is_copied_and_its_layers_are_initialised_again():
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    before = copy.deepcopy(network.state_dict())
    module = build_network(network, 3, 1, seed=0)
    assert not torch.equal(module[0].weight, network[0].weight)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_parameters_outside_layers_keep_their_values():
    class Wave(nn.Module):
        def __init__(self):
            super().__init__()
            self.frequency = nn.Parameter(torch.tensor(7.0))
            self.layer = nn.Linear(3, 1)

        def forward(self, x):
            return torch.sin(self.frequency * self.layer(x))

    assert build_network(Wave(), 3, 1, seed=0).frequency == 7.0


def test_frozen_layers_keep_their_values():
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    network[0].requires_grad_(False)
    module = build_network(network, 3, 1, seed=0)
    assert torch.equal(module[0].weight, network[0].weight)
    assert not module[0].weight.requires_grad
    assert not torch.equal(module[2].weight, network[2].weight)


def test_lazy_layers_get_their_size_from_the_features():
    network = nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(1))
    first, again = (build_network(network, 3, 1, seed=0) for _ in range(2))
    assert first[0].weight.shape == (4, 3)
    assert same_parameters(first, again)
    assert isinstance(network[0].weight, nn.UninitializedParameter)


def test_lazy_layers_that_fail_are_an_error():
    network = nn.Sequential(nn.LazyLinear(4), nn.Linear(5, 1))
    with pytest.raises(
        NetworkError, match=r"nn failed on inputs of shape \(2, 3\).*cannot be mult"
    ):
        build_network(network, 3, 1, seed=0)


@pytest.mark.parametrize("sizes", [(0,), (-1,), (8, 0), (8.0,), ("8",), 0, (None,)])
def test_sizes_that_are_not_positive_integers_are_refused(sizes):
    with pytest.raises(NetworkError, match=r"nn must be hidden sizes.*got") as caught:
        hidden_sizes(sizes)
    assert repr(sizes) in str(caught.value)


def test_sizes_are_plain_integers():
    assert hidden_sizes(np.array([3, 4])) == (3, 4)
    assert all(type(size) is int for size in hidden_sizes(np.array([3, 4])))


@pytest.mark.parametrize(
    "layer",
    [nn.BatchNorm1d(4), nn.InstanceNorm1d(4, track_running_stats=True), nn.LazyBatchNorm1d()],
)
def test_running_statistics_are_refused_and_the_error_names_the_layer(layer):
    network = nn.Sequential(nn.Linear(3, 4), nn.Sequential(layer), nn.Linear(4, 1))
    layer_type = type(layer).__name__
    with pytest.raises(
        NetworkError, match=rf"Layer '1\.0' \({layer_type}\) keeps running statistics"
    ):
        build_network(network, 3, 1, seed=0)
    with pytest.raises(NetworkError, match=rf"Layer 'nn' \({layer_type}\)"):
        reject_running_statistics(layer)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(4, track_running_stats=False), nn.LayerNorm(4)])
def test_normalisation_without_running_statistics_is_accepted(layer):
    module = build_network(nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 1)), 3, 1, seed=0)
    assert torch.isfinite(module(torch.randn(5, 3))).all()


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    """Return networks of all types, with inputs for them."""
    torch.manual_seed(0)
    perceptron = build_network((4, 3), 2, 1, seed=0)
    rows, field = torch.randn(5, 2), torch.randn(5, 2, 3, 4)
    return {
        "perceptron": (perceptron, rows),
        "perceptron at every point": (Pointwise(perceptron), field),
        "module": (nn.Sequential(nn.Linear(2, 3), nn.Tanh()), rows),
        "module at every point": (Pointwise(nn.Linear(2, 3)), field),
    }


@pytest.mark.parametrize("name", networks())
def test_a_network_as_a_function_answers_as_the_module(name):
    network, inputs = networks()[name]
    torch.testing.assert_close(as_function(network, None)(inputs), network(inputs))
    doubled = {name: 2.0 * weight for name, weight in network.named_parameters()}
    expected = torch.func.functional_call(network, doubled, (inputs,))
    torch.testing.assert_close(as_function(network, doubled)(inputs), expected)
    assert not torch.equal(expected, network(inputs))


def test_a_pointwise_network_reads_the_components_of_each_point():
    layer = nn.Linear(2, 3)
    field = torch.randn(5, 2, 3, 4)
    answers = Pointwise(layer)(field)
    assert answers.shape == (5, 3, 3, 4)
    torch.testing.assert_close(answers[1, :, 2, 3], layer(field[1, :, 2, 3]))


@pytest.mark.parametrize("name", networks())
def test_the_name_of_the_first_weight_is_known_for_perceptrons(name):
    network, inputs = networks()[name]
    first = first_layer_weight(network)
    if name.startswith("module"):
        assert first is None
    else:
        assert dict(network.named_parameters())[first].shape[1] == inputs.shape[1]


def test_hidden_sizes_beyond_the_memory_name_the_size():
    with pytest.raises(NetworkError, match=r"\(10000000000000,\) has 4e\+13 parameters.*TiB"):
        build_network(10**13, 2, 1, seed=0)


def test_a_module_that_cannot_be_copied_is_named():
    class Locked(nn.Linear):
        def __deepcopy__(self, memo):
            raise TypeError("no copies")

    with pytest.raises(NetworkError, match=r"nn \(Locked\) cannot be copied .* no copies"):
        build_network(Locked(2, 1), 2, 1, seed=0)


def test_modules_without_values_are_refused():
    module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1, device="meta"))
    with pytest.raises(NetworkError, match=r"Parameter '1.weight' of nn .Sequential. is on the"):
        build_network(module, 2, 1, seed=0)
