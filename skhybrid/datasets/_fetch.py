"""Where measured data lives on this computer, and how it gets there."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from skhybrid.exceptions import DataNotAvailableError

DATA_HOME_VARIABLE = "SKHYBRID_DATA"


@dataclass(frozen=True)
class ZipArchive:
    """A published zip archive.

    Parameters
    ----------
    url : str
        Address of the archive.
    md5 : str
        MD5 sum of the archive, in hexadecimal digits, as its publishers state it.
    """

    url: str
    md5: str


def find_data_home(data_home: str | os.PathLike | None = None) -> Path:
    """Return the folder in which data sets are looked for and kept.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder. ``None`` takes the environment variable ``SKHYBRID_DATA`` and, where that is
        not set or empty, the user's cache folder, which is where downloads belong on every
        operating system.

    Returns
    -------
    pathlib.Path
        The folder, absolute. It need not exist.

    Examples
    --------
    >>> from skhybrid.datasets._fetch import find_data_home
    >>> find_data_home("my_data").name
    'my_data'
    """
    if data_home is None:
        data_home = os.environ.get(DATA_HOME_VARIABLE) or None
    if data_home is None:
        import pooch

        data_home = pooch.os_cache("skhybrid")
    return Path(data_home).expanduser().absolute()


def fetch_member(
    archive: ZipArchive,
    member: str,
    *,
    folder: str,
    data_home: str | os.PathLike | None = None,
    also: Iterable[str] = (),
    download_if_missing: bool = True,
) -> Path:
    """Return the path of one file of an archive, downloading the archive where necessary.

    A file that is there is only read, so the folder may be read-only. A download is unpacked in a
    temporary folder beside its goal and moved into place when it is complete, so that a download
    that fails leaves nothing and can be repeated.

    Parameters
    ----------
    archive : ZipArchive
        The archive that holds the file.
    member : str
        Path of the file inside the archive, for example ``"set_v1/run.csv"``.
    folder : str
        skhybrid's name for the data set. ``<data_home>/<folder>/run.csv`` is looked for first,
        then ``<data_home>/set_v1/run.csv``, which is where the archive unpacks to.
    data_home : str, path-like or None, default=None
        See :func:`find_data_home`.
    also : iterable of str, default=()
        Further files to unpack when the archive is downloaded, so that it is downloaded once.
    download_if_missing : bool, default=True
        Whether to download what is not there; otherwise it is an error.

    Returns
    -------
    pathlib.Path
        Path of the file.

    Raises
    ------
    DataNotAvailableError
        If the file is not there and cannot be, or may not be, downloaded; or if what was
        downloaded is not the published archive.
    """
    home = find_data_home(data_home)
    places = places_of(member, folder=folder, home=home)
    found = first_file(places)
    if found is not None:
        return found
    if not download_if_missing:
        raise not_available("download_if_missing is False", archive, places)
    _download(archive, dict.fromkeys([member, *also]), home, places)
    return home / member


def places_of(member: str, *, folder: str, home: Path) -> tuple[Path, ...]:
    """Return where a file of an archive may lie: in skhybrid's folder, or as it was unpacked."""
    return (home / folder / Path(member).name, home / member)


def first_file(places: Iterable[Path]) -> Path | None:
    """Return the first of the places at which there is a file."""
    return next((place for place in places if place.is_file()), None)


def unpack(opened: zipfile.ZipFile, members: Iterable[str], scratch: Path, home: Path) -> None:
    """Unpack members of an archive in ``scratch``; move them to ``home`` when all are there."""
    unpacked = {member: Path(opened.extract(member, scratch)) for member in members}
    for member, path in unpacked.items():
        (home / member).parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, home / member)


def _download(
    archive: ZipArchive, members: Iterable[str], home: Path, places: tuple[Path, ...]
) -> None:
    """Download the archive and move the given members to their places under ``home``."""
    import pooch
    from requests.exceptions import RequestException

    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".download-") as scratch:
            archive_path = pooch.retrieve(
                archive.url,
                known_hash=f"md5:{archive.md5}",
                fname=archive.url.rsplit("/", 1)[-1],
                path=scratch,
            )
            with zipfile.ZipFile(archive_path) as opened:
                unpack(opened, members, Path(scratch), home)
    except RequestException as error:
        raise not_available(f"the download failed ({error})", archive, places) from error
    except ValueError as error:  # pooch names both hashes, the expected and the one it got
        raise not_available(
            f"what was downloaded is not the published file ({error})", archive, places
        ) from error
    except OSError as error:
        raise not_available(
            f"{home} cannot hold the download ({error})", archive, places
        ) from error


def not_available(
    reason: str, archive: ZipArchive, places: tuple[Path, ...]
) -> DataNotAvailableError:
    """Return the error that says what is missing, why, and what a person can do."""
    return DataNotAvailableError(
        f"The data set is not available: none of the files {', '.join(map(str, places))} exists, "
        f"and {reason}. Either try again with a connection to {archive.url} (MD5 {archive.md5}), "
        "or download and unpack that archive yourself and name the folder it lies in with "
        f"data_home= or the environment variable {DATA_HOME_VARIABLE}."
    )
