"""Read published CSV files and report faulty ones."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from skhybrid.exceptions import DataNotAvailableError


def read_csv(
    path: Path | Traversable, names: Sequence[str], *, remedy: str, allow_empty: bool = False
) -> np.ndarray:
    """Read columns of a comma-separated file with a header line.

    The reader ignores quotes and spaces around values, commas at line ends, empty rows and other
    columns.

    Parameters
    ----------
    path : pathlib.Path or importlib.resources.abc.Traversable
        The file.
    names : sequence of str
        Names of the columns to read, in the order of the result.
    remedy : str
        Sentence that says how to replace a faulty file, for the error message.
    allow_empty : bool, default=False
        Whether an empty cell is NaN. Otherwise it is an error.

    Returns
    -------
    ndarray of shape (n_rows, len(names))
        The columns, float64.

    Raises
    ------
    DataNotAvailableError
        If the file is no text or cannot be opened, or a column is missing or holds anything but
        numbers.
    """
    try:
        table = _read_columns(path, names, remedy, allow_empty)
    except DataNotAvailableError:
        raise
    except (ValueError, csv.Error, OSError) as error:  # also UnicodeDecodeError
        raise faulty_file(path, f"cannot be read ({error})", remedy) from error
    table = table.reshape(-1, len(names))
    return table[~np.isnan(table).all(axis=1)]


def _read_columns(
    path: Path | Traversable, names: Sequence[str], remedy: str, allow_empty: bool
) -> np.ndarray:
    """Read columns; raise a DataNotAvailableError if one is missing."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = [name.strip() for name in next(csv.reader(file, skipinitialspace=True), [])]
        missing = [name for name in names if name not in header]
        if missing:
            raise faulty_file(path, f"has no column {', '.join(missing)}", remedy)
        # loadtxt warns if there are no rows.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return np.loadtxt(
                file,
                delimiter=",",
                quotechar='"',
                comments=None,
                usecols=[header.index(name) for name in names],
                converters=(lambda cell: float(cell.strip() or "nan")) if allow_empty else None,
                ndmin=2,
            )


def check_row_count(table: np.ndarray, n_rows: int, path: Path, *, remedy: str) -> None:
    """Raise a DataNotAvailableError unless a table has all published rows."""
    if len(table) != n_rows:
        raise faulty_file(
            path,
            f"is incomplete: it has {len(table)} rows, the published data have {n_rows}",
            remedy,
        )


def faulty_file(path: Path | Traversable, fault: str, remedy: str) -> DataNotAvailableError:
    """Return the error that names a file, its fault and how to replace it."""
    return DataNotAvailableError(f"{path} {fault}. {remedy}")
