"""Files that are whole or absent, and a lock for those who use the same ones."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: then nobody is kept out
    fcntl = None

TEMPORARY = ".tmp"
DAMAGED = ".damaged"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that, at any moment, its name has the old content or the new one.

    The content goes to a temporary file in the same folder, which is then renamed. Both file and
    folder are flushed to the disk. If anything fails, nothing is left behind.

    Parameters
    ----------
    path : Path
    content : bytes
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}{TEMPORARY}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # an interrupt too
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can do this."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def set_aside(path: Path) -> Path:
    """Rename a file to ``….damaged`` (numbered if there is one already); return the new path."""
    number, aside = 1, path.with_name(path.name + DAMAGED)
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{DAMAGED}{number}")
    os.replace(path, aside)
    return aside


class FileLock:
    """A lock that belongs to one process and ends with it, even if the process is killed.

    Parameters
    ----------
    path : Path
        An empty file that is created, and removed at the release.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free; return whether it was.

        Without room for its file, or on a file system without locks, it counts as free.
        """
        while True:
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError:  # a full disk
                return True
            try:
                if fcntl is not None:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                    self._descriptor = descriptor
                    return True
                os.close(descriptor)  # the holder before has removed this file
            except FileNotFoundError:
                os.close(descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:
                self._descriptor = descriptor
                return True

    def release(self, *, remove: bool) -> None:
        """Give the lock back, and remove its file if asked to."""
        if self._descriptor is None:
            return
        if remove:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None
