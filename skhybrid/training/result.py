"""Where training begins, and what it hands back."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Start:
    """Where one restart begins: network parameters and scaled physics parameters."""

    weights: Mapping[str, Tensor]
    coordinates: Mapping[str, Tensor]


class Status(enum.Enum):
    """How the training of a member ended; the value is a message for people."""

    FINISHED = "ran for all of its epochs"
    EARLY_STOPPED = "the validation loss stopped improving"
    CALLBACK_STOPPED = "a callback asked to stop"
    NON_FINITE = "the loss became non-finite; the last good parameters were restored"
    FAILED = "the loss was non-finite from the first epoch"

    @property
    def usable(self) -> bool:
        """Whether the member has parameters worth keeping."""
        return self is not Status.FAILED


@dataclass
class Result:
    """Outcome of one run of the training loop, with a value per member.

    Attributes
    ----------
    status : list of Status
    losses : Tensor of shape (n_members,)
        Data loss over all training rows at the parameters kept.
    validation_losses : Tensor of shape (n_members,) or None
        Data loss over the held-out rows at the parameters kept.
    curve : Tensor of shape (n_epochs, n_members)
        Mean minibatch loss, penalties included, of every epoch.
    stopped_epoch : list of int
        Epoch (from 1) in which the member stopped; for a non-finite loss the epoch it appeared in.
    n_epochs : int
        Epochs run.
    kept_epoch : list of int
        Epoch (from 0, the start) whose parameters were kept.
    """

    status: list[Status]
    losses: Tensor
    validation_losses: Tensor | None
    curve: Tensor
    stopped_epoch: list[int] = field(default_factory=list)
    n_epochs: int = 0
    kept_epoch: list[int] = field(default_factory=list)
