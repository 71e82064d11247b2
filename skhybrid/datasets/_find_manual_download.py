"""Find a file that the user must download by hand, because it has no stable address."""

from __future__ import annotations

import os
from pathlib import Path

from skhybrid.datasets._data_home import DATA_HOME_VARIABLE, find_data_home
from skhybrid.exceptions import DataNotAvailableError


def find_manual_download(
    name: str, *, folder: str, doi: str, contents: str, data_home: str | os.PathLike | None = None
) -> Path:
    """Return the path of a file that the user has put into the data folder.

    Parameters
    ----------
    name : str
        Name of the file.
    folder : str
        skhybrid's name of the data set. The file is ``<data_home>/<folder>/<name>``.
    doi : str
        DOI of the published data set, for the error message.
    contents : str
        Sentence that says which published file is needed, for the error message.
    data_home : str, path-like or None, default=None
        See :func:`skhybrid.datasets._data_home.find_data_home`.

    Returns
    -------
    pathlib.Path
        Path of the file.

    Raises
    ------
    DataNotAvailableError
        If the file does not exist. The message says where to get it and where to put it.
    """
    path = find_data_home(data_home) / folder / name
    if path.is_file():
        return path
    raise DataNotAvailableError(
        f"The data set is not available: the file {path} does not exist. skhybrid cannot download "
        f"it, because it has no stable address. Get it from https://doi.org/{doi}: {contents} "
        f"Put it at {path}, or name another folder that holds {folder}/{name} with data_home= or "
        f"the environment variable {DATA_HOME_VARIABLE}."
    )
