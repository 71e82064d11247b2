"""Held-out rows: their losses, the parameters to keep, and when a fit stops."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skhybrid.training.early_stopping import BestKeeper, PatienceCounter
from skhybrid.training.members import Members
from skhybrid.training.minibatches import PerMemberBatches
from skhybrid.training.objective import Objective
from skhybrid.training.problem import Problem, TrainingConfig


class HeldOut:
    """The held-out rows during training.

    They decide which parameters to keep and when a fit stops.

    Parameters
    ----------
    objective : Objective
    problem : Problem
        With validation rows.
    members : Members
        At their start.
    config : TrainingConfig

    Attributes
    ----------
    exhausted : Tensor of bool, shape (n_members,)
        Which members belong to a fit that is to stop.
    keeper : BestKeeper
    """

    def __init__(
        self, objective: Objective, problem: Problem, members: Members, config: TrainingConfig
    ) -> None:
        self.objective = objective
        validation = problem.validation
        self.validation = objective.weighted_rows(validation)
        fits = problem.fits or [slice(0, members.n_members)]
        self.exhausted = torch.zeros_like(members.flat[: members.n_members], dtype=torch.bool)
        self._counter = None if config.patience is None else PatienceCounter(config.patience, fits)
        self._idle = None
        if isinstance(validation, PerMemberBatches):
            self._idle = validation.idle()
        elif validation.weight_per_member:
            self._idle = ~validation.weight.flatten(1).any(dim=1)
        self.keeper = BestKeeper(members, config.keep_best, fits)
        self.keeper.update(0, self.losses())

    def losses(self) -> Tensor:
        """Return the held-out loss of every member; NaN for members that hold no rows out."""
        losses = self.objective.data_losses(self.validation)
        return losses if self._idle is None else losses.masked_fill(self._idle, torch.nan)

    def check(self, epoch: int, n_epochs: int) -> bool:
        """Compute the held-out losses if they are due, and keep the best parameters.

        Returns whether a further fit is to stop: its patience is exhausted, or it overfits. Then
        :attr:`exhausted` holds the members of all these fits.
        """
        if not self.keeper.due(epoch, n_epochs):
            return False
        losses = self.losses()
        self.keeper.update(epoch, losses)
        before = self.exhausted.clone()
        stopping = self.keeper.overfits(epoch, n_epochs)
        if self._counter is not None:
            impatient = self._counter.exhausted(epoch, losses)
            stopping = [any(both) for both in zip(stopping, impatient, strict=True)]
        for fit, stops in zip(self.keeper.fits, stopping, strict=True):
            self.exhausted[fit] |= stops
        return bool((self.exhausted & ~before).any())

    def state(self) -> dict[str, Any]:
        """Return the kept parameters, and what the patience counts."""
        counter = None if self._counter is None else self._counter.state()
        return {"exhausted": self.exhausted, "keeper": self.keeper.state(), "counter": counter}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.exhausted = state["exhausted"]
        self.keeper.restore_state(state["keeper"])
        if self._counter is not None:
            self._counter.restore(state["counter"])
