"""Resample residuals: one by one, whole trajectories, or blocks of neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skhybrid.runtime.user_warnings import warn

# Autocorrelations of independent residuals stay within ± this, over √n, in 95 % of the lags.
AUTOCORRELATION_BOUND = 1.96
# A series gives at least this many blocks that do not overlap.
LEAST_BLOCKS = 4


def filled(residuals: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Return residuals without gaps: what is NaN is drawn from the known ones of its column.

    Raises
    ------
    ValueError
        If a column has no known residual.
    """
    pool = np.concatenate(residuals)
    found = [each.copy() for each in residuals]
    for column, values in enumerate(pool.T):
        known = values[np.isfinite(values)]
        if not len(known):
            raise ValueError(
                f"No residual of output {column} is known: the predictions of rows that a fit had "
                "not seen are not finite. kind='pairs' needs no residuals."
            )
        for each in found:
            gaps = ~np.isfinite(each[:, column])
            each[gaps, column] = rng.choice(known, np.count_nonzero(gaps))
    return found


def known_rows(residuals: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return the rows with a known residual, in one array; gaps in them are filled."""
    pool = np.concatenate(residuals)
    (found,) = filled([pool[np.isfinite(pool).any(axis=1)]], rng)
    return found


def draw_rows(
    residuals: Sequence[np.ndarray], lengths: Sequence[int], rng: np.random.Generator
) -> list[np.ndarray]:
    """Return rows drawn one by one, with replacement, for series of these lengths."""
    pool = np.concatenate(residuals)
    return [pool[rng.integers(len(pool), size=length)] for length in lengths]


def draw_whole(
    residuals: Sequence[np.ndarray], lengths: Sequence[int], rng: np.random.Generator
) -> list[np.ndarray]:
    """Return the residuals of whole series, drawn with replacement."""
    return [residuals[rng.integers(len(residuals))] for _ in lengths]


def draw_blocks(
    residuals: Sequence[np.ndarray],
    lengths: Sequence[int],
    rng: np.random.Generator,
    *,
    block_length: int,
) -> list[np.ndarray]:
    """Return moving blocks of neighbours, joined to series of these lengths (Künsch 1989).

    Every block of ``block_length`` neighbours is as likely; a shorter series is one block.
    """
    starts = [
        (number, begin)
        for number, each in enumerate(residuals)
        for begin in range(max(1, len(each) - block_length + 1))
        if len(each)
    ]
    found = []
    for length in lengths:
        blocks, n_drawn = [], 0
        while n_drawn < length:
            number, begin = starts[rng.integers(len(starts))]
            blocks.append(residuals[number][begin : begin + block_length])
            n_drawn += len(blocks[-1])
        joined = np.concatenate(blocks) if blocks else residuals[0][:0]
        found.append(joined[:length])
    return found


def automatic_block_length(residuals: Sequence[np.ndarray]) -> int:
    """Return the length of blocks for residuals in their order.

    It is the cube root of the length of the longest series (the rate of Hall, Horowitz & Jing
    1995), and at least the first lag at which the autocorrelation of no column is beyond
    1.96/√n, where n counts all rows. A series has four blocks at least.

    Warns
    -----
    UserWarning
        If residuals are correlated over longer times than a quarter of the longest series.
    """
    longest = max(len(each) for each in residuals)
    n_rows = sum(len(each) for each in residuals)
    most = max(1, longest // LEAST_BLOCKS)
    bound = AUTOCORRELATION_BOUND / np.sqrt(n_rows)
    lag = 1
    while lag < most and np.abs(autocorrelation(residuals, lag)).max() > bound:
        lag += 1
    if lag == most > 1 and np.abs(autocorrelation(residuals, lag)).max() > bound:
        warn(
            f"Residuals are correlated over more than {most} neighbours, a quarter of the longest "
            "series. Blocks cannot be as long as that, so what the bootstrap says is too narrow. "
            "Give more or longer series, or a model that leaves less of a trend."
        )
    return min(most, max(int(np.ceil(longest ** (1 / 3))), lag))


def autocorrelation(residuals: Sequence[np.ndarray], lag: int) -> np.ndarray:
    """Return the autocorrelation of centred residuals at a lag for each column."""
    products = sum((each[lag:] * each[: len(each) - lag]).sum(axis=0) for each in residuals)
    squares = sum((each**2).sum(axis=0) for each in residuals)
    return products / np.where(squares > 0, squares, 1.0)
