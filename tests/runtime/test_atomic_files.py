"""Files are whole or absent, and a lock ends with its process."""

from __future__ import annotations

import os

import pytest

from skhybrid.runtime.atomic_files import FileLock, fcntl, set_aside, write_atomically


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "state"
    for content in (b"first", b"second, longer"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["state"]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_else(fails, error, monkeypatch, tmp_path):
    path = tmp_path / "state"
    write_atomically(path, b"old")

    def failing(*args):
        raise error

    monkeypatch.setattr(os, fails, failing)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state"]


def test_damaged_files_are_all_kept(tmp_path):
    path = tmp_path / "state"
    for content in (b"one", b"two", b"three"):
        path.write_bytes(content)
        assert set_aside(path).read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["state.damaged", "state.damaged2", "state.damaged3"]


@pytest.mark.skipif(fcntl is None, reason="the system has no such locks")
def test_only_one_holds_a_lock(tmp_path):
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    first.release(remove=True)
    assert os.listdir(tmp_path) == []
    assert second.acquire()
    second.release(remove=False)
    assert os.listdir(tmp_path) == ["lock"]
    assert first.acquire()
    first.release(remove=True)


def test_without_room_for_the_file_a_lock_is_free(tmp_path):
    lock = FileLock(tmp_path / "missing" / "lock")
    assert lock.acquire()
    lock.release(remove=True)
