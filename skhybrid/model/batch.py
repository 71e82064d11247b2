"""Rows as tensors: tables and windows of trajectories."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor


class Windows(NamedTuple):
    """Some consecutive steps of each of many trajectories, all with the same number of steps.

    Shapes are for n windows of w steps. A step of length zero is padding: the state stays.

    Attributes
    ----------
    first_state : Tensor of shape (n, *state_shape)
        State at the begin of the window: observed, given, or the guess that learning starts from.
        For images, the images that tell it.
    first_time : Tensor of shape (n,)
        Time of the first state.
    steps : Tensor of shape (n, w)
        Times between consecutive observations.
    inputs : Tensor of shape (n, w + 1, n_inputs) or None
        Inputs of the system at every observation.
    index : Tensor of int, shape (n,), or None
        Index of the window among the learned first states; None if they are not learned.
    unit : Tensor of shape (n, *state_shape) or None
        Change of the first state per unit of its learned coordinate; zero keeps it as it is.
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
        Weight of every target, of the shape of y or with a leading member axis, and of mean one
        over the training data. None is one everywhere.
    """

    x: Tensor | tuple
    y: Tensor
    weight: Tensor | None

    @property
    def weight_per_member(self) -> bool:
        """Whether the weights, unlike the rows, have a leading member axis."""
        return self.weight is not None and self.weight.ndim > self.y.ndim


def select_rows(x: Any, rows: Any) -> Any:
    """Return some rows of a tensor or array, or of each field of a named tuple."""
    if not isinstance(x, tuple):
        return x[rows]
    return type(x)(*(None if part is None else part[rows] for part in x))
