"""Archives that their publishers re-issue at times: what changed is said, and may be accepted."""

from __future__ import annotations

import os
import tempfile
import warnings
import zipfile
from pathlib import Path, PurePosixPath

from skhybrid.datasets._fetch import (
    ZipArchive,
    find_data_home,
    first_file,
    not_available,
    places_of,
    unpack,
)
from skhybrid.exceptions import DataNotAvailableError


def fetch_table(
    archive: ZipArchive,
    member: str,
    *,
    folder: str,
    data_home: str | os.PathLike | None = None,
    accept_changed: bool = False,
    download_if_missing: bool = True,
) -> Path:
    """Return the path of one table of an archive, downloading the archive where necessary.

    A download unpacks all tables of the archive, so that it is downloaded once. It is unpacked in
    a temporary folder beside its goal and moved into place when it is complete.

    Parameters
    ----------
    archive : ZipArchive
        The archive that holds the table.
    member : str
        Path of the table inside the archive, for example ``"set_v1/run.csv"``.
    folder : str
        skhybrid's name for the data set. ``<data_home>/<folder>/run.csv`` is looked for first,
        then ``<data_home>/set_v1/run.csv``, which is where the archive unpacks to.
    data_home : str, path-like or None, default=None
        See :func:`skhybrid.datasets._fetch.find_data_home`.
    accept_changed : bool, default=False
        Whether to use an archive whose MD5 sum is another than the one known here, with a warning;
        otherwise it is an error.
    download_if_missing : bool, default=True
        Whether to download what is not there; otherwise it is an error.

    Returns
    -------
    pathlib.Path
        Path of the table.

    Raises
    ------
    DataNotAvailableError
        If the table is not there and cannot be, or may not be, downloaded; if the archive has
        changed, with both sums; or if it does not hold the table.

    Warns
    -----
    UserWarning
        If the archive has changed and was accepted, with both sums.
    """
    home = find_data_home(data_home)
    places = places_of(member, folder=folder, home=home)
    found = first_file(places)
    if found is not None:
        return found

    def error(reason: str) -> DataNotAvailableError:
        return not_available(reason, archive, places)

    if not download_if_missing:
        raise error("download_if_missing is False")
    from requests.exceptions import RequestException

    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".download-") as scratch:
            zipped, md5 = _download(archive, Path(scratch))
            if md5 != archive.md5:
                changed = f"the archive has changed: its MD5 sum is {md5}, not {archive.md5}"
                if not accept_changed:
                    raise error(
                        f"{changed}. Its publishers re-issue archives at times; pass "
                        f"accept_changed=True if you trust {archive.url}, and mind that results "
                        f"may differ from those with the archive known here"
                    )
                warnings.warn(f"{archive.url}: {changed}. It was accepted.", stacklevel=4)
            _unpack(zipped, member, Path(scratch) / "unpacked", home)
    except RequestException as failure:
        raise error(f"the download failed ({failure})") from failure
    except (zipfile.BadZipFile, KeyError) as failure:
        raise error(f"what was downloaded cannot be used ({failure.args[0]})") from failure
    except DataNotAvailableError:
        raise
    except OSError as failure:
        raise error(f"{home} cannot hold the download ({failure})") from failure
    return home / member


def _download(archive: ZipArchive, scratch: Path) -> tuple[Path, str]:
    """Download the archive; return its path and its MD5 sum."""
    import pooch

    path = scratch / "archive.zip"
    pooch.HTTPDownloader()(archive.url, str(path), None)
    return path, pooch.file_hash(str(path), alg="md5")


def _unpack(zipped: Path, member: str, scratch: Path, home: Path) -> None:
    """Move the tables that lie beside ``member`` in the archive to their places under ``home``."""
    beside = PurePosixPath(member).parent
    with zipfile.ZipFile(zipped) as opened:
        tables = [
            name
            for name in opened.namelist()
            if PurePosixPath(name).parent == beside and name.endswith(".csv")
        ]
        if member not in tables:
            names = ", ".join(PurePosixPath(name).stem for name in tables) or "no tables at all"
            raise KeyError(f"the archive has no {member}; in {beside} it has {names}")
        unpack(opened, tables, scratch, home)
