"""Held-out rows: their losses, the parameters kept, and when a fit stops."""

from __future__ import annotations

import torch
from torch import Tensor

from skhybrid.training.early_stopping import BestKeeper, Waiting
from skhybrid.training.members import Members
from skhybrid.training.minibatches import PerMemberBatches
from skhybrid.training.objective import Objective
from skhybrid.training.problem import Problem, TrainingConfig


class _HeldOut:
    """The validation rows: what to keep, and when to stop."""

    def __init__(
        self, objective: Objective, problem: Problem, members: Members, config: TrainingConfig
    ) -> None:
        self.objective = objective
        validation = problem.validation
        self.validation = objective.without_others(validation)
        fits = problem.fits or [slice(0, members.n_members)]
        self.exhausted = torch.zeros_like(members.flat[: members.n_members], dtype=torch.bool)
        self._waiting = None if config.patience is None else Waiting(config.patience, fits)
        self._idle = None
        if isinstance(validation, PerMemberBatches):
            self._idle = validation.idle()
        elif validation.weight_per_member:
            self._idle = ~validation.weight.flatten(1).any(dim=1)
        self.keeper = BestKeeper(members, config.keep_best, fits)
        self.keeper.update(0, self.losses())

    def losses(self) -> Tensor:
        """Return the held-out loss of every member, NaN for those that hold nothing out."""
        losses = self.objective.data_losses(self.validation)
        return losses if self._idle is None else losses.masked_fill(self._idle, torch.nan)

    def look(self, epoch: int, n_epochs: int) -> bool:
        """Look at the held-out rows, if it is time, and say whether a fit has newly waited enough.

        :attr:`exhausted` tells which members belong to those that have.
        """
        if not self.keeper.due(epoch, n_epochs):
            return False
        losses = self.losses()
        self.keeper.update(epoch, losses)
        if self._waiting is None:
            return False
        before = self.exhausted.clone()
        for fit, done in zip(
            self._waiting.fits, self._waiting.exhausted(epoch, losses), strict=True
        ):
            self.exhausted[fit] |= done
        return bool((self.exhausted & ~before).any())
