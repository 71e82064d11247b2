"""Threads of torch: set while a fit or a prediction runs, restored afterwards."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch


class _Shared:
    """What is set for the whole process while it is needed by anybody."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_users = 0
        self.before: Any = None


_threads = _Shared()


_here = threading.local()


@contextlib.contextmanager
def threads(n_threads: int | None) -> Iterator[None]:
    """Use so many torch threads here (None: one), and as many as before afterwards.

    Torch has a number for every thread of Python, and a new one begins with the number that was set
    last, wherever that was. Of fits that run at the same time in threads of their own, as under
    joblib's threading backend, all therefore put back what the first of them found.
    """
    with _threads.lock:
        if _threads.n_users == 0:
            _threads.before = torch.get_num_threads()
        _threads.n_users += 1
        inside = getattr(_here, "inside", False)
        before = torch.get_num_threads() if inside else _threads.before
        _here.inside = True
        torch.set_num_threads(n_threads or 1)
    try:
        yield
    finally:
        with _threads.lock:
            _threads.n_users -= 1
            _here.inside = inside
            torch.set_num_threads(before)
