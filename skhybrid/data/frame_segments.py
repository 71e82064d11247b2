"""Cut the runs of a long table into segments: at gaps in time, or by length."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

# A gap is longer than this many times the median interval of its run.
GAP = 5.0


def check_segments(segments: Any, gap: Any) -> None:
    """Raise a ValueError if the rule for segments is unknown or incomplete."""
    is_length = isinstance(segments, Integral) and not isinstance(segments, bool)
    if is_length and segments < 2:
        raise ValueError(f"segments={segments} must be two rows at least, or 'gaps'.")
    if not (segments is None or is_length or segments == "gaps"):
        raise ValueError(
            f"segments={segments!r} must be 'gaps', a number of rows such as 200, or None for "
            "whole runs."
        )
    if gap is None:
        return
    if segments != "gaps":
        raise ValueError(f"gap={gap!r} is for segments='gaps', but segments={segments!r}.")
    if not isinstance(gap, Real) or isinstance(gap, bool) or not 0.0 < gap < np.inf:
        raise ValueError(f"gap={gap!r} must be a positive number, in the unit of time.")


def cut_run(times: np.ndarray, segments: int | str | None, gap: float | None) -> np.ndarray:
    """Return the number of the segment of each row of one run, whose times increase.

    Parameters
    ----------
    times : array of shape (n_rows,)
    segments : int, "gaps" or None
        Rows in a segment; a last single row goes to the segment before. "gaps" begins a segment
        after every interval that is longer than ``gap``. None is one segment.
    gap : float or None
        None is five times the median interval.
    """
    n = len(times)
    if segments is None or n < 2:
        return np.zeros(n, dtype=int)
    if segments == "gaps":
        intervals = np.diff(times)
        longest = GAP * np.median(intervals) if gap is None else gap
        return np.concatenate([[0], np.cumsum(intervals > longest)])
    numbers = np.arange(n) // segments
    if n % segments == 1 and n > segments:
        numbers[-1] -= 1
    return numbers
