"""Warnings: shown at the user's line, or caught to be shown later."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import joblib
import sklearn

# Lines of files in these folders are never the user's line.
_LIBRARIES = tuple(
    str(Path(folder)) + os.sep
    for folder in (Path(__file__).parents[1], *sklearn.__path__, *joblib.__path__)
)


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the user's line: the innermost one outside skhybrid, scikit-learn and joblib.

    Parameters
    ----------
    message : str or Warning
    category : type, default=UserWarning
        Not used if the message is a Warning.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_library(frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_library(filename: str) -> bool:
    """Whether a file belongs to a library between the user and a warning."""
    return filename.startswith(_LIBRARIES) or filename == contextlib.__file__


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
