"""Lynxes and hares: counts, layout and source."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.testing import assert_array_equal

from skhybrid import Physics
from skhybrid.datasets import load_lynx_hare, lotka_volterra


def test_numbers():
    pelts = load_lynx_hare()
    assert_array_equal(pelts.years, np.arange(1900, 1921))
    assert pelts.counts.shape == (21, 2)
    assert pelts.counts.dtype == np.float64
    hare, lynx = pelts.counts.T
    assert (hare.sum().round(1), lynx.sum().round(1)) == (715.7, 423.5)
    assert pelts.years[hare.argmax()] == 1903
    assert pelts.years[lynx.argmax()] == 1904
    # All numbers equal both public copies (see the description).
    text = ";".join(f"{h:.1f},{x:.1f}" for h, x in pelts.counts)
    assert hashlib.md5(text.encode()).hexdigest() == "3cae30306039be45e9c0a706d8b2eeb7"


def test_layout():
    pelts = load_lynx_hare()
    assert_array_equal(pelts.data, [[30.0, 4.0]])
    assert pelts.target.shape == (1, 20, 2)
    assert_array_equal(pelts.target[0, 0], [47.2, 6.1])
    assert_array_equal(pelts.target[0, -1], [24.7, 8.6])
    assert_array_equal(pelts.times, np.arange(1.0, 21.0))
    assert pelts.dt == 1.0
    assert pelts.feature_names == pelts.target_names == ["hare", "lynx"]
    assert pelts.frame is None
    assert pelts.physics is lotka_volterra
    assert "physics_params" not in pelts
    assert list(Physics(pelts.physics).params) == ["growth", "predation", "conversion", "mortality"]
    data, target = load_lynx_hare(return_X_y=True)
    assert_array_equal(data, pelts.data)
    assert_array_equal(target, pelts.target)


def test_what_one_caller_changes_the_next_does_not_see():
    load_lynx_hare().counts[:] = 0
    pelts = load_lynx_hare()
    pelts.data[:] = 0
    assert pelts.counts[0, 0] == 30.0


def test_description_names_unit_and_sources():
    description = load_lynx_hare().DESCR
    for part in ("thousands", "Hudson's Bay Company", "Carpenter", "Hewitt", "MacLulich"):
        assert part in description
