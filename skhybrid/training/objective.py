"""What is minimised: the loss of every member on a minibatch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skhybrid.exceptions import SerialMembersWarning
from skhybrid.structures import Hybrid
from skhybrid.training.members import Members
from skhybrid.training.penalties import Penalties, functional_norm, orthogonality

# Targets evaluated at once where no gradient is needed.
EVALUATION_NUMBERS = 2**17


class Batch(NamedTuple):
    """Rows of the training data.

    Attributes
    ----------
    x : Tensor of shape (n, n_features), or a named tuple of tensors with n rows
    y : Tensor of shape (n,) or (n, n_targets), or of further dimensions
    weight : Tensor or None
        Weight of every target, of the shape of y or with a leading member axis, and of mean one
        over the training data. None is one everywhere.
    """

    x: Tensor | tuple
    y: Tensor
    weight: Tensor | None


class Objective:
    """Mean weighted squared error in units of the target's spread, plus penalties, per member.

    Parameters
    ----------
    hybrid : Hybrid
    members : Members
    penalties : Penalties
    weight_per_member : bool, default=False
        Whether the weights of a batch carry a leading member axis.
    compile : bool, default=False
        Whether to compile the loss and its gradient with ``torch.compile``.
    """

    def __init__(
        self,
        hybrid: Hybrid,
        members: Members,
        penalties: Penalties,
        *,
        weight_per_member: bool = False,
        compile: bool = False,
    ) -> None:
        in_part = hybrid.compiled() if compile else None
        self.hybrid = hybrid if in_part is None else in_part
        self.members = members
        self._penalties = penalties
        penalty_weights = (penalties.functional_norm, penalties.orthogonality)
        single = members.n_members == 1
        self._penalty_weights = tuple(w[0] if single else w for w in penalty_weights)
        self._inverse_scale = 1.0 / hybrid.scales.target_scale
        self._weight_per_member = weight_per_member
        self._loss = (
            self._penalised_loss
            if penalties.has_functional_norm or penalties.has_orthogonality
            else self._data_loss
        )
        self._training_loss = self._over_members(self._loss)
        if compile and in_part is None:
            self._training_loss = torch.compile(self._training_loss, dynamic=False)
        self._evaluation_loss = self._over_members(self._data_loss)

    def __call__(self, batch: Batch) -> Tensor:
        """Return the loss of every member, of shape (n_members,), or () for a single one."""
        return self._training_loss(*self._arguments(batch))

    @torch.no_grad()
    def data_losses(self, data: Batch) -> Tensor:
        """Return every member's loss over all rows, without penalties: shape (n_members,)."""
        total, mass = 0.0, 0
        n_rows = max(1, EVALUATION_NUMBERS // max(1, data.y[0].numel()))
        for start in range(0, len(data.y), n_rows):
            batch = rows_of(data, slice(start, start + n_rows))
            total = total + self._evaluation_loss(*self._arguments(batch)) * batch.y.numel()
            mass += batch.y.numel()
        return (total / mass).reshape(-1)

    def check_vectorised(self, batch: Batch) -> None:
        """Find out whether the members can be evaluated together; otherwise go one by one.

        A physics function with a branch on its data, for example, cannot be vectorised over
        members, but each member can still be evaluated alone.
        """
        if self.members.n_members == 1:
            return
        if not self.hybrid.vectorisable:
            self._go_one_by_one()
            return
        try:
            self.members.backward(self(batch))
        except (RuntimeError, ValueError) as error:
            self._go_one_by_one()
            self.members.backward(self(batch))
            reason = str(error).strip().splitlines()[0]
            warnings.warn(
                "The model cannot be vectorised over several fits (restarts, or the fold copies of "
                "the second phase), so they are trained one after the other, which is slower. "
                f"torch.vmap says: {reason}",
                SerialMembersWarning,
                stacklevel=2,
            )

    def _go_one_by_one(self) -> None:
        self._training_loss = self._one_by_one(self._loss)
        self._evaluation_loss = self._one_by_one(self._data_loss)

    def _arguments(self, batch: Batch) -> tuple:
        x, y, weight = batch
        if self.members.n_members > 1:
            weights = self.members.weights
        else:
            weights = None  # the module holds them
            weight = weight[0] if self._weight_per_member else weight
        return (self.members.coordinates, weights, x, y, weight, *self._penalty_weights)

    def _over_members(self, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        if self.members.n_members == 1:
            return loss
        weight_axis = 0 if self._weight_per_member else None
        return torch.vmap(
            loss, in_dims=(0, 0, None, None, weight_axis, 0, 0), randomness="different"
        )

    def _one_by_one(self, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def losses(coordinates, weights, x, y, weight, *penalty_weights):
            return torch.stack(
                [
                    loss(
                        {name: tensor[member] for name, tensor in coordinates.items()},
                        {name: tensor[member] for name, tensor in weights.items()},
                        x,
                        y,
                        weight[member] if self._weight_per_member else weight,
                        *(values[member] for values in penalty_weights),
                    )
                    for member in range(self.members.n_members)
                ]
            )

        return losses

    def _data_loss(self, coordinates, weights, x, y, weight, *_) -> Tensor:
        prediction, extra = self.hybrid.evaluate(x, coordinates, weights, bounded=True)
        return _mean_square(prediction - y, self._inverse_scale, weight) + extra

    def _penalised_loss(
        self,
        coordinates: Mapping[str, Tensor],
        weights: Mapping[str, Tensor] | None,
        x: Tensor,
        y: Tensor,
        weight: Tensor | None,
        functional_norm_weight: Tensor,
        orthogonality_weight: Tensor,
    ) -> Tensor:
        unit = self._inverse_scale if weight is None else self._inverse_scale * weight.sqrt()

        def physics(at: Mapping[str, Tensor]) -> Tensor:
            return self.hybrid.physics_part(x, at) * unit

        prediction, extra = self.hybrid.evaluate(x, coordinates, weights, bounded=True)
        contribution = prediction * unit - physics(coordinates)
        loss = _mean_square(prediction - y, self._inverse_scale, weight) + extra
        if self._penalties.has_functional_norm:
            loss = loss + functional_norm_weight * functional_norm(contribution)
        if self._penalties.has_orthogonality:
            overlap = orthogonality(contribution, physics, dict(coordinates))
            loss = loss + orthogonality_weight * overlap
        return loss


def rows_of(data: Batch, rows: slice | Tensor) -> Batch:
    """Return some rows of the data; the row axis of the weights is that of y, from the right."""
    weight = data.weight
    if weight is not None:
        weight = weight[rows] if weight.ndim == data.y.ndim else weight[:, rows]
    return Batch(take(data.x, rows), data.y[rows], weight)


def take(x: Any, rows: Any) -> Any:
    """Return some rows of a tensor or array, or of each one of a named tuple."""
    if not isinstance(x, tuple):
        return x[rows]
    return type(x)(*(None if part is None else part[rows] for part in x))


def _mean_square(error: Tensor, inverse_scale: Tensor, weight: Tensor | None) -> Tensor:
    square = (error * inverse_scale).square()
    return square.mean() if weight is None else (square * weight).mean()
