"""A physics and a network of one line each, for the structures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor


class RecordingNetwork:
    """Answers three times the scale and keeps what it was asked."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.asked: list[tuple[Tensor, ...]] = []

    def __call__(self, x: Tensor, *extra: Tensor, scale: float | None = None) -> Tensor:
        self.asked.append((x, *extra))
        return torch.full_like(x[:, 0], 3.0 * (self.scale if scale is None else scale))


@pytest.fixture
def x() -> Tensor:
    """Two features."""
    return torch.tensor([[1.0, 2.0], [3.0, 5.0]])


@pytest.fixture
def physics():
    """The sum of the features."""
    return lambda x: x.sum(dim=-1)


@pytest.fixture
def network() -> RecordingNetwork:
    """A network for a target whose spread is 10."""
    return RecordingNetwork(10.0)
