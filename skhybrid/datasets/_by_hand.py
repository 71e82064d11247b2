"""Measured data sets without a stable address: a person downloads them, skhybrid finds them."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skhybrid.datasets._fetch import DATA_HOME_VARIABLE, find_data_home
from skhybrid.exceptions import DataNotAvailableError


def find_file(
    name: str, *, folder: str, doi: str, what: str, data_home: str | os.PathLike | None = None
) -> Path:
    """Return the path of a file that a person has put into the data folder.

    Parameters
    ----------
    name : str
        Name of the file.
    folder : str
        skhybrid's name for the data set; the file is ``<data_home>/<folder>/<name>``.
    doi : str
        Where the data set is published, for the error.
    what : str
        A sentence that says what to take from there, for the error.
    data_home : str, path-like or None, default=None
        See :func:`skhybrid.datasets._fetch.find_data_home`.

    Returns
    -------
    pathlib.Path
        Path of the file.

    Raises
    ------
    DataNotAvailableError
        If the file is not there. It says where a person gets it and where to put it.
    """
    path = find_data_home(data_home) / folder / name
    if path.is_file():
        return path
    raise DataNotAvailableError(
        f"The data set is not available: there is no file {path}, and skhybrid cannot download it, "
        f"because it is not published at a stable address. Get it from https://doi.org/{doi}: "
        f"{what} Put it at {path}, or name another folder that holds {folder}/{name} with "
        f"data_home= or the environment variable {DATA_HOME_VARIABLE}."
    )


def read_numbers(path: Path, names: Sequence[str], *, remedy: str) -> np.ndarray:
    """Read columns of a small comma-separated file with a header; what is empty becomes NaN.

    Quotes and spaces around the names, commas at the ends of the lines, blank lines and other
    columns do not matter.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    names : sequence of str
        Names of the columns wanted, in the order wanted.
    remedy : str
        What to do where the file cannot be used, for the error.

    Returns
    -------
    ndarray of shape (n_rows, len(names))
        The columns, float64.

    Raises
    ------
    DataNotAvailableError
        If a column is not there, or holds something other than numbers.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        header, *rows = [row for row in csv.reader(file, skipinitialspace=True) if any(row)] or [[]]
    header = [name.strip() for name in header]
    missing = [name for name in names if name not in header]
    if missing:
        raise DataNotAvailableError(
            f"{path} is not the published file: it has no column {', '.join(missing)}. {remedy}"
        )
    columns = [header.index(name) for name in names]
    try:
        return np.array(
            [[float(row[column].strip() or "nan") for column in columns] for row in rows]
        ).reshape(-1, len(names))
    except (ValueError, IndexError) as error:
        raise DataNotAvailableError(f"{path} cannot be read ({error}). {remedy}") from error
