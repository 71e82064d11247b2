"""Memory that cannot be had: errors that say how much was asked for."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import torch

from skhybrid.exceptions import OutOfMemoryError

# Parts of torch's messages; only the memory of GPUs has an error class of its own.
_MESSAGES = ("can't allocate memory", "out of memory", "Storage size calculation overflowed")
_BYTES = re.compile(r"tried to allocate (\d+) bytes")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be allocated."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _MESSAGES)


@contextlib.contextmanager
def memory_errors_named(during: str, remedy: str) -> Iterator[None]:
    """Turn errors of numpy and torch about memory into one that says how much was asked for.

    Parameters
    ----------
    during : str
        What needed the memory, such as "the training".
    remedy : str
        A sentence that says what to do.

    Raises
    ------
    OutOfMemoryError
    """
    try:
        yield
    except OutOfMemoryError:
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"Out of memory during {during}: {_request(error)} {remedy}"
        ) from error


def require_memory(n_bytes: float, what: str) -> None:
    """Raise an OutOfMemoryError for something that is larger than the computer's memory.

    Without this check, the system may end the process in the middle.

    Parameters
    ----------
    n_bytes : float
    what : str
        What needs the memory, with its size.
    """
    there_is = physical_memory()
    if there_is is not None and n_bytes > there_is:
        raise OutOfMemoryError(
            f"{what} would need {described_bytes(n_bytes)} of memory at least; this computer has "
            f"{described_bytes(there_is)}."
        )


def physical_memory() -> int | None:
    """Return the bytes of memory that this computer has, or None if it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def described_bytes(n_bytes: float) -> str:
    """Return a number of bytes as text, such as "7.28 TiB"."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.3g} PiB"


def _request(error: BaseException) -> str:
    """Return the part of a message that says how much memory was asked for."""
    text = str(error).strip()
    found = _BYTES.search(text)
    if found:
        return f"{described_bytes(int(found[1]))} could not be allocated."
    return f"{text.splitlines()[0].rstrip('.')}." if text else "the computer says no more."
