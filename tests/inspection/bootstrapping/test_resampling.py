"""Residuals that are drawn, also in blocks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from skhybrid.inspection.bootstrapping.resampling import (
    autocorrelation,
    automatic_block_length,
    draw_blocks,
    draw_rows,
    draw_whole,
    filled,
    known_rows,
)

COUNT = np.arange(30.0)[:, None]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def correlated(n, *, memory):
    rng = np.random.default_rng(0)
    noise, values = rng.normal(size=(n, 1)), np.zeros((n, 1))
    for i in range(1, n):
        values[i] = memory * values[i - 1] + noise[i]
    return values - values.mean()


def test_blocks_are_neighbours_of_one_series(rng):
    lines = [COUNT, COUNT[:4] + 100.0]
    drawn = draw_blocks(lines, [30, 4], rng, block_length=6)
    assert [len(each) for each in drawn] == [30, 4]
    steps = np.diff(drawn[0].ravel())
    begins = [0, *(np.flatnonzero(steps != 1.0) + 1)]
    assert all(end - begin in (4, 6) for begin, end in itertools.pairwise(begins))


def test_all_blocks_are_as_likely(rng):
    drawn = np.concatenate(draw_blocks([COUNT[:5]], [4000], rng, block_length=2))
    counts = np.bincount(drawn[::2].astype(int).ravel(), minlength=5)
    assert counts[4] == 0, "no block begins at the last row"
    assert counts[:4] == pytest.approx(np.full(4, 500), rel=0.2)


def test_rows_keep_their_columns_together(rng):
    table = np.hstack([COUNT, -COUNT])
    (drawn,) = draw_rows([table], [50], rng)
    assert drawn.shape == (50, 2)
    assert (drawn.sum(axis=1) == 0).all()


def test_whole_series_are_drawn(rng):
    drawn = draw_whole([COUNT, -COUNT], [30] * 40, rng)
    assert {np.sign(each[1, 0]) for each in drawn} == {-1.0, 1.0}


def test_gaps_are_filled_from_their_column(rng):
    table = np.hstack([COUNT, -COUNT])
    table[3, 1], table[4] = np.nan, np.nan
    (whole,) = filled([table], rng)
    assert whole[3, 0] == 3.0
    assert -29.0 <= whole[3, 1] <= 0.0 <= whole[4, 0] <= 29.0
    assert len(known_rows([table], rng)) == 29
    with pytest.raises(ValueError, match="No residual of output 0 is known"):
        filled([np.full((3, 1), np.nan)], rng)


def test_blocks_grow_with_the_memory_of_the_residuals():
    independent = automatic_block_length([correlated(1000, memory=0.0)])
    assert independent == 10, "the cube root of the length"
    assert 10 < automatic_block_length([correlated(1000, memory=0.9)]) <= 250
    with pytest.warns(UserWarning, match="correlated over more than 50 neighbours, a quarter"):
        assert automatic_block_length([np.linspace(-1.0, 1.0, 200)[:, None]]) == 50


def test_the_autocorrelation_is_that_of_the_process():
    assert autocorrelation([correlated(5000, memory=0.6)], 2) == pytest.approx(0.36, abs=0.06)
    assert automatic_block_length([np.zeros((3, 1))]) == 1
