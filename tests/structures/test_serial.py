"""The network reads the features and what the physics says, and corrects it."""

from __future__ import annotations

import torch

from skhybrid.model.structures import serial


def test_network_reads_the_output_of_the_physics(x, physics, network):
    assert serial(x, physics, network).tolist() == [33.0, 38.0]
    [(features, known)] = network.asked
    assert features is x
    assert torch.equal(known, physics(x))


def test_physics_is_evaluated_once(x, physics, network):
    calls = []
    serial(x, lambda x: calls.append(1) or physics(x), network)
    assert len(calls) == 1
