"""What is known of θ before the fit, with the weight that the noise gives it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skhybrid.model.parameters import ParameterSpace
from skhybrid.model.physics import Physics
from skhybrid.training.members import PHYSICS, Members


@dataclass(frozen=True)
class PriorTerm:
    """The prior of one parameter, for every member.

    θ = start + factor · z. The prior is normal in u = θ, or in u = log θ where ``log`` is true:
    minus twice its logarithm is precision · (u - centre)². For normal ones u is z itself, so that
    no digits are lost.

    Attributes
    ----------
    start, factor, centre, precision : Tensor of shape (n_members, n_elements)
        A precision of zero is no prior.
    log : Tensor of bool, shape (n_members, n_elements)
    """

    start: Tensor
    factor: Tensor
    centre: Tensor
    precision: Tensor
    log: Tensor

    def slope(self, z: Tensor) -> Tensor:
        """Return the derivative of precision · (u - centre)² by z."""
        value, u = self._u(z)
        inner = torch.where(self.log, self.factor / value, 1.0)
        return 2.0 * self.precision * (u - self.centre) * inner

    def distance(self, z: Tensor) -> Tensor:
        """Return the sums of precision · (u - centre)² of all members."""
        return (self.precision * (self._u(z)[1] - self.centre).square()).sum(dim=1)

    def _u(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the positive values of log-normal parameters, and u."""
        value = self.start + self.factor * z
        value = torch.where(self.log, value.clamp(min=torch.finfo(z.dtype).tiny), 1.0)
        return value, torch.where(self.log, value.log(), z)


@dataclass(frozen=True)
class Prior:
    """The priors of all free parameters, for every member.

    With N observed values of standard deviation σ, minus twice the logarithm of the posterior
    density, times σ²/N, is the mean squared error plus (σ²/N) Σ ((θ - μ)/τ)². Its second term is
    what a prior adds to the loss. σ² is the current loss of the data without penalties: the
    gradient is then that of N log ℓ + Σ ((θ - μ)/τ)², the posterior with the most likely σ for each
    θ (Box and Tiao, 1973, Section 8.2).

    Attributes
    ----------
    terms : dict of str to PriorTerm
    per_value : Tensor of shape (n_members,)
        1/N.
    most_noise : Tensor of shape (n_members,)
        Largest σ². Outliers inflate a robust loss, too; the physics alone at the start has a
        variance that they do not inflate.
    """

    terms: Mapping[str, PriorTerm]
    per_value: Tensor
    most_noise: Tensor

    @staticmethod
    def of(
        physics: Physics | None,
        space: ParameterSpace,
        n_observed: float,
        n_members: int,
        like: Tensor,
        most_noise: float = np.inf,
    ) -> Prior | None:
        """Return the priors of free parameters, repeated for members; None if there are none.

        Parameters
        ----------
        physics : Physics or None
        space : ParameterSpace
        n_observed : float
            Number N of observed values.
        n_members : int
        like : Tensor
            Its dtype and device are those of the training.
        most_noise : float, default=inf
            Largest variance of the noise.
        """
        params = {} if physics is None else {name: physics.params[name] for name in space.shapes}
        if all(param.prior is None for param in params.values()):
            return None
        as_rows = lambda values: (  # noqa: E731
            torch.tensor(np.ravel(values)).to(like).expand(n_members, -1)
        )
        terms = {}
        for name, param in params.items():
            start, factor = space.start[name], space.scales[name]
            shape = np.shape(start)
            centre, precision, log = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
            if param.prior is not None:
                kind, centre, std = param.prior_moments()
                log = np.full(shape, kind == "lognormal")
                if kind == "normal":
                    centre, std = (centre - start) / factor, std / factor
                precision = std**-2.0
            parts = (start, factor, centre, precision)
            is_log = torch.tensor(np.ravel(log)).to(like.device).expand(n_members, -1)
            terms[name] = PriorTerm(*map(as_rows, parts), is_log)
        return Prior(
            terms,
            like.new_full((n_members,), 1.0 / n_observed),
            like.new_full((n_members,), most_noise),
        )

    def objective(self, member: int, loss: float, coordinates: Mapping[str, Tensor]) -> float:
        """Return log ℓ + Σ ((θ - μ)/τ)²/N, of which training follows the gradient.

        Where the loss ℓ is above ``most_noise``, it goes on as a line with the slope there.

        Parameters
        ----------
        member : int
        loss : float
            Loss of the data without penalties.
        coordinates : mapping of str to Tensor
            Scaled physics parameters of this member.
        """
        most = float(self.most_noise[member])
        if loss > most:
            fit = math.log(most) + loss / most - 1.0
        else:
            fit = math.log(loss) if loss > 0.0 else -math.inf
        distance = sum(
            float(term.distance(coordinates[name].reshape(1, -1))[member])
            for name, term in self.terms.items()
        )
        return fit + distance * float(self.per_value[member])


def combine_priors(priors: Sequence[Prior]) -> Prior:
    """Return the priors of the members of several fits as one."""
    names = priors[0].terms
    terms = {
        name: PriorTerm(
            *(
                torch.cat([getattr(each.terms[name], part) for each in priors])
                for part in ("start", "factor", "centre", "precision", "log")
            )
        )
        for name in names
    }
    return Prior(
        terms,
        torch.cat([each.per_value for each in priors]),
        torch.cat([each.most_noise for each in priors]),
    )


class PriorGradient:
    """Gradient of what the priors add to the losses of all members.

    Parameters
    ----------
    members : Members
    prior : Prior
    """

    def __init__(self, members: Members, prior: Prior) -> None:
        self._members = members
        self._prior = prior
        self._blocks = [
            (block, prior.terms[block.name]) for block in members.blocks if block.role == PHYSICS
        ]

    def __call__(self, flat: Tensor, losses: Tensor, finite: Tensor) -> Tensor:
        """Return the gradient as a flat vector.

        Parameters
        ----------
        flat : Tensor
            All parameters.
        losses : Tensor of shape (n_members,), or () for a single member
            Losses of a minibatch without penalties: the variance σ² of the noise.
        finite : Tensor of bool, shape (n_members,)
            Other members do not move in this step.
        """
        losses = losses.reshape(-1)
        known = finite & torch.isfinite(losses)
        noise = torch.minimum(torch.where(known, losses, 0.0), self._prior.most_noise)
        weight = noise * self._prior.per_value
        parts = {
            block: weight[:, None] * term.slope(block.view(flat)) for block, term in self._blocks
        }
        return torch.cat(
            [
                parts[block].reshape(-1)
                if block in parts
                else torch.zeros_like(flat[block.start : block.stop])
                for block in self._members.blocks
            ]
        )

    @torch.no_grad()
    def add(self, losses: Tensor, finite: Tensor) -> None:
        """Add the gradient to that of the members."""
        self._members.gradient.add_(self(self._members.flat, losses, finite))
        self._members.clear_stopped()
