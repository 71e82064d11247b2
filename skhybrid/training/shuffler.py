"""The order of the rows in every epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.training.minibatches import PerMemberBatches, rows_of
from skhybrid.training.schedule import Schedule


class Shuffler:
    """Returns the rows in a new order at every call."""

    def __init__(self, data: Batch | PerMemberBatches, schedule: Schedule, seed: int) -> None:
        self._data = data
        self._schedule = schedule
        if isinstance(data, PerMemberBatches):
            self._generators = data.generators()
        else:
            self._generators = [torch.Generator().manual_seed(seed)]

    def __call__(self) -> Batch | PerMemberBatches:
        """Return the rows of an epoch."""
        data = self._data
        if isinstance(data, PerMemberBatches):
            return data.shuffled(self._schedule, self._generators)
        if self._schedule.n_batches == 1:
            return data
        order = torch.randperm(len(data.y), generator=self._generators[0])
        return rows_of(data, order.to(data.y.device))

    def state(self) -> list[Tensor]:
        """Return the states of the generators."""
        return [generator.get_state() for generator in self._generators]

    def restore(self, state: list[Tensor]) -> None:
        """Go on from a state."""
        for generator, own in zip(self._generators, state, strict=True):
            generator.set_state(own)
