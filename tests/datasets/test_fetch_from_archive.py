"""Files of an archive: found on this computer, or downloaded from a local server."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from pathlib import Path

import pytest

from skhybrid.datasets._fetch_from_archive import ZipArchive, fetch_from_archive
from skhybrid.exceptions import DataNotAvailableError

MEMBERS = {"set_v1/run.csv": "a,b\n1,2\n" * 2000, "set_v1/other.csv": "c\n3\n", "set_v1/no": "-"}


def fetch(archive: ZipArchive, data_home: Path, **options) -> Path:
    return fetch_from_archive(
        archive, "set_v1/run.csv", folder="runs", data_home=data_home, **options
    )


@pytest.fixture
def unreachable(monkeypatch) -> ZipArchive:
    """Return an archive at an address without a server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return ZipArchive(f"http://127.0.0.1:{port}/set_v1.zip", "0" * 32)


@pytest.mark.parametrize("place", ["runs/run.csv", "set_v1/run.csv"])
def test_existing_file_is_found_without_network_or_writing(
    place, tmp_path, unreachable, everything_in
):
    path = tmp_path / place
    path.parent.mkdir()
    path.write_text("mine")
    path.chmod(0o444)
    path.parent.chmod(0o555)
    tmp_path.chmod(0o555)
    before = everything_in(tmp_path)
    try:
        assert fetch(unreachable, tmp_path) == path
        assert everything_in(tmp_path) == before
    finally:
        tmp_path.chmod(0o755)
        path.parent.chmod(0o755)


def test_download_leaves_only_the_files_asked_for(server, tmp_path, monkeypatch, everything_in):
    # The system's temporary folder is not used: moving a file from there is not atomic.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    archive = server.serve_zip(MEMBERS)
    home = tmp_path / "new" / "home"
    path = fetch(archive, home, also=["set_v1/run.csv", "set_v1/other.csv"])
    assert path == home / "set_v1" / "run.csv"
    assert path.read_text() == MEMBERS["set_v1/run.csv"]
    assert everything_in(home) == ["set_v1", "set_v1/other.csv", "set_v1/run.csv"]
    assert server.n_requests == 1


def test_second_fetch_needs_no_network(server, tmp_path):
    archive = server.serve_zip(MEMBERS)
    assert fetch(archive, tmp_path) == fetch(archive, tmp_path)
    assert server.n_requests == 1


def test_error_without_network_says_all_that_helps(unreachable, tmp_path, everything_in):
    with pytest.raises(DataNotAvailableError) as raised:
        fetch(unreachable, tmp_path)
    message = str(raised.value)
    for part in (
        unreachable.url,
        unreachable.md5,
        str(tmp_path / "runs" / "run.csv"),
        str(tmp_path / "set_v1" / "run.csv"),
        "data_home=",
        "SKHYBRID_DATA",
        "the download failed",
    ):
        assert part in message
    assert isinstance(raised.value, OSError)
    assert everything_in(tmp_path) == []


def test_no_download_when_not_wanted(server, tmp_path, everything_in):
    archive = server.serve_zip(MEMBERS)
    with pytest.raises(DataNotAvailableError, match="download_if_missing is False"):
        fetch(archive, tmp_path / "home", download_if_missing=False)
    assert server.n_requests == 0
    assert everything_in(tmp_path) == []


def test_cut_connection_leaves_nothing_and_a_retry_works(server, tmp_path, everything_in):
    archive = server.serve_zip(MEMBERS)
    server.cut_at = len(server.content) // 2
    with pytest.raises(DataNotAvailableError, match="not available"):
        fetch(archive, tmp_path)
    assert everything_in(tmp_path) == []
    server.cut_at = None
    assert fetch(archive, tmp_path).read_text() == MEMBERS["set_v1/run.csv"]


def test_error_of_the_server_is_reported(server, tmp_path, everything_in):
    archive = server.serve_zip(MEMBERS)
    server.status = 503
    with pytest.raises(DataNotAvailableError, match=r"the download failed \(503"):
        fetch(archive, tmp_path)
    assert everything_in(tmp_path) == []


def test_folder_that_cannot_be_written_is_named(server, tmp_path):
    archive = server.serve_zip(MEMBERS)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataNotAvailableError, match="cannot hold the download") as raised:
        fetch(archive, tmp_path / "file" / "home")
    assert str(tmp_path / "file" / "home") in str(raised.value)
    assert server.n_requests == 0


def test_wrong_content_names_both_hashes_and_leaves_nothing(server, tmp_path, everything_in):
    promised = server.serve_zip({"set_v1/run.csv": "the text"})
    served = server.serve_zip({"set_v1/run.csv": "another text"})
    with pytest.raises(DataNotAvailableError, match="has changed") as raised:
        fetch(promised, tmp_path)
    assert promised.md5 in str(raised.value)
    assert served.md5 in str(raised.value)
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("also", [None, []])
def test_archive_without_the_file_is_an_error(also, server, tmp_path, everything_in):
    archive = server.serve_zip({"set_v1/other.csv": "c", "set_v2/run.csv": "d"})
    with pytest.raises(DataNotAvailableError, match=r"no set_v1/run.csv; in set_v1 it has other\)"):
        fetch(archive, tmp_path, also=also)
    assert everything_in(tmp_path) == []


def test_page_instead_of_the_archive_is_an_error(server, tmp_path, everything_in):
    server.content = b"<html>moved</html>"
    archive = ZipArchive(server.url, hashlib.md5(server.content).hexdigest())
    with pytest.raises(DataNotAvailableError, match="cannot be used") as raised:
        fetch(archive, tmp_path)
    for part in ("no zip archive", "<html>moved", archive.url, "data_home=", "set_v1/run.csv"):
        assert part in str(raised.value)
    assert everything_in(tmp_path) == []


def test_known_sha256_sum_decides(server, tmp_path, everything_in):
    archive = server.serve_zip(MEMBERS)
    right = hashlib.sha256(server.content).hexdigest()
    wrong = ZipArchive(archive.url, archive.md5, sha256="0" * 64)
    with pytest.raises(DataNotAvailableError, match="its SHA-256 sum is") as raised:
        fetch(wrong, tmp_path)
    assert f"(SHA-256 {wrong.sha256})" in str(raised.value)
    assert right in str(raised.value)
    assert everything_in(tmp_path) == []
    assert fetch(ZipArchive(archive.url, "0" * 32, sha256=right), tmp_path).is_file()


def test_damaged_member_is_an_error_that_names_it(server, tmp_path, everything_in):
    server.serve_zip({"set_v1/run.csv": "a,b\n1,2\n" * 50})
    content = bytearray(server.content)
    content[50] ^= 255  # in the member's compressed data
    server.content = bytes(content)
    archive = ZipArchive(server.url, hashlib.md5(server.content).hexdigest())
    with pytest.raises(DataNotAvailableError, match=r"run\.csv cannot be unpacked") as raised:
        fetch(archive, tmp_path)
    assert archive.url in str(raised.value)
    assert everything_in(tmp_path) == []
