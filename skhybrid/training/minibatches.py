"""Minibatches: the same for all members, or different for each."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from skhybrid.model.batch import Batch, select_rows
from skhybrid.training.schedule import Schedule


class PerMemberBatches:
    """Rows of several sources; every member sees the rows of one source, with its own weights.

    Members with the same source step through the same minibatches, like separate fits with the same
    seed.

    Parameters
    ----------
    data : sequence of Batch
        The rows of every problem. Weights have the shape of y, optionally with a leading axis for
        the members of the problem, or are None. Rows that several problems share are stored once.
    seeds : sequence of int
        Seed of the minibatches of every problem.
    n_members : sequence of int
        Number of members of every problem.
    weighted : bool, default=False
        Whether to create weights even if :func:`need_weights` says that none are needed.

    Attributes
    ----------
    n_rows : int
        Number of rows of the largest source. Smaller sources are padded with rows without weight.
    x, y : Tensor or tuple, and Tensor
        Rows and targets, with a leading axis for the sources.
    weight : Tensor or None
        All different weights, stacked.
    source_of, weight_of : Tensor of int, shape (n_members,)
        Index of every member's source, and of its weights.
    padding : Tensor of shape (n_members,) or None
        Factor that corrects a mean over all rows for the padding; None without padding.
    """

    def __init__(
        self,
        data: Sequence[Batch],
        seeds: Sequence[int],
        n_members: Sequence[int],
        *,
        weighted: bool = False,
    ) -> None:
        keys = [(id(each.y), seed) for each, seed in zip(data, seeds, strict=True)]
        unique = dict(zip(keys, data, strict=True))
        number = {key: i for i, key in enumerate(unique)}
        sources = list(unique.values())
        device = sources[0].y.device
        lengths = [len(source.y) for source in sources]
        self.n_rows = max(lengths)
        self.x = _stacked([source.x for source in sources], self.n_rows)
        self.y = _stacked([source.y for source in sources], self.n_rows)
        self._lengths = lengths
        self._seeds = [seed for _, seed in unique]
        source_of, weight_of, weights, weight_sources = [], [], [], []
        known: dict[tuple, int] = {}
        any_weight = weighted or need_weights(data)
        for key, each, count in zip(keys, data, n_members, strict=True):
            source_of += [number[key]] * count
            if not any_weight:
                continue
            at = (key, id(each.weight))
            if at not in known:
                known[at] = len(weights)
                weight = torch.ones_like(each.y) if each.weight is None else each.weight
                weight = weight if each.weight_per_member else weight[None]
                weights += [_zero_padded(row, self.n_rows) for row in weight]
                weight_sources += [number[key]] * len(weight)
            own = each.weight_per_member
            weight_of += [known[at] + (member if own else 0) for member in range(count)]
        self.source_of = torch.tensor(source_of, device=device)
        self.weight = torch.stack(weights) if any_weight else None
        self.weight_of = torch.tensor(weight_of, device=device)
        self._weight_source = torch.tensor(weight_sources, device=device)
        longest = torch.tensor(lengths, dtype=self.y.dtype, device=device)[self.source_of]
        self.padding = None if min(lengths) == self.n_rows else self.n_rows / longest

    @property
    def n_sources(self) -> int:
        """Number of sources: different sets of rows, or the same rows with different seeds."""
        return len(self._lengths)

    @property
    def row_axes(self) -> int | tuple:
        """The member axis of the features, as ``in_dims`` of ``torch.vmap``."""
        if isinstance(self.x, Tensor):
            return 0
        return type(self.x)(*(None if part is None else 0 for part in self.x))

    def generators(self) -> list[torch.Generator]:
        """Return a random generator for the minibatches of every source."""
        return [torch.Generator().manual_seed(seed) for seed in self._seeds]

    def shuffled(
        self, schedule: Schedule, generators: Sequence[torch.Generator]
    ) -> PerMemberBatches:
        """Return the rows of an epoch, without the rows left over for a later epoch."""
        if schedule.n_batches == 1:
            return self
        n_used = schedule.n_batches * schedule.batch_size
        orders = [
            torch.randperm(length, generator=generator)[:n_used]
            for length, generator in zip(self._lengths, generators, strict=True)
        ]
        order = torch.stack(orders).to(self.y.device)
        source = torch.arange(self.n_sources, device=order.device)[:, None]
        epoch = copy.copy(self)
        epoch.x, epoch.y = select_rows(self.x, (source, order)), self.y[source, order]
        if self.weight is not None:
            row = torch.arange(len(self.weight), device=order.device)[:, None]
            epoch.weight = self.weight[row, order[self._weight_source]]
        return epoch

    def rows(self, rows: slice) -> Batch:
        """Return some rows of every member, with a leading axis for the members."""
        weight = None if self.weight is None else self.weight[:, rows][self.weight_of]
        part = select_rows(self.x, (slice(None), rows))
        return Batch(select_rows(part, self.source_of), self.y[:, rows][self.source_of], weight)

    def idle(self) -> Tensor | None:
        """Return which members see no row with a weight; None without weights."""
        if self.weight is None:
            return None
        return ~self.weight.flatten(1).any(dim=1)[self.weight_of]


class WeightedRows:
    """For each member, only the rows with a weight.

    Members that hold rows out have weights of zero for all other rows, which are most of the rows.

    Parameters
    ----------
    data : Batch or PerMemberBatches
        With weights for every member.

    Attributes
    ----------
    n_rows : int
        Largest number of rows with a weight. Members with fewer rows get some without weight.
    n_all : int
        Number of all rows, with and without weight.
    padding : Tensor or None
        The same as in ``data``.
    """

    def __init__(self, data: Batch | PerMemberBatches) -> None:
        weight = data.weight
        self.x, self.y, self.padding, self._source_of = data.x, data.y, None, None
        self.n_all = len(data.y)
        if isinstance(data, PerMemberBatches):
            weight = weight[data.weight_of]
            self.n_all, self.padding = data.n_rows, data.padding
            self._source_of = data.source_of[:, None]
        self._weight = weight
        weighted = weight.unsqueeze(-1).flatten(2).any(dim=2)
        self.n_rows = max(1, int(weighted.sum(dim=1).max()))
        order = weighted.to(torch.int8).argsort(dim=1, descending=True, stable=True)
        self._order = order[:, : self.n_rows]
        self._member = torch.arange(len(weight), device=weight.device)[:, None]

    def rows(self, rows: slice) -> Batch:
        """Return some rows of every member, with a leading axis for the members."""
        order = self._order[:, rows]
        at = order if self._source_of is None else (self._source_of, order)
        return Batch(select_rows(self.x, at), self.y[at], self._weight[self._member, order])


def need_weights(data: Sequence[Batch]) -> bool:
    """Whether rows of these sources need weights: if a source has weights or is padded."""
    lengths = {len(each.y) for each in data}
    return len(lengths) > 1 or any(each.weight is not None for each in data)


def rows_of(data: Batch | PerMemberBatches | WeightedRows, rows: slice | Tensor) -> Batch:
    """Return some rows; per-member rows have a leading member axis."""
    if isinstance(data, (PerMemberBatches, WeightedRows)):
        return data.rows(rows)
    weight = data.weight
    if weight is not None:
        weight = weight[:, rows] if data.weight_per_member else weight[rows]
    return Batch(select_rows(data.x, rows), data.y[rows], weight)


def _stacked(parts: Sequence, n_rows: int) -> Tensor | tuple:
    """Stack tensors, or named tuples of tensors, padded to the same number of rows."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.stack([_padded(part, n_rows) for part in parts])
    return type(first)(
        *(
            None if fields[0] is None else _stacked(fields, n_rows)
            for fields in zip(*parts, strict=True)
        )
    )


def _padded(values: Tensor, n_rows: int) -> Tensor:
    """Append copies of the last row, so the padding is as valid for the physics as the row.

    Integers, which refer to other rows, become -1, which refers to none.
    """
    missing = n_rows - len(values)
    if missing == 0:
        return values
    last = values[-1:] if values.is_floating_point() else torch.full_like(values[-1:], -1)
    return torch.cat([values, last.expand(missing, *values.shape[1:])])


def _zero_padded(weight: Tensor, n_rows: int) -> Tensor:
    """Append weights of zero."""
    return torch.cat([weight, weight.new_zeros((n_rows - len(weight), *weight.shape[1:]))])
