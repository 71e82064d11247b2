"""The loss of every member on a minibatch."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from skhybrid.exceptions import SerialMembersWarning
from skhybrid.model.batch import Batch
from skhybrid.model.dropout import has_random_layers
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.runtime.user_warnings import warn, warnings_caught
from skhybrid.training.direct_gradient import DirectGradient
from skhybrid.training.losses import SQUARED_ERROR, Loss
from skhybrid.training.member_loss import MemberLoss, one_by_one
from skhybrid.training.members import ALL, Members
from skhybrid.training.members_as_rows import MembersAsRows, agree
from skhybrid.training.minibatches import PerMemberBatches, WeightedRows, rows_of
from skhybrid.training.penalties import Penalties

# Largest number of targets evaluated at once without a gradient.
MAX_TARGETS_AT_ONCE = 2**17
# Several members are evaluated on so many targets in all, each on at least so many rows.
MAX_TARGETS_OF_MEMBERS = 2**18
MIN_ROWS_OF_MEMBERS = 10_240


class Objective:
    """The loss per member: the mean weighted loss of the errors, plus penalties.

    Errors are in units of the target's standard deviation.

    Parameters
    ----------
    hybrid : Hybrid
    members : Members
    penalties : Penalties
    weight_per_member : bool, default=False
        Whether the weights of a batch have a leading member axis.
    row_axes : int, named tuple or None, default=None
        Member axis of the features, as ``in_dims`` of ``torch.vmap``; None means no such axis.
    member_constants : dict, default=None
        Scales and initial θ of every member, stacked, if they differ.
    loss : Loss, default=Loss()
        What an error costs; by default its square.

    Attributes
    ----------
    rows_per_member : bool
        Whether features and targets of a minibatch have a leading member axis.
    """

    def __init__(
        self,
        hybrid: Hybrid,
        members: Members,
        penalties: Penalties,
        *,
        weight_per_member: bool = False,
        row_axes: int | tuple | None = None,
        member_constants: dict | None = None,
        loss: Loss = SQUARED_ERROR,
    ) -> None:
        self.hybrid = hybrid
        self._cost = loss
        self.members = members
        self._penalties = penalties.on_contribution
        penalty_weights = [getattr(penalties, name) for name in self._penalties]
        single = members.n_members == 1
        self._penalty_weights = tuple(w[0] if single else w for w in penalty_weights)
        self._weight_per_member = weight_per_member
        self._row_axes = row_axes
        self.rows_per_member = row_axes is not None
        self._constants = member_constants
        member = MemberLoss(hybrid, loss, self._penalties)
        self._data_loss = member.data
        self._loss = member.penalised if self._penalties else member.data
        self._training_loss = self._over_members(self._loss)
        self._evaluation_loss = self._over_members(self._data_loss)
        self._is_serial = False
        self._together: Callable[..., Tensor] | None = None
        self._direct: DirectGradient | None = None

    def __call__(self, batch: Batch) -> Tensor:
        """Return the loss of every member, of shape (n_members,), or () for a single one."""
        return self._with_data_losses(*self._arguments(batch))[0]

    def _with_data_losses(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        """Return the loss of every member, and its part without penalties."""
        return self._in_parts(self._training_loss(*arguments))

    def _in_parts(self, found: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses, and the losses without penalties, from what a loss function found."""
        return found.unbind(-1) if self._penalties else (found, found)

    def gradient(
        self,
        batch: Batch,
        roles: Collection[str] = ALL,
        *,
        again: bool = False,
        learns_physics: bool = True,
        keep: str | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Write every member's gradient into the members; return losses, and without penalties.

        Parameters
        ----------
        batch : Batch
        roles : collection of str, default=ALL
            Roles of the blocks whose gradients are needed; others may have any finite value.
        again : bool, default=False
            Whether batch and physics parameters are the same as in the last call.
        learns_physics : bool, default=True
            Whether a call for this batch may ask for gradients of the physics parameters.
        keep : str, default=None
            Blocks of this role keep their current gradient.
        """
        if self._direct is not None:
            if self.members.n_members == 1 and self._weight_per_member:
                batch = batch._replace(weight=batch.weight[0])
            losses = self._direct(batch, roles, again=again, learns_physics=learns_physics)
            return losses, losses
        if self._together is not None:
            try:
                found = self._backward(self._together, batch, keep)
            except Exception as error:  # the physics may take another branch than before
                if is_out_of_memory(error):
                    raise
            else:
                # Matrices of steps that diverge may overflow where the gradient is zero.
                if math.isfinite(float(self.members.gradient.sum())):
                    return found
        return self._backward(self._training_loss, batch, keep)

    def _backward(
        self, loss: Callable[..., Tensor], batch: Batch, keep: str | None
    ) -> tuple[Tensor, Tensor]:
        """Write the gradients of a loss function into the members; return what it found."""
        losses, data_losses = self._in_parts(loss(*self._arguments(batch)))
        self.members.backward(losses, keep=keep)
        return losses.detach(), data_losses.detach()

    @property
    def solves_together(self) -> bool:
        """Whether all stages of a rollout are differentiated at once, wherever that is possible."""
        return self._together is not None

    @property
    def is_direct(self) -> bool:
        """Whether gradients are taken without autograd for the network."""
        return self._direct is not None

    def whole_loss(self) -> Callable[..., tuple[Tensor, Tensor]] | None:
        """Return the losses as a function of coordinates, weights and :meth:`arguments`.

        The function returns the losses, and the losses without penalties. None if torch cannot
        record it: members are evaluated one by one, gradients come from an adjoint equation,
        solvers choose their steps, or layers draw random numbers.
        """
        hybrid = self.hybrid
        if self._is_serial or not (hybrid.allows_vmap and hybrid.differentiable):
            return None
        if hybrid.network is not None and has_random_layers(hybrid.network):
            return None
        whole = self._over_members(self._loss)
        return lambda *arguments: self._in_parts(whole(*arguments))

    def arguments(self, batch: Batch) -> tuple:
        """Return the arguments of the loss after coordinates and weights."""
        return self._arguments(batch)[2:]

    def weighted_rows(
        self, data: Batch | PerMemberBatches
    ) -> Batch | PerMemberBatches | WeightedRows:
        """Return only the rows with a weight for each member, if they can be evaluated alone.

        Extra loss terms need all rows.
        """
        weighted = data.weight is not None and self._weight_per_member
        as_rows = isinstance(self._evaluation_loss, MembersAsRows)
        if not weighted or not as_rows or self.hybrid.has_extra_loss:
            return data
        own = WeightedRows(data)
        return own if own.n_rows <= own.n_all // 2 else data

    @torch.no_grad()
    def data_losses(self, data: Batch | PerMemberBatches | WeightedRows) -> Tensor:
        """Return every member's loss over all rows, without penalties, of shape (n_members,)."""
        total = 0.0
        evaluate = self._evaluation_loss
        n_rows = n_all = len(data.y)
        numbers_in_row = data.y[0].numel()
        if self.rows_per_member:
            n_rows = n_all = data.n_rows
            numbers_in_row = data.y[0, 0].numel() * self.members.n_members
        if isinstance(data, WeightedRows):
            evaluate = evaluate.for_rows_of_members()
            n_rows, n_all = data.n_rows, data.n_all
        chunk = max(1, MAX_TARGETS_AT_ONCE // max(1, numbers_in_row))
        of_members = MAX_TARGETS_OF_MEMBERS // (max(1, numbers_in_row) * self.members.n_members)
        chunk = min(chunk, max(MIN_ROWS_OF_MEMBERS, of_members))
        for start in range(0, n_rows, chunk):
            rows = slice(start, min(start + chunk, n_rows))
            losses = evaluate(*self._arguments(rows_of(data, rows)))
            total = total + losses * (rows.stop - rows.start)
        losses = (total / n_all).reshape(-1)
        if self.rows_per_member and data.padding is not None:
            losses = losses * data.padding
        return losses

    def choose_evaluation(self, batch: Batch) -> None:
        """Choose how to evaluate the members: as rows, by ``torch.vmap``, or one by one.

        Physics that branches on its data, for example, cannot be vectorised over members, but each
        member can be evaluated alone. If ``torch.vmap`` works, its losses and gradients for
        different members decide whether members may be evaluated as rows (see
        :class:`MembersAsRows`).

        Parameters
        ----------
        batch : Batch
            A minibatch to try the evaluations on.

        Warns
        -----
        SerialMembersWarning
            If ``torch.vmap`` fails.
        """
        if self.members.n_members == 1:
            if self._constants is None and not self.rows_per_member:
                self._use_direct_gradient(None)
                if self._gains_by_rollout_gradient(batch):
                    self._solve_together_if_same(batch)
            return
        if not self.hybrid.allows_vmap:
            self._go_one_by_one()
            return
        try:
            with self.members.disturbed():
                expected = self._with_gradient(self(batch))
        except (RuntimeError, ValueError) as error:
            self._go_one_by_one()
            self.members.backward(self(batch))
            reason = str(error).strip().splitlines()[0]
            warn(
                "The model cannot be vectorised over several fits (restarts, or the fold copies of "
                "the second phase), so they are trained one after the other, which is slower. "
                f"torch.vmap says: {reason}",
                SerialMembersWarning,
            )
            return
        if self.hybrid.allows_members_as_rows and not self._penalties:
            self._use_rows_if_same(batch, expected)

    def _use_rows_if_same(self, batch: Batch, expected: tuple[Tensor, Tensor]) -> None:
        """Evaluate the members as rows from now on, if that gives the expected losses."""
        n_axes = self.hybrid.n_field_axes
        options = [n_axes, n_axes + 1, None]
        # Answers of a network are rows of all members.
        if self.hybrid.physics is None or self.hybrid.parts is not None:
            options = [n_axes]
        with self.members.disturbed(), warnings_caught():
            for axes_after_rows in options:
                as_rows = self._as_rows(axes_after_rows)
                if self._agrees(as_rows, batch, expected):
                    self._training_loss = self._evaluation_loss = as_rows
                    self._use_direct_gradient(as_rows)
                    if self._gains_by_rollout_gradient(batch):
                        together = self._as_rows(axes_after_rows, solves_together=True)
                        if self._agrees(together, batch, expected):
                            self._together = together
                    return

    def _as_rows(
        self, axes_after_rows: int | None, *, solves_together: bool = False
    ) -> MembersAsRows:
        """Return the losses of the members evaluated as rows."""
        return MembersAsRows(
            self.hybrid,
            self.members.n_members,
            rows_per_member=self.rows_per_member,
            member_constants=self._constants,
            axes_after_rows=axes_after_rows,
            loss=self._cost,
            solves_together=solves_together,
        )

    def _gains_by_rollout_gradient(self, batch: Batch) -> bool:
        """Whether it is faster to differentiate all stages of a rollout at once."""
        if self._penalties:
            return False
        return self.hybrid.gains_by_rollout_gradient(batch.x, self.members.n_members)

    def _solved_together(self) -> Callable[..., Tensor]:
        """Return the loss of one member, with all stages of rollouts differentiated at once."""
        return MemberLoss(self.hybrid.with_rollout_gradient(), self._cost).data

    def _solve_together_if_same(self, batch: Batch) -> None:
        """Differentiate all stages of rollouts at once from now on, if that gives the same."""
        loss = self._solved_together()
        with self.members.disturbed(), warnings_caught():
            expected = self._with_gradient(self(batch))
            if self._agrees(loss, batch, expected):
                self._together = loss

    def _agrees(
        self, loss: Callable[..., Tensor], batch: Batch, expected: tuple[Tensor, Tensor]
    ) -> bool:
        """Whether a loss function gives the expected losses and gradients."""
        try:
            found = self._with_gradient(loss(*self._arguments(batch)))
        except Exception:  # physics that gets the rows of all members may raise any error
            return False
        return agree(found, expected, self.members.blocks)

    def _use_direct_gradient(self, as_rows: MembersAsRows | None) -> None:
        """Take gradients without autograd for the network from now on, if that is possible."""
        if not self._penalties and DirectGradient.possible(self.hybrid, self.members):
            self._direct = DirectGradient(self.hybrid, self.members, as_rows, self._cost)

    def _with_gradient(self, losses: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses and the flat gradient of all members."""
        self.members.backward(losses)
        return losses.detach(), self.members.gradient.clone()

    def _go_one_by_one(self) -> None:
        """Evaluate the members one by one from now on."""
        self._is_serial = True
        axes = {
            "rows_per_member": self.rows_per_member,
            "weight_per_member": self._weight_per_member,
        }
        self._training_loss = one_by_one(self._loss, self.members.n_members, **axes)
        self._evaluation_loss = one_by_one(self._data_loss, self.members.n_members, **axes)

    def _arguments(self, batch: Batch) -> tuple:
        """Return the arguments of the loss functions."""
        x, y, weight = batch
        if self.members.n_members > 1:
            weights = self.members.weights
        else:
            weights = None  # the module's own parameters
            weight = weight[0] if self._weight_per_member else weight
        coordinates = self.members.coordinates
        return (coordinates, weights, x, y, weight, self._constants, *self._penalty_weights)

    def _over_members(self, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return the loss function of all members, by ``torch.vmap``."""
        if self.members.n_members == 1:
            return loss
        weight_axis = 0 if self._weight_per_member else None
        target_axis = 0 if self.rows_per_member else None
        constants_axis = None if self._constants is None else 0
        shared = (0, 0, self._row_axes, target_axis, weight_axis, constants_axis)
        axes = (*shared, *(0 for _ in self._penalties))
        return torch.vmap(loss, in_dims=axes, randomness="different")
