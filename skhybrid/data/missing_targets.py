"""Mask missing targets: NaN in y gets weight zero, and rows without a target are dropped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skhybrid.data.given_arrays import columns_named
from skhybrid.data.rows import Rows
from skhybrid.model.batch import Windows, select_rows


@contextlib.contextmanager
def mask_suggested(y: Any = None) -> Iterator[None]:
    """Name the option for missing targets, and the first of them, in the error about NaN in y."""
    try:
        yield
    except ValueError as error:
        text = str(error)
        if "contains NaN" in text and not text.startswith("Input X "):
            raise ValueError(
                f"y contains NaN{_first_missing(y)}. If these values are missing, set "
                "missing_targets='mask'. Otherwise fill them in, or leave the rows out."
            ) from error
        raise


def _first_missing(y: Any) -> str:
    """Return how many rows of a table's target hold NaN, and the first; an empty text if unknown.

    Parameters
    ----------
    y : array-like or None
    """
    try:
        missing = np.isnan(np.asarray(y, dtype=np.float64))
    except (TypeError, ValueError):  # lists of arrays, texts
        return ""
    if missing.ndim == 0:
        return ""
    rows = np.flatnonzero(missing.reshape(len(missing), -1).any(axis=1))
    return f" in {len(rows)} of {len(missing)} rows; the first is row {rows[0]}" * (len(rows) > 0)


def read_table_targets(y: Any) -> np.ndarray:
    """Return the targets of a table in float64; NaN is a missing target."""
    with columns_named(y=y):
        return check_array(
            y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y"
        )


def mask_missing(
    x: np.ndarray | Windows,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    *,
    keep_empty: bool = False,
) -> Rows:
    """Return the rows with a weight and a target; missing targets get weight zero.

    Parameters
    ----------
    x : array of shape (n, n_features), or Windows of arrays
    y : array of shape (n,), (n, n_targets) or, for windows, (n, n_times, *output_shape)
        NaN where a target is missing.
    sample_weight : array of shape (n,) or None
    keep_empty : bool, default=False
        Whether to keep rows without any target.

    Raises
    ------
    ValueError
        If a weight is negative, or nothing is left to fit.
    """
    missing = np.isnan(y)
    if sample_weight is not None:
        if np.any(sample_weight < 0):
            raise ValueError(
                f"sample_weight must not be negative; its smallest is {sample_weight.min()}."
            )
        if not sample_weight.any():
            raise ValueError("sample_weight is zero for every row: there is nothing to fit.")
    else:
        sample_weight = np.ones(len(y))
    kept = sample_weight > 0
    if not keep_empty:
        kept &= ~missing.reshape(len(y), -1).all(axis=1)
    if not kept.any() or missing[kept].all():
        raise ValueError("Every target is missing: there is nothing to fit.")
    kept = np.flatnonzero(kept)
    x, y, missing = select_rows(x, kept), y[kept], missing[kept]
    sample_weight = sample_weight[kept]
    empty = np.flatnonzero(missing.all(axis=0)) if y.ndim == 2 else ()
    if len(empty):
        raise ValueError(f"Target column {empty[0]} is missing in every row; leave it out of y.")
    weight = None
    if missing.any() or np.ptp(sample_weight) > 0:
        weight = sample_weight.reshape(-1, *[1] * (y.ndim - 1)) * ~missing
        weight = weight / weight.mean()
    return Rows(x, np.where(missing, 0.0, y), weight, kept=kept)
