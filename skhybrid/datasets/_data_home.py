"""The folder on this computer that holds measured data sets."""

from __future__ import annotations

import os
from pathlib import Path

DATA_HOME_VARIABLE = "SKHYBRID_DATA"


def find_data_home(data_home: str | os.PathLike | None = None) -> Path:
    """Return the folder that holds measured data sets.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder. ``None`` means the environment variable ``SKHYBRID_DATA``. If the variable is
        not set or empty, it means the user's cache folder, the place for downloads on every
        operating system.

    Returns
    -------
    pathlib.Path
        The absolute path of the folder. The folder need not exist.

    Examples
    --------
    >>> from skhybrid.datasets._data_home import find_data_home
    >>> find_data_home("my_data").name
    'my_data'
    """
    if data_home is None:
        data_home = os.environ.get(DATA_HOME_VARIABLE) or None
    if data_home is None:
        import pooch

        data_home = pooch.os_cache("skhybrid")
    return Path(data_home).expanduser().absolute()
