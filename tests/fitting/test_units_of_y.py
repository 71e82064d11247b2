"""A bound that is reached because y is in other units than the physics."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.runtime.number_text import number_text

RNG = np.random.default_rng(0)
TIME = RNG.uniform(0.0, 3.0, (60, 1))
VOLTS = 0.8 * np.exp(-0.7 * TIME[:, 0]) + 0.01 * RNG.normal(size=60)


def decay(time, *, start=1.0, rate=1.0):
    return start * torch.exp(-rate * time)


def said(y, bounds=(0.5, 2.0), **options):
    """Return what a fit says of bounds."""
    rate = Param(1.0, bounds=(0.0, 10.0))
    model = HybridRegressor(Physics(decay, start=Param(1.0, bounds=bounds), rate=rate), **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(TIME, y)
    return " ".join(str(each.message) for each in caught if "bound" in str(each.message))


@pytest.mark.parametrize("factor", [1e6, 1e-6])
@pytest.mark.parametrize("nn", [None, (4,)])
def test_the_units_of_y_are_named_with_both_sizes(factor, nn):
    message = said(factor * VOLTS, nn=nn, max_epochs=5, random_state=0)
    size = np.sqrt(np.mean((factor * VOLTS) ** 2))
    assert f"y has a root mean square of {number_text(size, 2)}" in message
    assert "is y in other units than the physics? Then convert y" in message
    assert not said(VOLTS, nn=nn, max_epochs=5, random_state=0)  # the advice


def test_a_bound_near_the_data_says_nothing_of_units():
    message = said(VOLTS, bounds=(1.0, 2.0), nn=None)
    assert "ended on its lower bound 1" in message
    assert "other units" not in message
