"""Fitted models for the tests of the displays."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from small_models import drive, make_model
from small_swings import SWINGS, make_swing_model

from skhybrid import Param, Physics


@pytest.fixture(scope="session")
def fitted(table):
    """A hybrid of a table with two parameters, one of them with a unit and bounds."""
    physics = Physics(drive, gain=Param(1.0, bounds=(0.0, None), unit="V/N"))
    return make_model(physics=physics, refine_rho=0.0).fit(*table)


@pytest.fixture(scope="session")
def swinging():
    return make_swing_model().fit(SWINGS.data, SWINGS.target)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")
