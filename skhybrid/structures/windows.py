"""Portions of trajectories: where they start, when they are looked at, what drives them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Windows(NamedTuple):
    """Some consecutive steps of each of many trajectories, all with the same number of steps.

    Shapes are those of n windows of w steps. A step of length zero is padding: the state stays.

    Attributes
    ----------
    start : Tensor of shape (n, *state_shape)
        First state: observed, given, or where the estimation of an unknown one begins.
    origin : Tensor of shape (n,)
        Time of the first state.
    steps : Tensor of shape (n, w)
        Times between consecutive observations.
    inputs : Tensor of shape (n, w + 1, n_inputs) or None
        What drives the system, at every observation.
    entry : Tensor of int, shape (n,), or None
        Where the learned first states have theirs; None if the first states are not learned.
    reach : Tensor of shape (n, *state_shape) or None
        What a learned coordinate of one changes of the first state; zero holds it.
    following : Tensor of int, shape (n,), or None
        Entry of the window that begins where this one ends; -1 if there is none.
    end : Tensor of shape (n, *state_shape) or None
        ``start`` of the following window.
    end_reach : Tensor of shape (n, *state_shape) or None
        ``reach`` of the following window.
    """

    start: Tensor
    origin: Tensor
    steps: Tensor
    inputs: Tensor | None = None
    entry: Tensor | None = None
    reach: Tensor | None = None
    following: Tensor | None = None
    end: Tensor | None = None
    end_reach: Tensor | None = None
