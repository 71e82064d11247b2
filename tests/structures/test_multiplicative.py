"""The network corrects the physics by a relative amount, whatever the target's spread."""

from __future__ import annotations

from skhybrid.model.structures import multiplicative


def test_network_is_a_relative_correction_without_unit(x, physics, network):
    assert multiplicative(x, physics, network).tolist() == [3.0 * 4.0, 8.0 * 4.0]
    assert network.asked == [(x,)]
