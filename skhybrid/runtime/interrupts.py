"""Interrupts from the keyboard: which fits keep their model, and which raise the interrupt."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from pathlib import Path

import sklearn

from skhybrid.runtime.user_warnings import LIBRARIES

_SKLEARN = str(Path(sklearn.__file__).parent) + os.sep
# These call a single fit, or wrap its call; other parts of the libraries run many fits.
_SINGLE_FIT = tuple(
    _SKLEARN + part.replace("/", os.sep)
    for part in ("base.py", "callback/", "utils/", "pipeline.py", "compose/_target.py")
)


def keeps_interrupted_fit() -> bool:
    """Return whether an interrupt of the fit that calls this function keeps its model.

    It does in a fit that the user calls, also through a pipeline or a TransformedTargetRegressor.
    A fit within a search, a cross-validation or another meta-estimator is one of many: there the
    interrupt must end all of them, not the current one alone. An interrupt is also raised in
    worker processes and in other threads, whose caller expects it.

    Call it from ``fit`` itself: it looks at the calls above its caller.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    if multiprocessing.parent_process() is not None:
        return False
    frame = sys._getframe(1).f_back
    while frame is not None:
        filename = frame.f_code.co_filename
        if filename.startswith(LIBRARIES) and not filename.startswith(_SINGLE_FIT):
            return False
        frame = frame.f_back
    return True
