"""What a fit finds around it and leaves as it was: threads, the device, memory, noted features."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.utils._param_validation import InvalidParameterError


def usable_device(name: str | torch.device, estimator: str) -> torch.device:
    """Return a device of torch, or raise an error that says why it cannot be used.

    Parameters
    ----------
    name : str or torch.device
        "auto" is a graphics processor if torch can use one, otherwise the main processor.
    estimator : str
        Name of the class whose parameter it is, for the message.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidParameterError(
            f"The 'device' parameter of {estimator} must be 'auto' or a torch device such as "
            f"'cpu' or 'cuda'. Got {name!r} instead."
        ) from error
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={name!r} cannot be used on this computer: {reason}. Choose device='cpu'."
        ) from error
    return device


NOTED_FEATURES = ("n_features_in_", "feature_names_in_")


def noted_features(estimator: Any) -> dict[str, Any]:
    """Return what validation noted about the features."""
    return {name: vars(estimator)[name] for name in NOTED_FEATURES if name in vars(estimator)}


@contextlib.contextmanager
def features_restored_on_failure(estimator: Any) -> Iterator[None]:
    """Undo what validation notes about the features if what follows fails."""
    before = noted_features(estimator)
    try:
        yield
    except BaseException:
        for name in NOTED_FEATURES:
            vars(estimator).pop(name, None)
        vars(estimator).update(before)
        raise


class _Shared:
    """What is set for the whole process while it is needed by anybody."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.n_users = 0
        self.before: Any = None


_threads, _memory = _Shared(), _Shared()
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


# Parameters of glibc's mallopt; its largest threshold, which it also has by itself after a block of
# this size was freed; and more than it will ever be asked to keep.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_MMAP_THRESHOLD = 2**25
KEPT_BYTES = 2**30


@contextlib.contextmanager
def memory_kept() -> Iterator[None]:
    """Let the C library keep freed memory here, and give it back afterwards.

    Every operation on a batch of many members frees and claims some megabytes. glibc hands them
    back to the system and asks for them anew until it has adapted. What that costs in page faults
    depends on what the process did before: from nothing to a sixth of a step was seen. Other C
    libraries are left alone.
    """
    library = _glibc()
    if library is None:
        yield
        return
    with _memory.lock:
        _memory.n_users += 1
        library.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_TOP_PAD, LARGEST_MMAP_THRESHOLD)
    try:
        yield
    finally:
        with _memory.lock:
            _memory.n_users -= 1
            if _memory.n_users == 0:
                library.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
                library.mallopt(M_TRIM_THRESHOLD, 2 * LARGEST_MMAP_THRESHOLD)
                library.mallopt(M_TOP_PAD, 0)
                library.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it is glibc."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018
    except (OSError, TypeError, AttributeError):
        return None
    return library


@contextlib.contextmanager
def in_silence() -> Iterator[None]:
    """Let warnings pass unseen.

    Not so in threads: what is done with warnings is set for the whole process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
