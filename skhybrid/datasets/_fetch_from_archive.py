"""Find a file of a published zip archive on this computer, or download the archive."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from skhybrid.datasets._check_hash import check_hash
from skhybrid.datasets._data_home import DATA_HOME_VARIABLE, find_data_home
from skhybrid.datasets._unpack_zip import unpack_zip
from skhybrid.exceptions import DataNotAvailableError


@dataclass(frozen=True)
class ZipArchive:
    """A published zip archive.

    Parameters
    ----------
    url : str
        Address of the archive.
    md5 : str
        MD5 sum of the archive, in hexadecimal digits, as its publishers state it.
    sha256 : str or None, default=None
        SHA-256 sum of the archive. ``None`` means that it is not known: then the MD5 sum decides.
    """

    url: str
    md5: str
    sha256: str | None = None

    @property
    def described_hash(self) -> str:
        """The sum that decides, with its name."""
        return f"MD5 {self.md5}" if self.sha256 is None else f"SHA-256 {self.sha256}"


def fetch_from_archive(
    archive: ZipArchive,
    csv_path: str,
    *,
    folder: str,
    data_home: str | os.PathLike | None = None,
    also: Iterable[str] | None = None,
    accept_changed: bool | None = None,
    download_if_missing: bool = True,
) -> Path:
    """Return the path of a CSV file of an archive; download the archive if necessary.

    An existing file is only read, so the folder may be read-only. A download is unpacked in a
    temporary folder inside the data folder, and its files are moved when all of them are complete.
    A failed download leaves nothing behind and can be repeated.

    Parameters
    ----------
    archive : ZipArchive
        The archive that holds the file.
    csv_path : str
        Path of the file inside the archive, for example ``"set_v1/run.csv"``.
    folder : str
        skhybrid's name of the data set. skhybrid looks for ``<data_home>/<folder>/run.csv`` first,
        then for ``<data_home>/set_v1/run.csv``, the place to which the archive unpacks.
    data_home : str, path-like or None, default=None
        See :func:`skhybrid.datasets._data_home.find_data_home`.
    also : iterable of str or None, default=None
        Further files to unpack, so that the archive is downloaded once. ``None`` means all CSV
        files in the archive's folder of ``csv_path``.
    accept_changed : bool or None, default=None
        Whether to accept an archive with another SHA-256 or MD5 sum, with a warning. ``None`` means
        an error that does not offer this choice.
    download_if_missing : bool, default=True
        Whether to download a missing file. Otherwise a missing file is an error.

    Returns
    -------
    pathlib.Path
        Path of the file.

    Raises
    ------
    DataNotAvailableError
        If the file does not exist and ``download_if_missing`` is false, the download fails, the
        archive has another SHA-256 or MD5 sum, is no zip archive, lacks the file or cannot be
        unpacked.

    Warns
    -----
    UserWarning
        If the archive has another sum and ``accept_changed`` is true.
    """
    home = find_data_home(data_home)
    places = (home / folder / Path(csv_path).name, home / csv_path)
    for place in places:
        if place.is_file():
            return place

    def not_available(reason: str) -> DataNotAvailableError:
        return DataNotAvailableError(
            f"The data set is not available: none of the files {', '.join(map(str, places))} "
            f"exists, and {reason}. Either try again with a connection to {archive.url} "
            f"({archive.described_hash}), or download and unpack that archive yourself and "
            f"name its folder with data_home= or the environment variable {DATA_HOME_VARIABLE}."
        )

    if not download_if_missing:
        raise not_available("download_if_missing is False")
    import pooch
    from requests.exceptions import RequestException

    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".download-") as scratch:
            path = Path(scratch) / "archive.zip"
            pooch.get_logger().info("Downloading data from '%s'.", archive.url)
            pooch.HTTPDownloader()(archive.url, str(path), None)
            check_hash(
                path,
                md5=archive.md5,
                sha256=archive.sha256,
                url=archive.url,
                accept_changed=accept_changed,
            )
            unpack_zip(path, csv_path, home, scratch=Path(scratch) / "unpacked", also=also)
    except RequestException as error:
        raise not_available(f"the download failed ({error})") from error
    except ValueError as error:
        raise not_available(f"the download cannot be used ({error})") from error
    except OSError as error:
        raise not_available(f"{home} cannot hold the download ({error})") from error
    return home / csv_path
