"""Choose by held-out losses which parameters to keep and when to stop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from skhybrid.training.members import Members

# Training computes the validation loss about this many times, for any number of epochs.
EVALUATIONS = 100
# A fit overfits if its members' held-out losses are clearly above those at an epoch in the first
# half so far. That is judged after this part of the epochs: earlier, the loss still recovers.
JUDGED_PART = 0.3
CLEARLY = 3.0


@dataclass(frozen=True)
class _Best:
    """The best epochs so far; always replaced as a whole, because an interrupt may come any time.

    ``own`` and ``last`` are every member's own loss at its best and at the last evaluated epoch.
    """

    losses: Tensor
    epochs: list[int]
    own: Tensor
    last: Tensor
    parameters: Tensor


class BestKeeper:
    """Remember the parameters with the lowest validation loss.

    Parameters
    ----------
    members : Members
    mode : {None, "each", "together"}
        None remembers nothing. "each" keeps every member's own best parameters. "together" keeps
        the parameters of all members of a fit at one epoch: the epoch with the lowest mean loss
        over the members that hold rows out (the other members have a loss of NaN). It keeps the
        last epoch instead if several members hold rows out and their losses have since risen by at
        most one standard error, paired by member. Late parameters have a small learning rate, and
        the minimum over many noisy epochs is optimistic.
    fits : sequence of slice, default=None
        Members of every fit. None means that all members belong to one fit.
    """

    def __init__(
        self, members: Members, mode: str | None, fits: Sequence[slice] | None = None
    ) -> None:
        self.members = members
        self.mode = mode
        self.fits = [slice(0, members.n_members)] if fits is None else fits
        worst = torch.full((members.n_members,), math.inf, dtype=torch.float64)
        self._best = _Best(worst, [0] * members.n_members, worst, worst, members.flat.clone())

    @property
    def best(self) -> Tensor:
        """Lowest loss of every member, or of its fit for "together"."""
        return self._best.losses

    def state(self) -> dict[str, Any]:
        """Return the best epochs so far."""
        return dict(vars(self._best))

    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on from the best epochs of a state."""
        self._best = _Best(**state)

    @staticmethod
    def due(epoch: int, n_epochs: int) -> bool:
        """Whether to compute the validation loss after this epoch."""
        return epoch % max(1, n_epochs // EVALUATIONS) == 0 or epoch == n_epochs

    def update(self, epoch: int, losses: Tensor) -> None:
        """Keep the parameters of members with their lowest validation loss so far."""
        if self.mode is None:
            return
        before, own = self._best, losses.double().cpu()
        losses = own
        if self.mode == "together":
            losses = torch.cat([own[fit].nanmean().expand_as(own[fit]) for fit in self.fits])
        better = losses < before.losses
        if not bool(better.any()):
            self._best = replace(before, last=own)
            return
        parameters = before.parameters.clone()
        self.members.copy_where(parameters, self.members.flat, better)
        epochs = zip(better.tolist(), before.epochs, strict=True)
        self._best = _Best(
            torch.where(better, losses, before.losses),
            [epoch if now else kept for now, kept in epochs],
            torch.where(better, own, before.own),
            own,
            parameters,
        )

    def restore(self, current: list[int]) -> list[int]:
        """Restore the kept parameters and return the epoch of every member's parameters.

        Members without a finite validation loss keep their current parameters, from the epochs
        ``current``.
        """
        if self.mode is None:
            return current
        found = torch.isfinite(self.best)
        for fit in self.fits:
            found[fit] &= not (self.mode == "together" and self._last_is_as_good(fit))
        self.members.copy_where(self.members.flat, self._best.parameters, found)
        return [kept if found[m] else current[m] for m, kept in enumerate(self._best.epochs)]

    def overfits(self, epoch: int, n_epochs: int) -> list[bool]:
        """Return for every fit whether further epochs are of no use.

        Its held-out losses have risen by more than three paired standard errors, and the best epoch
        is half of the epochs ago, or more. False for fits that do not keep one epoch "together".
        """
        if self.mode != "together" or epoch < JUDGED_PART * n_epochs:
            return [False] * len(self.fits)
        return [
            2 * self._best.epochs[fit.start] <= epoch
            and len(rise := self._rise(fit)) > 1
            and bool(rise.mean() > CLEARLY * rise.std() / math.sqrt(len(rise)))
            for fit in self.fits
        ]

    def _last_is_as_good(self, fit: slice) -> bool:
        """Whether the last losses exceed the best ones by at most one paired standard error."""
        rise = self._rise(fit)
        return len(rise) > 1 and bool(rise.mean() <= rise.std() / math.sqrt(len(rise)))

    def _rise(self, fit: slice) -> Tensor:
        """Return by how much the losses have risen since the best epoch, where they are finite."""
        rise = self._best.last[fit] - self._best.own[fit]
        return rise[torch.isfinite(rise)]


@dataclass(frozen=True)
class Patience:
    """When to stop: after some epochs in which no member of a fit improves its validation loss.

    Attributes
    ----------
    n_epochs : int
        Number of epochs without an improvement.
    tolerance : float
        Smallest improvement of the validation loss that counts.
    """

    n_epochs: int
    tolerance: float


class PatienceCounter:
    """Count for every fit the epochs without an improvement.

    Parameters
    ----------
    patience : Patience
    fits : sequence of slice
        Members of every fit.
    """

    def __init__(self, patience: Patience, fits: Sequence[slice]) -> None:
        self.patience = patience
        self.fits = fits
        self._reference = torch.full((fits[-1].stop,), math.inf, dtype=torch.float64)
        self._since = [0] * len(fits)

    def state(self) -> dict[str, Any]:
        """Return the losses that count as the last improvement, and their epochs."""
        return {"reference": self._reference, "since": list(self._since)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._reference, self._since = state["reference"], state["since"]

    def exhausted(self, epoch: int, losses: Tensor) -> list[bool]:
        """Note the losses after an epoch and return for every fit whether it should stop."""
        losses = losses.double().cpu()
        for number, fit in enumerate(self.fits):
            if bool((losses[fit] < self._reference[fit] - self.patience.tolerance).any()):
                self._reference[fit] = torch.fmin(losses[fit], self._reference[fit])
                self._since[number] = epoch
        return [epoch - since >= self.patience.n_epochs for since in self._since]
