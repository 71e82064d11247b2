"""The loss of one member, and ways to evaluate it for all members."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from skhybrid.model.batch import select_rows
from skhybrid.model.hybrid import Hybrid
from skhybrid.training.losses import Loss
from skhybrid.training.penalties import ON_CONTRIBUTION


class MemberLoss:
    """The loss of one member on some rows, with errors in the target's standard deviation.

    Parameters
    ----------
    hybrid : Hybrid
    cost : Loss
        What an error costs.
    penalties : sequence of str
        Names of the penalties on the network's contribution.
    """

    def __init__(self, hybrid: Hybrid, cost: Loss, penalties: Sequence[str] = ()) -> None:
        self._hybrid = hybrid
        self._cost = cost
        self._penalties = tuple(penalties)
        self._inverse_scale = 1.0 / hybrid.scales.target_scale

    def data(self, coordinates, weights, x, y, weight, member_constants, *_) -> Tensor:
        """Return the mean loss, plus the model's extra loss.

        Parameters
        ----------
        coordinates, weights : mapping of str to Tensor
            Scaled physics parameters and network parameters.
        x, y, weight : Tensor or tuple, Tensor, and Tensor or None
            Rows, targets and their weights.
        member_constants : dict or None
            Scales and initial θ of the member, if they are not those of the model.
        """
        hybrid, inverse_scale = self._model_of(member_constants)
        prediction, extra = hybrid.evaluate(x, coordinates, weights, bounded=True)
        return self._mean(prediction - y, inverse_scale, weight) + extra

    def penalised(
        self,
        coordinates: Mapping[str, Tensor],
        weights: Mapping[str, Tensor] | None,
        x: Tensor,
        y: Tensor,
        weight: Tensor | None,
        member_constants: dict | None,
        *strengths: Tensor,
    ) -> Tensor:
        """Return the loss with penalties of these strengths, and without them."""
        hybrid, inverse_scale = self._model_of(member_constants)
        unit = inverse_scale if weight is None else inverse_scale * weight.sqrt()

        def physics(at: Mapping[str, Tensor]) -> Tensor:
            return hybrid.physics_part(x, at) * unit

        prediction, extra = hybrid.evaluate(x, coordinates, weights, bounded=True)
        contribution = prediction * unit - physics(coordinates)
        data_loss = loss = self._mean(prediction - y, inverse_scale, weight) + extra
        for name, strength in zip(self._penalties, strengths, strict=True):
            penalty = ON_CONTRIBUTION[name](contribution, physics, coordinates)
            loss = loss + strength * penalty
        return torch.stack([loss, data_loss.detach()])

    def _mean(self, error: Tensor, inverse_scale: Tensor, weight: Tensor | None) -> Tensor:
        """Return the mean weighted loss of errors in the target's units."""
        return self._cost.mean(error * inverse_scale, weight, inverse_scale.shape)

    def _model_of(self, member_constants: dict | None) -> tuple[Hybrid, Tensor]:
        """Return the model of a member, and the inverse standard deviation of its target."""
        if member_constants is None:
            return self._hybrid, self._inverse_scale
        hybrid = self._hybrid.with_member_constants(member_constants)
        return hybrid, 1.0 / hybrid.scales.target_scale


def one_by_one(
    loss: Callable[..., Tensor],
    n_members: int,
    *,
    rows_per_member: bool,
    weight_per_member: bool,
) -> Callable[..., Tensor]:
    """Return the loss function of all members, evaluated one by one.

    Parameters
    ----------
    loss : callable
        A method of :class:`MemberLoss`.
    n_members : int
    rows_per_member, weight_per_member : bool
        Whether rows and weights have a leading member axis.
    """

    def losses(coordinates, weights, x, y, weight, member_constants, *strengths):
        return torch.stack(
            [
                loss(
                    {name: tensor[member] for name, tensor in coordinates.items()},
                    {name: tensor[member] for name, tensor in weights.items()},
                    select_rows(x, member) if rows_per_member else x,
                    y[member] if rows_per_member else y,
                    weight[member] if weight_per_member else weight,
                    _constants_of(member_constants, member),
                    *(values[member] for values in strengths),
                )
                for member in range(n_members)
            ]
        )

    return losses


def _constants_of(member_constants: dict | None, member: int) -> dict | None:
    """Return the constants of one member."""
    if member_constants is None:
        return None
    return {
        name: _constants_of(part, member) if isinstance(part, dict) else part[member]
        for name, part in member_constants.items()
    }
