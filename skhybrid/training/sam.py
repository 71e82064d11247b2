"""Sharpness-aware minimisation: the point at which the gradient is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from skhybrid.training.members import BIAS, PHYSICS, WEIGHT, Block, Members

# Keeps the direction defined for a gradient of exactly zero.
TINY = 1e-12


class SAM:
    """The perturbation ε at which sharpness-aware minimisation takes its gradient.

    Here g is the gradient at the parameters w. Norms are taken separately for every member.

    - "layer": every weight tensor W of the network moves by ε = ρ ‖W‖ g / ‖g‖, so ρ is a relative
      change. Biases do not move, because their norm says nothing about their effect.
    - "global": all parameters move by ε = ρ g / ‖g‖ (Foret, Kleiner, Mobahi and Neyshabur,
      "Sharpness-aware minimization for efficiently improving generalization", ICLR 2021, eq. 2).
    - "elementwise": all parameters move by ε = ρ w² g / ‖w g‖ (Kwon, Kim, Park and Choi, "ASAM",
      ICML 2021, eq. 4 with the normalisation operator \\|w\\|).

    Parameters
    ----------
    members : Members
    rho : Tensor of shape (n_members,)
        Radius ρ of every member. It is read in every step: a tensor of the members' dtype and
        device may change in place.
    perturbation : {"layer", "global", "elementwise"}
    perturb : {"nn", "all"}
        Whether only the network moves, or also the scaled physics parameters z. With "layer" a
        physics parameter moves by ρ in z, which is ρ times its scale.

    Attributes
    ----------
    rho : Tensor of shape (n_members, 1)
        May be set before every step.
    roles : tuple of str
        Roles of the blocks whose gradients ε depends on.
    """

    def __init__(self, members: Members, rho: Tensor, perturbation: str, perturb: str) -> None:
        self.members = members
        self.rho = rho.to(members.flat).reshape(-1, 1)
        self.perturbation = perturbation
        roles = [WEIGHT] if perturbation == "layer" else [WEIGHT, BIAS]
        if perturb == "all":
            roles.append(PHYSICS)
        self.roles = tuple(roles)
        blocks = [block for block in members.blocks if self.moves(block)]
        self._saved = torch.empty_like(members.flat)
        self._perturbed = [
            (block.role, block.view(members.flat), block.view(members.gradient)) for block in blocks
        ]

    @property
    def moves_physics(self) -> bool:
        """Whether the physics parameters are perturbed too."""
        return PHYSICS in self.roles

    def moves(self, block: Block) -> bool:
        """Whether a block is perturbed."""
        return block.role in self.roles

    @torch.no_grad()
    def ascend(self) -> None:
        """Move the parameters by ε, from the members' current gradient."""
        self._saved.copy_(self.members.flat)
        on_cpu = not self.members.flat.is_cuda
        if self.perturbation == "layer" and self.members.n_members == 1 and on_cpu:
            self._ascend_single()
        else:
            moves = directions(self._perturbed, self.rho, self.perturbation)
            for (_, values, _), (direction, length) in zip(self._perturbed, moves, strict=True):
                values.addcmul_(direction, length)
        if self.moves_physics:
            self.members.project()

    @torch.no_grad()
    def descend(self) -> None:
        """Restore the parameters bit by bit."""
        self.members.flat.copy_(self._saved)

    def _ascend_single(self) -> None:
        """Move the layers of a single member on the CPU: fewer operations on small tensors."""
        rho, largest = float(self.rho), torch.finfo(self.members.flat.dtype).max
        for role, values, gradient in self._perturbed:
            values, gradient = values.view(-1), gradient.view(-1)
            length = rho / (math.sqrt(torch.dot(gradient, gradient)) + TINY)
            if role != PHYSICS:
                length *= math.sqrt(torch.dot(values, values))
            # Beyond the dtype, values become infinite; then the step moves nothing.
            values.add_(gradient, alpha=length if length <= largest else math.inf)


def directions(
    perturbed: Sequence[tuple[str, Tensor, Tensor]], rho: Tensor, perturbation: str
) -> list[tuple[Tensor, Tensor]]:
    """Return direction and length of the perturbation ε of every block.

    Parameters
    ----------
    perturbed : sequence of (str, Tensor, Tensor)
        Role, values and gradient of every block, of shape (n_members, size).
    rho : Tensor of shape (n_members, 1)
    perturbation : {"layer", "global", "elementwise"}

    Returns
    -------
    list of (Tensor, Tensor)
        Direction, of shape (n_members, size), and length, of shape (n_members, 1). ε is the
        product of the two.
    """
    if perturbation == "layer":
        moves = []
        for role, values, gradient in perturbed:
            length = rho / (_norm(gradient) + TINY)
            moves.append((gradient, length if role == PHYSICS else length * _norm(values)))
        return moves
    steps = [
        gradient * values.abs() if perturbation == "elementwise" else gradient
        for _, values, gradient in perturbed
    ]
    length = rho / (torch.stack([_norm(step) for step in steps]).square().sum(0).sqrt() + TINY)
    if perturbation == "elementwise":
        steps = [step * values.abs() for step, (_, values, _) in zip(steps, perturbed, strict=True)]
    return [(step, length) for step in steps]


def _norm(values: Tensor) -> Tensor:
    """Return the norm of every member's values, of shape (n_members, 1)."""
    return torch.linalg.vector_norm(values, dim=1, keepdim=True)
