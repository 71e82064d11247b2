"""Torch's number of threads: set during a fit or a prediction, restored afterwards."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch


class _OpenBlocks:
    """The open ``threads`` blocks of all Python threads: how many, and torch's number before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.n_threads_before = 0


_open_blocks = _OpenBlocks()
_this_thread = threading.local()


@contextlib.contextmanager
def threads(n_threads: int | None) -> Iterator[None]:
    """Set torch's number of threads (None: one), and restore the earlier number afterwards.

    Torch keeps one number for each Python thread, and a new Python thread begins with the number
    that any thread set last. Fits that run at the same time in several threads, as with joblib's
    threading backend, therefore all restore the number that the first of them found.

    Parameters
    ----------
    n_threads : int or None
    """
    with _open_blocks.lock:
        if _open_blocks.count == 0:
            _open_blocks.n_threads_before = torch.get_num_threads()
        _open_blocks.count += 1
        inside = getattr(_this_thread, "inside", False)
        before = torch.get_num_threads() if inside else _open_blocks.n_threads_before
        _this_thread.inside = True
        torch.set_num_threads(n_threads or 1)
    try:
        yield
    finally:
        with _open_blocks.lock:
            _open_blocks.count -= 1
            _this_thread.inside = inside
            torch.set_num_threads(before)
