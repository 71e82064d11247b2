"""The folder of checkpoints: which files belong to a call of ``fit``, and when they are removed.

A call has a name, the fingerprint of its data and settings. All its files begin with this name:
the lock, the seed that was drawn if ``random_state`` is None, and a file for each training. A
second call with the same name that runs at the same time gets a name of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skhybrid.exceptions import CheckpointError, CheckpointWarning
from skhybrid.runtime.atomic_files import DAMAGED, TEMPORARY, FileLock, write_atomically
from skhybrid.runtime.fingerprint import Fingerprints, source_version
from skhybrid.runtime.state_files import pack_state
from skhybrid.runtime.user_warnings import warn
from skhybrid.training import checkpoint as training_checkpoint
from skhybrid.training.checkpoint import CheckpointFile, read_checkpoint
from skhybrid.training.problem import Fit

SUFFIX = ".checkpoint"
# Digits of a fingerprint in a file name; the file holds all of them.
NAME_DIGITS = 16
# The disk is full: a reason to go on without checkpoints.
_NO_SPACE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

_open: ContextVar[Checkpoints | None] = ContextVar("checkpoints", default=None)


class Checkpoints:
    """The checkpoints of one call of ``fit``, of an estimator or a search.

    Parameters
    ----------
    folder : Path
        Exists.
    fingerprint : str
        Fingerprint of the data and the settings of the call.
    many_fits : bool
        Whether the call makes many fits, whose results are kept until all are finished.

    Attributes
    ----------
    keep : bool
        Whether the files stay although the call succeeds.
    """

    def __init__(self, folder: Path, fingerprint: str, *, many_fits: bool = False) -> None:
        self.folder = folder
        self.many_fits = many_fits
        self.keep = False
        self._fingerprint = fingerprint
        self._name, self._lock = self._claim()
        for path in self._files(TEMPORARY):  # of a process that was killed while it wrote
            path.unlink(missing_ok=True)

    def _claim(self) -> tuple[str, FileLock]:
        """Return the first name that no running call has, and its lock."""
        name, number = self._fingerprint[:NAME_DIGITS], 1
        while True:
            lock = FileLock(self.folder / f"{name}.lock")
            if lock.acquire():
                return name, lock
            number += 1
            name = f"{self._fingerprint[:NAME_DIGITS]}-{number}"

    def file(self, fits: Sequence[Fit], *settings: Any, known: Fingerprints) -> CheckpointFile:
        """Return the file for the training of some fits.

        Parameters
        ----------
        fits : sequence of Fit
            Before their training.
        *settings
            Whatever else changes the training.
        known : Fingerprints
        """
        return self._file(known.of(list(fits), settings))

    def _file(self, fingerprint: str) -> CheckpointFile:
        return CheckpointFile(
            self.folder / f"{self._name}_{fingerprint[:NAME_DIGITS]}{SUFFIX}",
            {**_versions(), "fingerprint": fingerprint},
            training_checkpoint.FIRST_SECONDS,
            training_checkpoint.INTERVAL_SECONDS,
            training_checkpoint.KEPT_SECONDS,
        )

    def random_state(self) -> np.random.RandomState:
        """Return random numbers from the seed that this call drew when it first began."""
        file = self._file(Fingerprints().of("seed", self._fingerprint))
        state = read_checkpoint(file)
        if state is None:
            state = {"seed": int(np.random.mtrand._rand.randint(np.iinfo(np.int32).max))}
            try:
                write_atomically(file.path, pack_state(state, file.header))
            except OSError as error:
                warn(
                    f"The seed of this fit could not be written to {self.folder}: {error}. If it "
                    "is killed, another call cannot continue it. Make room on the disk, or set "
                    "random_state.",
                    CheckpointWarning,
                    once=("checkpoint", "write"),
                )
        return np.random.RandomState(state["seed"])

    def close(self, *, remove: bool) -> None:
        """Release the name; remove all files of the call if it is done."""
        remove = remove and not self.keep
        if remove:
            for path in self._files(""):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        self._lock.release(remove=not self._files(""))

    def _files(self, ending: str) -> list[Path]:
        """Return the files of the call, except those that were set aside."""
        return [
            path for path in self.folder.glob(f"{self._name}_*{ending}") if DAMAGED not in path.name
        ]


@contextlib.contextmanager
def checkpoints_in(
    folder: str | os.PathLike | None, *call: Any, many_fits: bool = False
) -> Iterator[Checkpoints | None]:
    """Open the checkpoints of a call; remove them if it succeeds.

    Trainings within this context keep their states there, and their results until the call ends.

    Parameters
    ----------
    folder : str, path or None
        None keeps no checkpoints, unless a search around this call does.
    *call
        Data and settings of the call.
    many_fits : bool, default=False
        Whether the call makes many fits, whose results are kept until all are finished.

    Raises
    ------
    CheckpointError
        If the folder cannot be created or written.
    """
    if folder is None:
        yield None
        return
    path = _usable_folder(folder)
    checkpoints = Checkpoints(path, Fingerprints().of(*call), many_fits=many_fits)
    token = _open.set(checkpoints)
    done = False
    try:
        yield checkpoints
        done = True
    finally:
        _open.reset(token)
        checkpoints.close(remove=done)


def open_checkpoints() -> Checkpoints | None:
    """Return the checkpoints of the innermost call that keeps any, or None."""
    return _open.get()


def _usable_folder(folder: str | os.PathLike) -> Path:
    """Create a folder if it is missing, and check that files can be written there."""
    if not os.fspath(folder):
        raise CheckpointError(
            "checkpoint='' names no folder. Use None for no checkpoints, or '.' for the current "
            "folder."
        )
    path = Path(folder).expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor, probe = tempfile.mkstemp(suffix=TEMPORARY, dir=path)
        os.close(descriptor)
        os.unlink(probe)
    except OSError as error:
        if error.errno in _NO_SPACE and path.is_dir():
            return path
        raise CheckpointError(
            f"checkpoint={str(folder)!r} cannot be used: {error.strerror or error} "
            f"({error.filename or path}). Give a folder that exists or can be created, and that "
            "you may write to."
        ) from error
    except ValueError as error:
        raise CheckpointError(
            f"checkpoint={str(folder)!r} is no path: {error}. Give the name of a folder."
        ) from error
    return path


def _versions() -> dict[str, str]:
    """Return the versions that a training depends on."""
    return {
        "skhybrid": f"{sys.modules['skhybrid'].__version__} ({source_version()})",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "Python": ".".join(map(str, sys.version_info[:2])),
    }
