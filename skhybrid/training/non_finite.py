"""Losses and parameters that become non-finite: notice them and go back."""

from __future__ import annotations

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.training.members import Members
from skhybrid.training.objective import Objective
from skhybrid.training.result import Status


class _Guard:
    """Watches for losses and parameters that become non-finite."""

    def __init__(self, objective: Objective, data: Batch, members: Members, n_epochs: int) -> None:
        self.objective = objective
        self.data = data
        self.members = members
        self.status = [Status.FINISHED] * members.n_members
        self.stopped = torch.zeros(members.n_members, dtype=torch.bool, device=members.flat.device)
        self.stopped_epoch = [n_epochs] * members.n_members
        self.kept_epoch = [n_epochs] * members.n_members
        self._last, self._earlier = members.flat.clone(), members.flat.clone()

    @property
    def none_left(self) -> bool:
        """Whether every member has been stopped."""
        return all(status is not Status.FINISHED for status in self.status)

    def check(self, epoch: int, losses: Tensor) -> bool:
        """Restore members that went wrong in this epoch, and say whether there are any."""
        broken = ~(torch.isfinite(losses) & self.members.finite()) & ~self.stopped
        any_broken = bool(broken.any())
        if any_broken:
            self._restore(broken, epoch)
            self.stopped = self.stopped | broken
        self._earlier.copy_(self._last)
        self._last.copy_(self.members.flat)
        return any_broken

    def stop_early(self, chosen: Tensor, epoch: int) -> None:
        """Note which members' fits have waited long enough."""
        for member in (chosen & ~self.stopped).nonzero().flatten().tolist():
            self.status[member] = Status.EARLY_STOPPED
            self.stopped_epoch[member] = self.kept_epoch[member] = epoch
        self.stopped = self.stopped | chosen

    def _restore(self, broken: Tensor, epoch: int) -> None:
        """Give broken members their newest parameters at which the loss is finite.

        A step leads to finite parameters at which the loss is not; it is seen an epoch later.
        """
        self.members.copy_where(self.members.flat, self._last, broken)
        too_late = broken & ~torch.isfinite(self.objective.data_losses(self.data))
        self.members.copy_where(self.members.flat, self._earlier, too_late)
        for member in broken.nonzero().flatten().tolist():
            self.status[member] = Status.FAILED if epoch == 1 else Status.NON_FINITE
            self.stopped_epoch[member] = epoch
            self.kept_epoch[member] = max(0, epoch - (2 if too_late[member] else 1))
