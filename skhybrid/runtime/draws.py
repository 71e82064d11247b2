"""Random numbers of a fit: drawn from generators of its own, never from torch's global ones."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

_this_thread = threading.local()


class Draws:
    """The generators of one fit, one for each device.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generators: dict[str, torch.Generator] = {}

    def generator(self, device: torch.device | str) -> torch.Generator:
        """Return the generator of a device; it begins with the seed."""
        name = str(device)
        if name not in self._generators:
            self._generators[name] = torch.Generator(device).manual_seed(self._seed)
        return self._generators[name]

    def state(self) -> dict[str, Tensor]:
        """Return the states of the generators that have been used, by device."""
        return {name: each.get_state() for name, each in self._generators.items()}

    def restore(self, states: Mapping[str, Tensor]) -> None:
        """Continue from states that :meth:`state` returned."""
        self._generators.clear()
        for device, state in states.items():
            self.generator(device).set_state(state)


@contextlib.contextmanager
def drawing(seed: int) -> Iterator[Draws]:
    """Give this thread generators with a seed; afterwards, it has those that it had before."""
    before = current_draws()
    _this_thread.draws = Draws(seed)
    try:
        yield _this_thread.draws
    finally:
        _this_thread.draws = before


def current_draws() -> Draws | None:
    """Return the generators of this thread; None outside of :func:`drawing`."""
    return getattr(_this_thread, "draws", None)
