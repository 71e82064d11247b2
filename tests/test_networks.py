"""Building the network: sizes, initialisation, and what is left as it was."""

from __future__ import annotations

import copy
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from skhybrid.exceptions import NetworkError
from skhybrid.model.networks import build_network, hidden_sizes, reject_running_statistics


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
    kinds = [nn.Linear, nn.SiLU, nn.Linear, nn.SiLU, nn.Linear]
    assert [type(layer) for layer in module] == kinds


@pytest.mark.parametrize(
    "network", [(4,), nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))]
)
def test_seed_decides_and_global_generator_is_untouched(network):
    state = torch.random.get_rng_state()
    first, again, other = (build_network(network, 3, 1, seed=seed) for seed in (0, 0, 1))
    assert same_parameters(first, again)
    assert not same_parameters(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_networks_that_are_built_in_threads_are_those_built_one_by_one():
    class SlowLinear(nn.Linear):
        def reset_parameters(self):
            time.sleep(0.01)  # in which the other thread may draw
            super().reset_parameters()

    network = nn.Sequential(SlowLinear(3, 4), nn.Tanh(), SlowLinear(4, 1))

    def build(seed):
        return build_network(network, 3, 1, seed=seed)

    state = torch.random.get_rng_state()
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(build, range(4)))
    assert all(map(same_parameters, together, map(build, range(4))))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_module_is_copied_and_layers_are_initialised_anew():
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


def test_lazy_layers_take_their_size_from_the_features():
    network = nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(1))
    first, again = (build_network(network, 3, 1, seed=0) for _ in range(2))
    assert first[0].weight.shape == (4, 3)
    assert same_parameters(first, again)
    assert isinstance(network[0].weight, nn.UninitializedParameter)


def test_lazy_layers_that_fail_are_reported():
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
def test_running_statistics_are_refused_with_the_layer_named(layer):
    network = nn.Sequential(nn.Linear(3, 4), nn.Sequential(layer), nn.Linear(4, 1))
    kind = type(layer).__name__
    with pytest.raises(NetworkError, match=rf"Layer '1\.0' \({kind}\) keeps running statistics"):
        build_network(network, 3, 1, seed=0)
    with pytest.raises(NetworkError, match=rf"Layer 'nn' \({kind}\)"):
        reject_running_statistics(layer)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(4, track_running_stats=False), nn.LayerNorm(4)])
def test_normalisation_without_running_statistics_is_accepted(layer):
    module = build_network(nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 1)), 3, 1, seed=0)
    assert torch.isfinite(module(torch.randn(5, 3))).all()
