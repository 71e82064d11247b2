"""A table and a path of θ for the tests of inspection."""

from __future__ import annotations

import pytest
from small_models import make_model, make_table
from small_searches import batches  # noqa: F401

from skhybrid.inspection import physics_path

RADII = [0.0, 0.05, 0.3]


@pytest.fixture(scope="session")
def table():
    return make_table()


@pytest.fixture(scope="session")
def path(table):
    return physics_path(make_model(), *table, param_range=RADII, cv=3, n_restarts=2)
