"""Torch's number of threads: set during a fit or a prediction, restored afterwards."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import torch

# Many more threads than cores only wait for each other, and the system may refuse to start them.
MAX_THREADS_PER_CORE = 16


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

    Raises
    ------
    ValueError
        If there are more than 16 threads for each CPU core.
    """
    n_cores = os.cpu_count() or 1
    if n_threads is not None and n_threads > MAX_THREADS_PER_CORE * n_cores:
        raise ValueError(
            f"n_threads={n_threads} is more than {MAX_THREADS_PER_CORE} threads for each of the "
            f"{n_cores} CPU cores. More threads than cores do not help; choose at most {n_cores}."
        )
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
