"""Fitted oscillators, for tests of predictions."""

from __future__ import annotations

import pytest
from small_oscillator import DRIVEN, FIRST, INPUTS, fit, follow, position, pushed


@pytest.fixture(scope="session")
def free():
    return fit(FIRST, follow(FIRST, 12))


@pytest.fixture(scope="session")
def partial():
    return fit(INPUTS, DRIVEN[..., 0], pushed, inputs="hold", observe=position, n_states=2)
