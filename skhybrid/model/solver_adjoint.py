"""Derivatives of whole solver steps, from the Jacobians of their stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method whose stages use only the slope before.

    Stage i is at x + h · parts[i] · k_(i-1), where k_(i-1) is the slope of the stage before, and at
    the time t + h · parts[i]. The step ends at x + h Σ weights[i] k_i. Hairer, Nørsett and Wanner,
    "Solving ordinary differential equations I" (1993), section II.1.

    Attributes
    ----------
    parts, weights : tuple of float
    """

    parts: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def n_stages(self) -> int:
        """Number of evaluations of the right-hand side in a step."""
        return len(self.parts)

    def step_matrices(self, jacobian: Tensor, h: Tensor) -> Tensor:
        """Return the derivatives of ends of steps by their begins: (..., n_rows, d, d).

        They are I + h Σ weights[i] D_i with D_i = J_i (I + h parts[i] D_(i-1)).

        Parameters
        ----------
        jacobian : Tensor of shape (..., n_stages, n_rows, d, d)
            Derivatives of the slopes by the states of their stages.
        h : Tensor, broadcastable with (..., n_rows, 1)
            Lengths of the steps.
        """
        h = h.unsqueeze(-1)
        of_slope = total = None
        for stage, (part, weight) in enumerate(zip(self.parts, self.weights, strict=True)):
            at_stage = jacobian.select(-4, stage)
            if of_slope is None:
                of_slope = at_stage
            else:
                of_slope = torch.baddbmm(
                    at_stage.flatten(0, -3),
                    at_stage.flatten(0, -3),
                    (part * h * of_slope).flatten(0, -3),
                ).view(at_stage.shape)
            if weight:
                total = weight * of_slope if total is None else total.add(of_slope, alpha=weight)
        total = h * total
        total.diagonal(dim1=-2, dim2=-1).add_(1.0)
        return total

    def of_slopes(self, jacobian: Tensor, of_ends: Tensor, h: Tensor) -> Tensor:
        """Return the gradients of all slopes: (..., n_stages, n_rows, d).

        Parameters
        ----------
        jacobian, h : Tensor
            As for :meth:`step_matrices`.
        of_ends : Tensor of shape (..., n_rows, d)
            Gradients of the ends of the steps.
        """
        of_ends = h * of_ends
        found: list[Tensor] = []
        for stage in reversed(range(self.n_stages)):
            gradient = self.weights[stage] * of_ends
            if found:
                by_state = backwards(jacobian.select(-4, stage + 1), found[0])
                gradient = gradient + self.parts[stage + 1] * h * by_state
            found.insert(0, gradient)
        return torch.stack(found, dim=-3)


TABLEAUS = {
    "euler": Tableau((0.0,), (1.0,)),
    "midpoint": Tableau((0.0, 0.5), (0.0, 1.0)),
    "rk4": Tableau((0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}


def backwards(matrices: Tensor, gradients: Tensor) -> Tensor:
    """Return the products of transposed matrices and vectors: (..., d, k) and (..., d)."""
    return (matrices * gradients.unsqueeze(-1)).sum(dim=-2)


def of_begins(
    matrices: Sequence[Tensor], of_states: Sequence[Tensor], inside: Sequence[Tensor] | None
) -> tuple[Tensor, list[Tensor]]:
    """Return the gradient of the first states, and those of the ends of all steps.

    Parameters
    ----------
    matrices : sequence of Tensor of shape (..., d, d)
        Derivatives of every step.
    of_states : sequence of Tensor of shape (..., d), or None
        Gradients of the state before the first step and after every step; None is zero.
    inside : sequence of Tensor of bool, or None
        Where the end of every step is inside the bounds on states; None is everywhere.
    """
    gradient, found = of_states[-1], []
    for step in reversed(range(len(matrices))):
        if inside is not None:
            gradient = gradient * inside[step]
        found.insert(0, gradient)
        gradient = backwards(matrices[step], gradient)
        if of_states[step] is not None:
            gradient = gradient + of_states[step]
    return gradient, found
