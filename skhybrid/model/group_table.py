"""One learnable number for every group of rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

# A code is that of a group up to this part of the smallest distance between codes.
TOLERANCE = 1e-3


class GroupTable(nn.Module):
    """A network whose answer for a row is a number of the row's group.

    The mean over the groups is taken off the answers, so that they sum to zero. A group that was
    not in the training rows has the answer zero.

    Parameters
    ----------
    codes : sequence of float
        Code of every group, in ascending order.
    n_outputs : int
    axis : int
        Axis of the inputs and of the outputs, counted from the right.

    Attributes
    ----------
    values : torch.nn.Parameter of shape (n_groups, n_outputs)
        Zero at first.
    """

    def __init__(self, codes: Sequence[float], n_outputs: int, axis: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.zeros(len(codes), n_outputs))
        self.register_buffer(
            "codes", torch.tensor(codes, dtype=torch.get_default_dtype()), persistent=False
        )
        gaps = [later - earlier for earlier, later in itertools.pairwise(codes)]
        self.tolerance = TOLERANCE * min(gaps, default=1.0)
        self.axis = axis

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the answers for codes of groups."""
        return self.function(None)(inputs)

    def function(self, weights: Mapping[str, Tensor] | None) -> Callable[[Tensor], Tensor]:
        """Return the table as a function of codes.

        Parameters
        ----------
        weights : mapping of str to Tensor or None
            Its values, perhaps with a leading member axis; then the rows are those of all members,
            ordered by member. None uses its own.
        """
        centred = centred_values(self.values if weights is None else weights["values"])

        def answers(inputs: Tensor) -> Tensor:
            codes = inputs.movedim(self.axis, -1)
            is_group = ((codes - self.codes).abs() < self.tolerance).to(centred.dtype)
            if centred.ndim == 2:
                found = is_group @ centred
            else:
                by_member = is_group.reshape(len(centred), -1, is_group.shape[-1])
                found = (by_member @ centred).reshape(*is_group.shape[:-1], centred.shape[-1])
            return found.movedim(-1, self.axis)

        return answers


def centred_values(values: Tensor) -> Tensor:
    """Return the values of groups, of shape (..., n_groups, n_outputs), with a mean of zero."""
    return values - values.mean(dim=-2, keepdim=True)
