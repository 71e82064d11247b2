"""Which parameters to keep, and when to stop, by held-out losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from skhybrid.training.members import Members

# The validation loss is looked at about so many times in a run, however many epochs it has.
EVALUATIONS = 100


class BestKeeper:
    """Remembers the parameters with the lowest validation loss.

    Parameters
    ----------
    members : Members
    mode : {None, "each", "together"}
        None remembers nothing. "each": every member's own best. "together": those of all members
        of a fit at the epoch with the lowest mean loss over the members that hold rows out (the
        loss of the others is NaN); but the last ones where several hold rows out and their losses
        rose since by no more than one standard error, paired by member. Late parameters are those
        of a small learning rate, and the minimum over many noisy epochs flatters itself.
    fits : sequence of slice, default=None
        Which members belong to which fit; None: all to one.
    """

    def __init__(
        self, members: Members, mode: str | None, fits: Sequence[slice] | None = None
    ) -> None:
        self.members = members
        self.mode = mode
        self.fits = [slice(0, members.n_members)] if fits is None else fits
        self.best = torch.full((members.n_members,), math.inf, dtype=torch.float64)
        self.epochs = [0] * members.n_members
        self._kept = members.flat.clone()
        self._best_losses = self._last_losses = self.best

    @staticmethod
    def due(epoch: int, n_epochs: int) -> bool:
        """Whether the validation loss is to be computed after this epoch."""
        return epoch % max(1, n_epochs // EVALUATIONS) == 0 or epoch == n_epochs

    def update(self, epoch: int, losses: Tensor) -> None:
        """Keep the parameters of the members whose validation loss is the lowest so far."""
        if self.mode is None:
            return
        self._last_losses = losses = losses.double().cpu()
        if self.mode == "together":
            losses = torch.cat([losses[fit].nanmean().expand_as(losses[fit]) for fit in self.fits])
        better = losses < self.best
        if not bool(better.any()):
            return
        self.best = torch.where(better, losses, self.best)
        self.epochs = [
            epoch if now else kept for now, kept in zip(better.tolist(), self.epochs, strict=True)
        ]
        self._best_losses = torch.where(better, self._last_losses, self._best_losses)
        self.members.copy_where(self._kept, self.members.flat, better)

    def restore(self, current: list[int]) -> list[int]:
        """Put the kept parameters back and return the epoch each member's come from.

        ``current`` are the epochs of the members' present parameters, which stay where no
        validation loss was finite.
        """
        if self.mode is None:
            return current
        found = torch.isfinite(self.best)
        for fit in self.fits:
            found[fit] &= not (self.mode == "together" and self._last_is_as_good(fit))
        self.members.copy_where(self.members.flat, self._kept, found)
        return [kept if found[m] else current[m] for m, kept in enumerate(self.epochs)]

    def _last_is_as_good(self, fit: slice) -> bool:
        """Whether the last losses exceed the best ones by one paired standard error at the most."""
        rise = self._last_losses[fit] - self._best_losses[fit]
        rise = rise[torch.isfinite(rise)]
        return len(rise) > 1 and bool(rise.mean() <= rise.std() / math.sqrt(len(rise)))


@dataclass(frozen=True)
class Patience:
    """Stop after some epochs in which no member of a fit improved its validation loss enough.

    Attributes
    ----------
    n_epochs : int
    tolerance : float
        Smallest improvement of the validation loss that counts.
    """

    n_epochs: int
    tolerance: float


class Waiting:
    """How long every fit has been without an improvement.

    Parameters
    ----------
    patience : Patience
    fits : sequence of slice
        Which members belong to which fit.
    """

    def __init__(self, patience: Patience, fits: Sequence[slice]) -> None:
        self.patience = patience
        self.fits = fits
        self._reference = torch.full((fits[-1].stop,), math.inf, dtype=torch.float64)
        self._since = [0] * len(fits)

    def exhausted(self, epoch: int, losses: Tensor) -> list[bool]:
        """Take note of the losses after an epoch and say which fits should stop."""
        losses = losses.double().cpu()
        for number, fit in enumerate(self.fits):
            if bool((losses[fit] < self._reference[fit] - self.patience.tolerance).any()):
                self._reference[fit] = torch.fmin(losses[fit], self._reference[fit])
                self._since[number] = epoch
        return [epoch - since >= self.patience.n_epochs for since in self._since]
