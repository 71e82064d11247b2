"""Fitted models for the tests of the displays."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from sklearn.base import clone
from small_models import drive, make_model
from small_swings import SWINGS, make_swing_model

from skhybrid import Param, Physics
from skhybrid.inspection import bootstrap


@pytest.fixture(scope="session")
def fitted(table):
    """A hybrid of a table with two parameters, one of them with a unit and bounds."""
    physics = Physics(drive, gain=Param(1.0, bounds=(0.0, None), unit="V/N"))
    return make_model(physics=physics, refine_rho=0.0).fit(*table)


@pytest.fixture(scope="session")
def swinging():
    return make_swing_model().fit(SWINGS.data, SWINGS.target)


@pytest.fixture(scope="session")
def replicates(fitted, table):
    """A bootstrap of the table."""
    model = clone(fitted).set_params(refine_rho=None, max_epochs=3)
    return bootstrap(model, *table, n_replicates=9, random_state=0)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")
