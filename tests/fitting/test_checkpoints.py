"""The files of a call in the folder of checkpoints."""

from __future__ import annotations

import os
import re

import pytest

from skhybrid.exceptions import CheckpointError, CheckpointWarning
from skhybrid.fitting.checkpoints import checkpoints_in, open_checkpoints
from skhybrid.runtime.atomic_files import fcntl


def test_without_a_folder_nothing_is_open():
    with checkpoints_in(None, "call") as own:
        assert own is None
        assert open_checkpoints() is None


def test_a_call_without_a_folder_uses_the_one_around_it(tmp_path):
    with checkpoints_in(tmp_path, "search") as search:
        with checkpoints_in(None, "fit") as own:
            assert own is None
            assert open_checkpoints() is search
        with checkpoints_in(tmp_path / "other", "fit") as own:
            assert open_checkpoints() is own
        assert open_checkpoints() is search
    assert open_checkpoints() is None


def test_files_are_removed_at_success_only(tmp_path):
    with pytest.raises(ZeroDivisionError), checkpoints_in(tmp_path, "call") as own:
        seed = own.random_state().randint(1000)
        raise ZeroDivisionError
    assert len(os.listdir(tmp_path)) == 2  # the lock and the seed
    with checkpoints_in(tmp_path, "other call") as other:
        other.random_state()
        assert len(os.listdir(tmp_path)) == 4
    with checkpoints_in(tmp_path, "call") as own:
        own.keep = True
        assert own.random_state().randint(1000) == seed
    assert len(os.listdir(tmp_path)) == 2
    with checkpoints_in(tmp_path, "call") as own:
        assert own.random_state().randint(1000) == seed
    assert os.listdir(tmp_path) == []


def test_a_call_that_fails_at_once_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), checkpoints_in(tmp_path, "call"):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(fcntl is None, reason="the system has no such locks")
def test_the_same_call_at_the_same_time_has_files_of_its_own(tmp_path):
    with checkpoints_in(tmp_path, "call") as first, checkpoints_in(tmp_path, "call") as second:
        states = [own.random_state().randint(10**9) for own in (first, second)]
        assert states[0] != states[1]
        assert len(os.listdir(tmp_path)) == 4
    assert os.listdir(tmp_path) == []


def test_temporary_files_of_a_killed_process_are_removed(tmp_path):
    with pytest.raises(ZeroDivisionError), checkpoints_in(tmp_path, "call") as own:
        own.random_state()
        raise ZeroDivisionError
    (seed,) = tmp_path.glob("*.checkpoint")
    left = seed.with_name(f"{seed.name}.123-456.tmp")
    left.write_text("half")
    (tmp_path / "mine.tmp").write_text("")
    with checkpoints_in(tmp_path, "call"):
        assert not left.exists()
    assert os.listdir(tmp_path) == ["mine.tmp"]


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(CheckpointError, match=f"checkpoint='{re.escape(str(path))}' cannot be"):
        with checkpoints_in(path, "call"):
            pytest.fail("the folder cannot be used")


def test_a_seed_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    with checkpoints_in(tmp_path, "call") as own:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.warns(CheckpointWarning, match="seed of this fit could not be written"):
            own.random_state()


def test_a_name_that_is_no_path_is_an_error():
    with pytest.raises(CheckpointError, match="is no path: embedded null byte"):
        with checkpoints_in("a\0b", "call"):
            pass
    with pytest.raises(CheckpointError, match=r"'' names no folder\. Use None"):
        with checkpoints_in("", "call"):
            pass
