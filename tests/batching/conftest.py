"""Fixtures for the tests of batches."""

from __future__ import annotations

import pytest
from small_searches import batches  # noqa: F401
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """Let scipy use one thread: the arrays are too small for more."""
    with threadpool_limits(1, user_api="blas"):
        yield
