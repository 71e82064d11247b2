"""Few rows, for checks and starts that need no more."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import Rows, evenly_spaced
from skhybrid.model.batch import Batch, Windows, select_rows

# Numbers in the windows of a check, and the fewest windows of a check.
CHECKED_NUMBERS = 2**19
MIN_CHECKED_WINDOWS = 4


def few_windows(rows: Rows) -> Rows:
    """Return rows for a check or a start: all rows of a table, or a few large windows."""
    return rows if not isinstance(rows.x, Windows) else rows.every(_n_checked(rows.x, rows.y))


def rows_to_check(batch: Batch) -> Tensor | Windows:
    """Return the features that :func:`few_windows` selects, from rows that are tensors."""
    if isinstance(batch.x, Tensor):
        return batch.x
    chosen = evenly_spaced(len(batch.y), _n_checked(batch.x, batch.y))
    return batch.x if chosen is None else select_rows(batch.x, torch.from_numpy(chosen))


def _n_checked(x: Windows, y: np.ndarray | Tensor) -> int:
    """Return the number of windows for a check."""
    numbers_per_window = math.prod(y.shape[1:]) + math.prod(x.first_state.shape[1:])
    return max(MIN_CHECKED_WINDOWS, CHECKED_NUMBERS // numbers_per_window)
