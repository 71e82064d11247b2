"""Penalties: small weights, a small correction, a correction that leaves the physics its part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from skhybrid.training.members import WEIGHT, Members


@dataclass(frozen=True)
class Penalties:
    """Weight of each penalty, one for every member.

    Attributes
    ----------
    l2 : Tensor of shape (n_members,)
        λ in λ Σ‖W‖² over the network's weight tensors (biases are free). Its gradient is taken at
        the unperturbed weights (Foret et al., ICLR 2021, eq. 1: the penalty stands outside the
        maximum).
    functional_norm : Tensor of shape (n_members,)
        λ in λ · mean(c²), where c is what the network contributes to the prediction in units of
        the target's spread (Yin et al., "Augmenting physical models with deep networks", ICLR
        2021, eq. 3: the smallest augmentation that explains the data).
    orthogonality : Tensor of shape (n_members,)
        λ in λ · mean((P c)²), where P projects on the span of the physics' sensitivities ∂f_S/∂θ
        in the minibatch (Györök et al., "Orthogonal projection-based regularization for efficient
        model augmentation", L4DC 2025, there with fixed θ).
    """

    l2: Tensor
    functional_norm: Tensor
    orthogonality: Tensor

    def expand(self, n_members: int) -> Penalties:
        """Return the penalties of a single member for several."""
        return Penalties(*(value.expand(n_members) for value in vars(self).values()))

    @property
    def has_functional_norm(self) -> bool:
        """Whether any member has a functional norm."""
        return bool((self.functional_norm != 0).any())

    @property
    def has_orthogonality(self) -> bool:
        """Whether any member has an orthogonality penalty, whose sensitivities cost most."""
        return bool((self.orthogonality != 0).any())


class L2:
    """Gradient and value of the l2 penalty of all members."""

    def __init__(self, members: Members, l2: Tensor) -> None:
        self._weight = l2.to(members.flat)
        self._blocks = [
            (block.view(members.flat), block.view(members.gradient))
            for block in members.blocks
            if block.role == WEIGHT and bool((l2 != 0).any())
        ]

    @torch.no_grad()
    def add_gradient(self) -> None:
        """Add 2 λ W to the members' gradient."""
        for values, gradient in self._blocks:
            gradient.addcmul_(values, self._weight.reshape(-1, 1), value=2.0)

    @torch.no_grad()
    def __call__(self) -> Tensor | float:
        """Return λ Σ‖W‖² of every member, 0.0 where there is no penalty."""
        return sum(self._weight * values.square().sum(1) for values, _ in self._blocks)


def functional_norm(contribution: Tensor) -> Tensor:
    """Return the mean square of the network's contribution."""
    return contribution.square().mean()


def orthogonality(
    contribution: Tensor, physics: Callable[[dict[str, Tensor]], Tensor], coordinates: dict
) -> Tensor:
    """Return the mean square of the contribution's projection on the physics' sensitivities.

    Parameters
    ----------
    contribution : Tensor of shape (n,) or (n, n_targets)
        What the network adds to the prediction, in units of the target's spread.
    physics : callable
        From scaled physics parameters to what the physics predicts, in the same units.
    coordinates : dict of str to Tensor
        Scaled physics parameters at which the sensitivities are taken.

    Returns
    -------
    Tensor of shape ()
        The sensitivities carry no gradient: they tell where the correction must not go, and are
        not themselves to be turned away from it.
    """
    if not coordinates:
        return contribution.new_zeros(())
    detached = {name: value.detach() for name, value in coordinates.items()}
    columns = torch.func.jacfwd(physics)(detached)
    flat = contribution.reshape(-1)
    sensitivities = torch.cat(
        [column.reshape(len(flat), -1) for column in columns.values()], dim=1
    ).detach()
    gram = sensitivities.T @ sensitivities
    # A ridge far below the data's own precision, so that parameters which act alike, or not at
    # all, leave the projection defined.
    ridge = 1e-6 * gram.diagonal().mean() + torch.finfo(gram.dtype).tiny
    gram = gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    overlap = sensitivities.T @ flat
    return overlap @ torch.linalg.solve(gram, overlap) / len(flat)
