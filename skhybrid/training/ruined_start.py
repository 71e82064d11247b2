"""Undo first epochs in which θ jumps off its start."""

from __future__ import annotations

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.training.members import PHYSICS, Members
from skhybrid.training.minibatches import PerMemberBatches
from skhybrid.training.objective import Objective
from skhybrid.training.step import Step

# An epoch ruins the start if its loss, in units of the target's variance, is above this multiple of
# the start's loss plus one. A model that predicts the mean has a loss of one.
MULTIPLE = 3.0
# Epochs after the start in which this can happen.
WATCHED_EPOCHS = 5
# Times that a member goes back to its start, and the factor of θ's learning rate each time.
MAX_RETURNS = 3
RATE_FACTOR = 0.1


class RuinedStart:
    """Return members to their start, with a smaller learning rate of θ, if their loss jumps.

    A step of θ is measured by its effect at the start. Where the physics is far from linear, such a
    step can still leave a good start.

    Parameters
    ----------
    objective : Objective
    data : Batch or PerMemberBatches
        Training rows.
    members : Members
        At their start.
    step : Step
    """

    def __init__(
        self, objective: Objective, data: Batch | PerMemberBatches, members: Members, step: Step
    ) -> None:
        self.members = members
        self.step = step
        self._start = members.flat.clone()
        self._limit = MULTIPLE * objective.data_losses(data) + 1.0
        self._n_watched = torch.full_like(self._limit, WATCHED_EPOCHS)
        self._n_returns = torch.zeros_like(self._limit)
        self._watching = True

    def state(self) -> dict[str, Tensor]:
        """Return which members are watched, and how often they returned."""
        return {"n_watched": self._n_watched, "n_returns": self._n_returns}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a state."""
        self._n_watched, self._n_returns = state["n_watched"], state["n_returns"]
        self._watching = bool((self._n_watched > 0).any())

    def check(self, losses: Tensor) -> None:
        """Return members whose loss in this epoch is far above the start's."""
        if not self._watching:
            return
        losses = losses.reshape(-1)
        ruined = (losses > self._limit) & torch.isfinite(losses)
        ruined &= (self._n_watched > 0) & (self._n_returns < MAX_RETURNS)
        self._n_watched = torch.where(ruined, float(WATCHED_EPOCHS), self._n_watched - 1.0)
        self._n_returns += ruined
        self._watching = bool((self._n_watched > 0).any())
        if bool(ruined.any()):
            self.members.copy_where(self.members.flat, self._start, ruined)
            factor = torch.where(ruined, RATE_FACTOR, 1.0)
            slower = self.members.per_parameter(factor - 1.0, [PHYSICS]) + 1.0
            self.step.start_again(ruined, slower)
