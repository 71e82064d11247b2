"""Warnings: shown at the user's line, or caught to be shown later."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Hashable, Iterator
from pathlib import Path

import joblib
import sklearn

# Folders of the libraries between the user and a fit: their lines are never the user's line.
LIBRARIES = tuple(
    str(Path(folder)) + os.sep
    for folder in (Path(__file__).parents[1], *sklearn.__path__, *joblib.__path__)
)
# Files that call the tasks of worker threads and processes.
_WORKERS = (
    threading.__file__,
    *(str(Path(module.__file__).parent) for module in (multiprocessing, concurrent.futures)),
)
# Name under which a call by the user notes the keys of its warnings.
_SAID = "_skhybrid_said"


def warn(
    message: str | Warning, category: type[Warning] = UserWarning, *, once: Hashable = None
) -> None:
    """Warn at the user's line: the innermost one outside skhybrid, scikit-learn and joblib.

    Parameters
    ----------
    message : str or Warning
    category : type, default=UserWarning
        Not used if the message is a Warning.
    once : hashable, default=None
        Key of the warning. Warnings with the same key come once in a call by the user, however
        many fits a search or a meta-estimator makes in it; in workers, once in each. None warns
        every time.
    """
    frame, level = sys._getframe(1), 2
    call = frame
    while frame.f_back is not None and _is_library(frame.f_code.co_filename):
        call, frame, level = frame, frame.f_back, level + 1
    if once is not None:
        while frame.f_code.co_filename.startswith(_WORKERS) and call.f_back is not None:
            call = call.f_back
        # The frame of the call lives as long as the call. The registry of Python's own filters does
        # not help: every ``warnings.catch_warnings`` in between clears it.
        notes = call.f_locals
        said = notes.get(_SAID) or set()
        if once in said:
            return
        notes[_SAID] = said | {once}
    warnings.warn(message, category, stacklevel=level)


def _is_library(filename: str) -> bool:
    """Whether a file belongs to a library between the user and a warning."""
    return filename.startswith(LIBRARIES) or filename == contextlib.__file__


@contextlib.contextmanager
def warnings_caught() -> Iterator[list[warnings.WarningMessage]]:
    """Catch warnings, so that the caller can show each once, or none.

    Only the main thread catches warnings. Other threads let them pass, because warning filters
    belong to the whole process.

    Yields
    ------
    list of warnings.WarningMessage
        The caught warnings; it stays empty in other threads.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield caught
