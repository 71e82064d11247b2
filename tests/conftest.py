"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from small_kills import epochs  # noqa: F401


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder with the measured data sets; a test that asks for it is skipped without one."""
    named = os.environ.get("SKHYBRID_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no measured data: set SKHYBRID_DATA to their folder ({folder} is not one)")
    return folder
