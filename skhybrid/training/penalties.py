"""Penalties on the weights, on the correction, and on its overlap with the physics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from skhybrid.training.members import GROUP, WEIGHT, Members


@dataclass(frozen=True)
class Penalties:
    """Strength of each penalty, one value for every member.

    Attributes
    ----------
    l2 : Tensor of shape (n_members,)
        λ in λ Σ‖W‖² over the network's weight tensors (there is no penalty on biases). Its gradient
        is taken at the unperturbed weights (Foret et al., ICLR 2021, eq. 1: the penalty stands
        outside the maximum).
    functional_norm : Tensor of shape (n_members,)
        λ in λ · mean(c²), where c is the network's contribution to the prediction in units of the
        target's standard deviation (Yin et al., "Augmenting physical models with deep networks",
        ICLR 2021, eq. 3: the smallest augmentation that explains the data).
    orthogonality : Tensor of shape (n_members,)
        λ in λ · mean((P c)²), where P projects onto the span of the physics' sensitivities ∂f_S/∂θ
        in the minibatch (Györök et al., "Orthogonal projection-based regularization for efficient
        model augmentation", L4DC 2025, there with fixed θ).
    groups : Tensor of shape (n_members,)
        λ in λ Σ a², where a are the values of groups in units of their prior's standard deviation.
        With λ = σ²/(N s²), for noise of variance σ², N observed values and a target of variance s²,
        this is the logarithm of a Gaussian prior beside that of the data's probability.
    """

    l2: Tensor
    functional_norm: Tensor
    orthogonality: Tensor
    groups: Tensor

    def expand(self, n_members: int) -> Penalties:
        """Return the penalties of a single member, repeated for several members."""
        return Penalties(*(value.expand(n_members) for value in vars(self).values()))

    @property
    def on_parameters(self) -> dict[str, Tensor]:
        """Strengths, by the role of the parameters, of the squared norms that any member has."""
        given = {WEIGHT: self.l2, GROUP: self.groups}
        return {role: value for role, value in given.items() if bool((value != 0).any())}

    @property
    def on_contribution(self) -> tuple[str, ...]:
        """Names of the penalties on the network's contribution that any member has."""
        return tuple(name for name in ON_CONTRIBUTION if bool((getattr(self, name) != 0).any()))


class SquaredNorms:
    """Gradient and value of the penalties on squared norms of all members.

    Parameters
    ----------
    members : Members
    strengths : mapping of str to Tensor of shape (n_members,)
        λ by the role of the penalised parameters.
    """

    def __init__(self, members: Members, strengths: Mapping[str, Tensor]) -> None:
        self._blocks = [
            (
                strengths[block.role].to(members.flat),
                block.view(members.flat),
                block.view(members.gradient),
            )
            for block in members.blocks
            if block.role in strengths
        ]

    @torch.no_grad()
    def add_gradient(self) -> None:
        """Add 2 λ W to the members' gradient."""
        for strength, values, gradient in self._blocks:
            gradient.addcmul_(values, strength.reshape(-1, 1), value=2.0)

    @torch.no_grad()
    def __call__(self) -> Tensor | float:
        """Return λ Σ‖W‖² of every member; 0.0 if no member has a penalty."""
        return sum(strength * values.square().sum(1) for strength, values, _ in self._blocks)


def functional_norm(contribution: Tensor, physics: Callable, coordinates: Mapping) -> Tensor:
    """Return the mean square of the network's contribution."""
    return contribution.square().mean()


def orthogonality(
    contribution: Tensor,
    physics: Callable[[Mapping[str, Tensor]], Tensor],
    coordinates: Mapping[str, Tensor],
) -> Tensor:
    """Return the mean square of the contribution's projection onto the physics' sensitivities.

    Parameters
    ----------
    contribution : Tensor of shape (n,) or (n, n_targets)
        The network's contribution to the prediction, in units of the target's standard deviation.
    physics : callable
        Maps scaled physics parameters to the prediction of the physics, in the same units.
    coordinates : dict of str to Tensor
        Scaled physics parameters at which the sensitivities are taken.

    Returns
    -------
    Tensor of shape ()
        The sensitivities have no gradient. The penalty moves the correction away from them, but
        does not move them away from the correction.
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
    # A ridge far below the precision of the data defines the projection also for parameters with
    # equal or no effect.
    ridge = 1e-6 * gram.diagonal().mean() + torch.finfo(gram.dtype).tiny
    gram = gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    overlap = sensitivities.T @ flat
    return overlap @ torch.linalg.solve(gram, overlap) / len(flat)


# Penalties on the network's contribution, with the arguments of orthogonality.
ON_CONTRIBUTION = {"functional_norm": functional_norm, "orthogonality": orthogonality}
