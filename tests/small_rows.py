"""Random rows of a table, for tests of the data room."""

from __future__ import annotations

import numpy as np

from skhybrid.data.missing_targets import mask_missing
from skhybrid.data.rows import Rows


def make_rows(n_rows: int = 6, *, weight=None, n_targets: int | None = None) -> Rows:
    """Return rows with three columns, and one target or several."""
    random_state = np.random.RandomState(0)
    x = random_state.normal(5.0, 2.0, size=(n_rows, 3))
    y = random_state.normal(-3.0, 0.5, size=(n_rows,) if n_targets is None else (n_rows, n_targets))
    return mask_missing(x, y, weight)
