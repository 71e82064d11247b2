"""The start and the results of training."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from skhybrid.training.explained_variance import ExplainedVariance


@dataclass(frozen=True)
class Start:
    """The start of one restart: network parameters and scaled physics parameters.

    ``source`` tells where θ is from: "least squares", "given", "drawn" or "last fit".
    """

    weights: Mapping[str, Tensor]
    coordinates: Mapping[str, Tensor]
    source: str = "given"


class Status(enum.Enum):
    """How training ended; the value is a readable message."""

    FINISHED = "ran for all of its epochs"
    EARLY_STOPPED = "the validation loss stopped improving"
    CALLBACK_STOPPED = "a callback asked to stop"
    INTERRUPTED = "interrupted from the keyboard"
    NON_FINITE = "the loss became non-finite; the last good parameters were restored"
    FAILED = "the loss was non-finite from the first epoch"
    ERROR = "training raised an error"

    @property
    def complete(self) -> bool:
        """Whether training ran for all of its epochs."""
        return self is Status.FINISHED

    @property
    def usable(self) -> bool:
        """Whether the parameters can be used."""
        return self not in (Status.FAILED, Status.ERROR)


@dataclass
class MemberResults:
    """Results of one run of the training loop, with a value per member.

    Attributes
    ----------
    status : list of Status
    losses : Tensor of shape (n_members,)
        Data loss over all training rows at the kept parameters.
    validation_losses : Tensor of shape (n_members,) or None
        Data loss over the held-out rows at the kept parameters.
    curve : Tensor of shape (n_epochs, n_members)
        Mean minibatch loss, penalties included, of every epoch.
    stopped_epoch : list of int
        Epoch (from 1) in which the member stopped; for a non-finite loss, the epoch in which it
        appeared.
    n_epochs : int
        Number of epochs that were run.
    kept_epoch : list of int
        Epoch of the kept parameters (0 is the start).
    compiled : bool
        Whether the steps were compiled.
    """

    status: list[Status]
    losses: Tensor
    validation_losses: Tensor | None
    curve: Tensor
    stopped_epoch: list[int] = field(default_factory=list)
    n_epochs: int = 0
    kept_epoch: list[int] = field(default_factory=list)
    compiled: bool = False


@dataclass(frozen=True)
class FitResult:
    """Result of a whole fit, also of a failed one.

    Attributes
    ----------
    status : Status
        Status of the best restart; INTERRUPTED if an interrupt ended either phase. If it is not
        usable, all other attributes except ``restarts`` and ``error`` are empty.
    restarts : MemberResults or None
        Results of the first phase, for every restart.
    coordinates, weights : dict of str to Tensor
        Scaled physics parameters and network parameters of the best restart.
    loss : float
        Data loss of the best restart over the training rows.
    loss_curve : list of float
        Its mean minibatch loss, penalties included, in every epoch of both phases.
    best : int or None
        Index of the best restart.
    restart_coordinates : list of dict
        Scaled physics parameters of every restart.
    midway : dict of str to Tensor or None
        Scaled physics parameters of the best restart halfway through the (last stage of the) first
        phase; None if training did not run for all of its epochs.
    refinement : MemberResults or None
        Results of the second phase.
    explained : ExplainedVariance or None
        Variance that physics and network explain at the end of the first phase, which fixes θ.
    error : Exception or None
        The error that training raised.
    """

    status: Status
    restarts: MemberResults | None = None
    coordinates: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    loss: float = math.nan
    loss_curve: list[float] = field(default_factory=list)
    best: int | None = None
    restart_coordinates: list[dict[str, Tensor]] = field(default_factory=list)
    midway: dict[str, Tensor] | None = None
    refinement: MemberResults | None = None
    explained: ExplainedVariance | None = None
    error: Exception | None = None

    @property
    def compiled(self) -> bool:
        """Whether the steps of a phase were compiled."""
        return any(each is not None and each.compiled for each in (self.restarts, self.refinement))

    @property
    def n_first(self) -> int:
        """Number of epochs of the first phase in the loss curve."""
        n_second = 0 if self.refinement is None else len(self.refinement.curve)
        return len(self.loss_curve) - n_second

    @classmethod
    def of_error(cls, error: Exception) -> FitResult:
        """Return the result of a fit whose training raised an error."""
        return cls(Status.ERROR, error=error)
