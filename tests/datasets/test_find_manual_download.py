"""A file that the user downloads by hand: found, or asked for."""

from __future__ import annotations

import pytest

from skhybrid.datasets._find_manual_download import find_manual_download
from skhybrid.exceptions import DataNotAvailableError

OPTIONS = {"folder": "set", "doi": "10.1/2", "contents": "the archive holds run.csv."}


def test_file_is_found_in_the_folder_of_the_data_set(tmp_path, monkeypatch):
    path = tmp_path / "set" / "run.csv"
    path.parent.mkdir()
    path.touch()
    assert find_manual_download("run.csv", data_home=tmp_path, **OPTIONS) == path
    monkeypatch.setenv("SKHYBRID_DATA", str(tmp_path))
    assert find_manual_download("run.csv", **OPTIONS) == path


def test_error_says_where_to_get_the_file_and_where_to_put_it(tmp_path):
    with pytest.raises(DataNotAvailableError) as raised:
        find_manual_download("run.csv", data_home=tmp_path, **OPTIONS)
    for part in (
        "https://doi.org/10.1/2",
        "the archive holds run.csv.",
        str(tmp_path / "set" / "run.csv"),
        "data_home=",
        "SKHYBRID_DATA",
    ):
        assert part in str(raised.value)
    assert isinstance(raised.value, OSError)
    assert list(tmp_path.iterdir()) == []
