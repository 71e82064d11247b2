"""Seeds for code that draws from torch's global generators, which all threads share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import torch


class _Lock:
    """Who uses torch's generators: one thread at a time.

    ``taken_for_long`` is whether a fit uses them during its whole training.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.taken_for_long = False


_generators_lock = _Lock()


@contextlib.contextmanager
def seeded(seed: int, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Seed torch's generators of all devices in use, and restore their states afterwards.

    Other threads wait before they seed, so the numbers drawn here depend on the seed alone.

    Parameters
    ----------
    seed : int
    on_wait : callable, default=None
        Called if this thread must wait until a fit in another thread has ended.
    """
    with _locked(on_wait):
        generators = _generators()
        before = [generator.get_state() for generator in generators]
        for generator in generators:
            generator.manual_seed(seed)
        try:
            yield
        finally:
            for generator, state in zip(generators, before, strict=True):
                generator.set_state(state)


@contextlib.contextmanager
def seeded_for_long(seed: int, *, on_wait: Callable[[], None]) -> Iterator[None]:
    """Do the same as :func:`seeded`, for a whole training."""
    with seeded(seed, on_wait=on_wait):
        before = _generators_lock.taken_for_long
        _generators_lock.taken_for_long = True
        try:
            yield
        finally:
            _generators_lock.taken_for_long = before


@contextlib.contextmanager
def _locked(on_wait: Callable[[], None] | None) -> Iterator[None]:
    """Wait until no other thread uses torch's generators."""
    if not _generators_lock.lock.acquire(blocking=False):
        if on_wait is not None and _generators_lock.taken_for_long:
            on_wait()
        _generators_lock.lock.acquire()
    try:
        yield
    finally:
        _generators_lock.lock.release()


def draws_globally(function: Callable[[], object]) -> bool:
    """Whether a function draws from torch's global generators; their states stay."""
    with seeded(0):
        before = [generator.get_state() for generator in _generators()]
        function()
        after = [generator.get_state() for generator in _generators()]
    return not all(torch.equal(*pair) for pair in zip(before, after, strict=False))


def _generators() -> list[torch.Generator]:
    """Return the generators of the CPU and of all GPUs; no GPU's if none has been used yet."""
    in_use = torch.cuda.default_generators if torch.cuda.is_initialized() else ()
    return [torch.default_generator, *in_use]


def generator_states() -> list[torch.Tensor]:
    """Return the states of torch's generators of all devices in use, to continue from later."""
    return [generator.get_state() for generator in _generators()]


def set_generator_states(states: Sequence[torch.Tensor]) -> None:
    """Set the states of torch's generators to those of :func:`generator_states`."""
    for generator, state in zip(_generators(), states, strict=False):
        generator.set_state(state)
