"""Published tables: read by the names of their columns, and checked to be whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skhybrid.exceptions import DataNotAvailableError


def read_columns(path: Path, names: Sequence[str], *, n_rows: int, url: str) -> np.ndarray:
    """Read columns of a comma-separated file with a header line.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    names : sequence of str
        Names of the columns wanted, in the order wanted. The others may hold anything.
    n_rows : int
        How many rows the published file has.
    url : str
        Where the published file is, for the error.

    Returns
    -------
    ndarray of shape (n_rows, len(names))
        The columns, float64.

    Raises
    ------
    DataNotAvailableError
        If a column is not there, holds something other than numbers, or if rows are missing.
    """
    remedy = f"Delete it, or get it again from {url}."
    with open(path, encoding="utf-8") as file:
        header = file.readline().strip().split(",")
        missing = [name for name in names if name not in header]
        if missing:
            raise DataNotAvailableError(
                f"{path} is not the published file: it has no column {', '.join(missing)}. {remedy}"
            )
        columns = [header.index(name) for name in names]
        try:
            table = np.loadtxt(file, delimiter=",", usecols=columns, ndmin=2)
        except ValueError as error:
            raise DataNotAvailableError(f"{path} cannot be read ({error}). {remedy}") from error
    if len(table) != n_rows:
        raise DataNotAvailableError(
            f"{path} is not whole: it has {len(table)} rows, the published file has {n_rows}. "
            f"{remedy}"
        )
    return table
