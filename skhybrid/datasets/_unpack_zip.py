"""Unpack CSV files of a zip archive."""

from __future__ import annotations

import os
import zipfile
import zlib
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
        If the file is not a zip archive, or the archive lacks one of the files or cannot unpack it.
    """
    folder = PurePosixPath(csv_path).parent
    with _opened(path) as archive:
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
        unpacked = {name: _extracted(archive, name, scratch) for name in wanted}
    for name, unpacked_path in unpacked.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(unpacked_path, home / name)


def _opened(path: Path) -> zipfile.ZipFile:
    """Open a zip archive; raise a ValueError that shows how another file begins."""
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        with path.open("rb") as file:
            begin = file.read(40)
        raise ValueError(
            f"{path.name} is no zip archive ({str(error).rstrip('.')}): it has "
            f"{path.stat().st_size} bytes and begins with {begin!r}"
        ) from error


def _extracted(archive: zipfile.ZipFile, name: str, folder: Path) -> str:
    """Unpack one file; raise a ValueError that names it if its content is damaged."""
    try:
        return archive.extract(name, folder)
    # RuntimeError and NotImplementedError: encrypted, or compressed by an unknown method.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"the archive's {name} cannot be unpacked: {error}") from error
