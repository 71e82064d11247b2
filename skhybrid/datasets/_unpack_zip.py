"""Unpack CSV files of a zip archive."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath


def unpack_zip(
    path: Path, csv_path: str, home: Path, *, scratch: Path, also: Iterable[str] | None = None
) -> None:
    """Unpack CSV files of a zip archive, all or none.

    The files are unpacked in a temporary folder and moved when all of them are complete.

    Parameters
    ----------
    path : pathlib.Path
        The zip archive.
    csv_path : str
        Path of a CSV file inside the archive, for example ``"set_v1/run.csv"``.
    home : pathlib.Path
        Folder to unpack to. The file becomes ``<home>/set_v1/run.csv``.
    scratch : pathlib.Path
        Temporary folder on the same file system as ``home``, so that moving a file is atomic.
    also : iterable of str or None, default=None
        Further CSV files to unpack, in the archive's folder of ``csv_path``. ``None`` means all CSV
        files there.

    Raises
    ------
    ValueError
        If the archive lacks one of the files.
    zipfile.BadZipFile
        If the file is not a zip archive.
    """
    folder = PurePosixPath(csv_path).parent
    with zipfile.ZipFile(path) as archive:
        tables = [
            name
            for name in archive.namelist()
            if PurePosixPath(name).parent == folder and name.endswith(".csv")
        ]
        wanted = dict.fromkeys([csv_path, *(tables if also is None else also)])
        for name in wanted:
            if name not in tables:
                names = ", ".join(PurePosixPath(table).stem for table in tables) or "no CSV files"
                raise ValueError(f"the archive has no {name}; in {folder} it has {names}")
        unpacked = {name: archive.extract(name, scratch) for name in wanted}
    for name, unpacked_path in unpacked.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(unpacked_path, home / name)
