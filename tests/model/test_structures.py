"""How tables join physics and network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from skhybrid.model.structures import (
    STRUCTURES,
    additive,
    get_structure,
    multiplicative,
    none,
    serial,
)

X = torch.tensor([[1.0, 2.0], [3.0, 5.0]])


def physics(x: Tensor) -> Tensor:
    """Return the sum of the features."""
    return x.sum(dim=-1)


class RecordingNetwork:
    """A network that answers 3 and records its inputs.

    The target's standard deviation is 10, so that the answer is 30 in the target's units.
    """

    def __init__(self) -> None:
        self.inputs: list[tuple[Tensor, ...]] = []

    def __call__(self, x: Tensor, *extra: Tensor, scale: float = 10.0) -> Tensor:
        self.inputs.append((x, *extra))
        return torch.full_like(x[:, 0], 3.0 * scale)


@pytest.fixture
def network() -> RecordingNetwork:
    return RecordingNetwork()


def test_additive_adds_the_network_in_units_of_the_target(network):
    assert additive(X, physics, network).tolist() == [33.0, 38.0]
    assert network.inputs == [(X,)]


def test_multiplicative_applies_a_relative_correction(network):
    assert multiplicative(X, physics, network).tolist() == [3.0 * 4.0, 8.0 * 4.0]
    assert network.inputs == [(X,)]


def test_serial_network_reads_the_output_of_the_physics(network):
    assert serial(X, physics, network).tolist() == [33.0, 38.0]
    [(features, known)] = network.inputs
    assert features is X
    assert torch.equal(known, physics(X))


def test_serial_evaluates_the_physics_once(network):
    calls = []
    serial(X, lambda x: calls.append(1) or physics(x), network)
    assert len(calls) == 1


def test_names_stand_for_functions():
    named = {each.__name__: each for each in (additive, multiplicative, none, serial)}
    assert {name: get_structure(name) for name in STRUCTURES} == named


def test_functions_stand_for_themselves():
    def ratio(x, physics, nn):
        return physics(x) / nn(x)

    assert get_structure(ratio) is ratio


def test_none_is_the_physics_alone():
    torch.testing.assert_close(none(X, lambda x: 2.0 * x[:, 0], None), 2.0 * X[:, 0])


@pytest.mark.parametrize(("varies", "expected"), [(False, additive), (True, none)])
def test_auto_looks_at_the_parameters(varies, expected):
    assert get_structure("auto", varies=varies) is expected
