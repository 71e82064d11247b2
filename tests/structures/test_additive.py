"""The network adds to the physics in units of the target's spread."""

from __future__ import annotations

from skhybrid.model.structures import additive


def test_network_adds_in_units_of_the_target(x, physics, network):
    assert additive(x, physics, network).tolist() == [33.0, 38.0]
    assert network.asked == [(x,)]
