"""Chunks of a sequence."""

from __future__ import annotations

import pytest

from skhybrid.runtime.chunks import chunks


@pytest.mark.parametrize("n", [1, 2, 7, 10, 64])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_chunks_are_few_and_of_nearly_equal_length(n, size):
    found = [*chunks(range(n), size)]
    assert [number for chunk in found for number in chunk] == [*range(n)]
    lengths = [len(chunk) for chunk in found]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert len(found) == -(-n // size)
