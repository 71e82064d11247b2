"""Seeds that leave torch's global generators unchanged."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch

# Torch has one generator for every device, and all threads draw from it.
_lock = threading.RLock()


# The states that were found by those who have seeded and are not done, in the order they came.
_found: list[list[torch.Tensor]] = []


@contextlib.contextmanager
def seeded(seed: int, *, alone: bool = False) -> Iterator[None]:
    """Seed torch's generators of all devices in use, and put back their states afterwards.

    Parameters
    ----------
    seed : int
    alone : bool, default=False
        Whether other threads that want to seed have to wait, so that what is drawn here depends on
        the seed alone. It is for what is done in no time. Without it, fits that run at the same
        time in threads of their own, as under joblib's threading backend, draw from the same
        generators (for dropout, where a network has it), and the last of them to end puts back what
        the first found.
    """
    with _lock if alone else contextlib.nullcontext():
        with _lock:
            generators = _generators()
            found = [generator.get_state() for generator in generators]
            _found.append(found)
            for generator in generators:
                generator.manual_seed(seed)
        try:
            yield
        finally:
            with _lock:
                place = next(i for i, each in enumerate(_found) if each is found)
                del _found[place]
                if place < len(_found):  # somebody found what was seeded here
                    _found[place][: len(found)] = found
                else:
                    for generator, state in zip(generators, found, strict=True):
                        generator.set_state(state)


def _generators() -> list[torch.Generator]:
    """Return those of the processor and of graphics processors, unless nobody has used them yet."""
    in_use = torch.cuda.default_generators if torch.cuda.is_initialized() else ()
    return [torch.default_generator, *in_use]
