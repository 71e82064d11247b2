"""Rows of the training data."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Rows of the training data.

    Attributes
    ----------
    x : Tensor of shape (n, n_features), or a named tuple of tensors with n rows
    y : Tensor of shape (n,) or (n, n_targets), or of further dimensions
    weight : Tensor or None
        Weight of every target, of the shape of y or with a leading member axis, and of mean one
        over the training data. None is one everywhere.
    """

    x: Tensor | tuple
    y: Tensor
    weight: Tensor | None

    @property
    def weight_per_member(self) -> bool:
        """Whether the weights have a leading member axis that the rows have not."""
        return self.weight is not None and self.weight.ndim > self.y.ndim


def take(x: Any, rows: Any) -> Any:
    """Return some rows of a tensor or array, or of each one of a named tuple."""
    if not isinstance(x, tuple):
        return x[rows]
    return type(x)(*(None if part is None else part[rows] for part in x))
