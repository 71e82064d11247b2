"""Seeds that leave torch's global generators unchanged."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

import torch

# Torch has one generator for each device, and all threads draw from it.
_lock = threading.RLock()
# For every open ``seeded`` block, in the order of entry: the generators' states before it.
_states_before: list[list[torch.Tensor]] = []


@contextlib.contextmanager
def seeded(seed: int, *, alone: bool = False) -> Iterator[None]:
    """Seed torch's generators of all devices in use, and restore their states afterwards.

    Parameters
    ----------
    seed : int
    alone : bool, default=False
        Whether other threads wait before they seed, so that the numbers drawn here depend on the
        seed alone. Use it for short blocks only. Without it, fits that run at the same time in
        several threads, as with joblib's threading backend, draw from the same generators (for
        dropout, if a network has it). The last of them to end restores the states that the first
        one found.
    """
    with _lock if alone else contextlib.nullcontext():
        with _lock:
            generators = _generators()
            before = [generator.get_state() for generator in generators]
            _states_before.append(before)
            for generator in generators:
                generator.manual_seed(seed)
        try:
            yield
        finally:
            with _lock:
                place = next(i for i, each in enumerate(_states_before) if each is before)
                del _states_before[place]
                if place < len(_states_before):  # a later block, still open, restores these states
                    _states_before[place][: len(before)] = before
                else:
                    for generator, state in zip(generators, before, strict=True):
                        generator.set_state(state)


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
