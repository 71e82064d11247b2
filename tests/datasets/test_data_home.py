"""The data folder: which folder is used, and that nothing is created."""

from __future__ import annotations

from pathlib import Path

import pooch

from skhybrid.datasets._data_home import find_data_home


def test_argument_goes_before_variable_goes_before_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SKHYBRID_DATA", str(tmp_path / "variable"))
    assert find_data_home(tmp_path / "argument") == tmp_path / "argument"
    assert find_data_home(str(tmp_path / "argument")) == tmp_path / "argument"
    assert find_data_home() == tmp_path / "variable"
    monkeypatch.setenv("SKHYBRID_DATA", "")
    assert find_data_home() == Path(pooch.os_cache("skhybrid"))
    monkeypatch.delenv("SKHYBRID_DATA")
    assert find_data_home() == Path(pooch.os_cache("skhybrid"))


def test_home_folder_is_expanded_and_nothing_is_created(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert find_data_home("~/sets") == tmp_path / "sets"
    assert list(tmp_path.iterdir()) == []
