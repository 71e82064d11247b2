"""Chunks of a sequence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence


def chunks(items: Sequence, size: int) -> Iterator[Sequence]:
    """Split into the fewest chunks of at most ``size``, of nearly equal length."""
    n_chunks = -(-len(items) // size)
    ends = [round(len(items) * part / n_chunks) for part in range(n_chunks + 1)]
    for begin, end in itertools.pairwise(ends):
        yield items[begin:end]
