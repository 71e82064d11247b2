"""CSV files of a zip archive: which are unpacked, where, and all or none."""

from __future__ import annotations

import zipfile

import pytest

from skhybrid.datasets._unpack_zip import unpack_zip

MEMBERS = ["set/run.csv", "set/other.csv", "set/LICENSE.txt", "set/deeper/run.csv", "../out.csv"]


@pytest.fixture
def unpack(tmp_path):
    """Return a function that unpacks an archive to ``home`` and lists the unpacked files."""
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in MEMBERS:
            archive.writestr(name, f"text of {name}")

    def unpack(csv_path, **options):
        home = tmp_path / "home"
        unpack_zip(path, csv_path, home, scratch=tmp_path / "scratch", **options)
        files = {str(p.relative_to(home)): p.read_text() for p in home.rglob("*") if p.is_file()}
        assert all(text == f"text of {name}" for name, text in files.items())
        return sorted(files)

    return unpack


def test_all_csv_files_of_the_folder_are_unpacked(unpack, tmp_path):
    assert unpack("set/run.csv") == ["set/other.csv", "set/run.csv"]
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("also", [[], ["set/other.csv"]])
def test_only_the_files_asked_for_are_unpacked(also, unpack):
    assert unpack("set/run.csv", also=also) == [*also, "set/run.csv"]


@pytest.mark.parametrize(
    ("csv_path", "also", "complaint"),
    [
        ("set/no.csv", None, "no set/no.csv; in set it has run, other"),
        ("set/run.csv", ["set/no.csv"], "no set/no.csv; in set it has run, other"),
        ("empty/run.csv", None, "in empty it has no CSV files"),
    ],
)
def test_missing_file_is_named_and_nothing_is_moved(csv_path, also, complaint, unpack, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        unpack(csv_path, also=also)
    assert not (tmp_path / "home").exists()


def test_file_that_is_no_zip_archive_is_an_error(tmp_path):
    path = tmp_path / "archive.zip"
    path.write_text("<html>moved</html>")
    with pytest.raises(ValueError, match=r"archive.zip is no zip archive .*begins with b'<html>"):
        unpack_zip(path, "set/run.csv", tmp_path, scratch=tmp_path / "scratch")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_member_is_named_and_nothing_is_moved(compression, tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("set/run.csv", "1,2\n" * 50 + "the end")
    content = bytearray(path.read_bytes())
    content[45] ^= 255  # in the member's data, behind its header of 41 bytes
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"set/run\.csv cannot be unpacked"):
        unpack_zip(path, "set/run.csv", tmp_path / "home", scratch=tmp_path / "scratch")
    assert not (tmp_path / "home").exists()
