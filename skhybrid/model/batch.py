"""Rows as tensors: rows of a table, or windows of trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor

# A network with two layers of 64 units needs about 2 kB a row with gradients: 64 MB for these rows.
ROWS_AT_ONCE = 2**15


class Windows(NamedTuple):
    """Windows of trajectories: consecutive steps, the same number in each window.

    The shapes are for n windows of w steps. A step of length zero is padding: the state stays.

    Attributes
    ----------
    first_state : Tensor of shape (n, *state_shape)
        State at the beginning of the window: observed, given, or the guess at which learning
        starts. For images: the images from which the encoder finds the state.
    first_time : Tensor of shape (n,)
        Time of the first state.
    steps : Tensor of shape (n, w)
        Times between consecutive observations.
    inputs : Tensor of shape (n, w + 1, n_inputs) or None
        Inputs of the system at every observation.
    index : Tensor of int, shape (n,), or None
        Index of the window's first state among the learned ones; None if they are not learned.
    unit : Tensor of shape (n, *state_shape) or None
        Change of the first state per unit of its learned coordinate; zero keeps it constant.
    next_index : Tensor of int, shape (n,), or None
        Index of the window that begins where this one ends; -1 if there is none.
    next_state : Tensor of shape (n, *state_shape) or None
        ``first_state`` of the next window.
    next_unit : Tensor of shape (n, *state_shape) or None
        ``unit`` of the next window.
    """

    first_state: Tensor
    first_time: Tensor
    steps: Tensor
    inputs: Tensor | None = None
    index: Tensor | None = None
    unit: Tensor | None = None
    next_index: Tensor | None = None
    next_state: Tensor | None = None
    next_unit: Tensor | None = None


class Batch(NamedTuple):
    """Rows with targets and weights.

    Attributes
    ----------
    x : Tensor of shape (n, n_features), or a named tuple of tensors with n rows
    y : Tensor of shape (n,) or (n, n_targets), or with more dimensions
    weight : Tensor or None
        Weight of every target: in the shape of y, or with a leading member axis. The mean over the
        training data is one. None means equal weights.
    """

    x: Tensor | tuple
    y: Tensor
    weight: Tensor | None

    @property
    def weight_per_member(self) -> bool:
        """Whether the weights, unlike the rows, have a leading member axis."""
        return self.weight is not None and self.weight.ndim > self.y.ndim


def row_chunks(x: Tensor | Windows) -> Iterator[Tensor | Windows]:
    """Yield the rows of a large table in chunks; yield a small table, or windows, as a whole."""
    if isinstance(x, Windows) or len(x) <= ROWS_AT_ONCE:
        yield x
    else:
        yield from x.split(ROWS_AT_ONCE)


def select_rows(x: Any, rows: Any) -> Any:
    """Select rows of a tensor or an array, or of each field of a named tuple."""
    if not isinstance(x, tuple):
        return x[rows]
    return type(x)(*(None if part is None else part[rows] for part in x))
