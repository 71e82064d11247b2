"""Notice losses and parameters that become non-finite, and restore earlier parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.training.members import Members
from skhybrid.training.minibatches import PerMemberBatches
from skhybrid.training.objective import Objective
from skhybrid.training.result import Status


class NonFiniteGuard:
    """Stop members with non-finite losses or parameters, and restore earlier parameters.

    Parameters
    ----------
    objective : Objective
    data : Batch or PerMemberBatches
        Training rows.
    members : Members
    n_epochs : int
        Number of epochs that training is to run.

    Attributes
    ----------
    status : list of Status
    stopped : Tensor of bool, shape (n_members,)
    stopped_epoch, kept_epoch : list of int
        See :class:`~skhybrid.training.result.MemberResults`.
    """

    def __init__(
        self, objective: Objective, data: Batch | PerMemberBatches, members: Members, n_epochs: int
    ) -> None:
        self.objective = objective
        self.data = data
        self.members = members
        self.status = [Status.FINISHED] * members.n_members
        self.stopped = torch.zeros(members.n_members, dtype=torch.bool, device=members.flat.device)
        self.stopped_epoch = [n_epochs] * members.n_members
        self.kept_epoch = [n_epochs] * members.n_members
        # An interrupt may come at any time, so one assignment replaces all three at once: the
        # last whole epoch, its parameters, and the parameters of the epoch before.
        self._whole = (0, members.flat.clone(), members.flat.clone())

    @property
    def none_left(self) -> bool:
        """Whether all members have stopped."""
        return all(status is not Status.FINISHED for status in self.status)

    def check(self, epoch: int, losses: Tensor) -> bool:
        """Restore and stop members that became non-finite; return whether there are any."""
        broken = ~(torch.isfinite(losses) & self.members.finite()) & ~self.stopped
        any_broken = bool(broken.any())
        if any_broken:
            self._restore(broken, epoch)
        self._whole = (epoch, self.members.flat.clone(), self._whole[1])
        if any_broken:
            self.stopped = self.stopped | broken
        return any_broken

    @property
    def whole_epochs(self) -> int:
        """Number of epochs that were completed and checked."""
        return self._whole[0]

    def restore_whole_epoch(self) -> None:
        """Restore the unperturbed parameters at the end of the last whole epoch."""
        self.members.set_flat(self._whole[1])

    def state(self) -> dict[str, Any]:
        """Return how the members ended so far, and the last whole epoch."""
        return {
            "status": [each.name for each in self.status],
            "stopped": self.stopped,
            "stopped_epoch": list(self.stopped_epoch),
            "kept_epoch": list(self.kept_epoch),
            "whole": self._whole,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.status = [Status[name] for name in state["status"]]
        self.stopped = state["stopped"]
        self.stopped_epoch, self.kept_epoch = state["stopped_epoch"], state["kept_epoch"]
        self._whole = tuple(state["whole"])

    def stop_early(self, chosen: Tensor, epoch: int) -> None:
        """Stop members whose fits have exhausted their patience."""
        for member in (chosen & ~self.stopped).nonzero().flatten().tolist():
            self.status[member] = Status.EARLY_STOPPED
            self.stopped_epoch[member] = self.kept_epoch[member] = epoch
        self.stopped = self.stopped | chosen

    def stop_as_asked(self, chosen: Tensor | bool, epoch: int) -> None:
        """Stop members because a callback asked for it after this epoch."""
        chosen = torch.as_tensor(chosen, device=self.stopped.device).expand_as(self.stopped)
        chosen = chosen & ~self.stopped
        for member in chosen.nonzero().flatten().tolist():
            self.status[member] = Status.CALLBACK_STOPPED
            self.stopped_epoch[member] = self.kept_epoch[member] = epoch
        # The last step may have led to a non-finite loss.
        broken = chosen & ~torch.isfinite(self.objective.data_losses(self.data))
        if bool(broken.any()):
            self._restore(broken, epoch + 1)
        self.stopped = self.stopped | chosen

    def _restore(self, broken: Tensor, epoch: int) -> None:
        """Restore the latest parameters with a finite loss.

        A step may lead to finite parameters with a non-finite loss, which shows an epoch later.
        """
        _, last, earlier = self._whole
        self.members.copy_where(self.members.flat, last, broken)
        too_late = broken & ~torch.isfinite(self.objective.data_losses(self.data))
        self.members.copy_where(self.members.flat, earlier, too_late)
        for member in broken.nonzero().flatten().tolist():
            self.status[member] = Status.FAILED if epoch == 1 else Status.NON_FINITE
            self.stopped_epoch[member] = epoch
            self.kept_epoch[member] = max(0, epoch - (2 if too_late[member] else 1))
