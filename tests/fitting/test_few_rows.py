"""Few rows, for checks and starts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skhybrid.data.missing_targets import mask_missing
from skhybrid.data.rows import Rows
from skhybrid.fitting.few_rows import (
    CHECKED_NUMBERS,
    MIN_CHECKED_WINDOWS,
    few_windows,
    rows_to_check,
)
from skhybrid.model.batch import Batch, Windows


def make_windows(n_windows: int, n_numbers: int) -> Windows:
    """Return windows of one step, whose first state has this many numbers."""
    numbers = np.arange(float(n_windows))
    state = np.broadcast_to(numbers[:, None], (n_windows, n_numbers))
    return Windows(state, numbers, np.ones((n_windows, 1)))


def test_all_rows_of_a_table_are_checked():
    x = np.random.default_rng(0).uniform(size=(50, 2))
    rows = mask_missing(x, x[:, 0], None)
    assert few_windows(rows) is rows
    batch = rows.tensors(torch.float32, "cpu")
    assert rows_to_check(batch) is batch.x


@pytest.mark.parametrize(
    ("n_numbers", "n_chosen"),
    [(2, 12), (CHECKED_NUMBERS // 16, 8), (CHECKED_NUMBERS, MIN_CHECKED_WINDOWS)],
)
def test_few_large_windows_are_checked(n_numbers, n_chosen):
    windows = make_windows(12, n_numbers)
    rows = Rows(windows, np.broadcast_to(windows.first_state[:, None], (12, 1, n_numbers)), None)
    few = few_windows(rows)
    assert len(few) == len(few.x.first_state) == n_chosen
    assert few.x.first_time[[0, -1]].tolist() == [0.0, 11.0]
    tensors = Windows(
        *(None if part is None else torch.from_numpy(part.copy()) for part in windows)
    )
    checked = rows_to_check(Batch(tensors, torch.from_numpy(rows.y.copy()), None))
    assert checked.first_time.tolist() == few.x.first_time.tolist()
