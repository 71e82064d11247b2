"""The radius of sharpness-aware minimisation in every step: constant, or following the noise."""

from __future__ import annotations

import torch
from torch import Tensor

# Root mean square error, in units of the target's standard deviation, from which on the radius
# that follows the noise is the base radius.
FULL_RADIUS_ERROR = 0.03
# The moving average of the loss looks back over this part of a phase.
AVERAGED_PART = 1 / 30


class Radius:
    """The radius of every member, which may follow the noise in its training loss.

    With p from 0 to 1 along the part of a phase in which the learning rate decays, and 0 before,
    the radius that follows the noise is

        ρ · max(cos⁴(πp/2), √mean(min(1, ℓ / 0.03²))).

    ℓ is the member's loss on a minibatch before the perturbation, without penalties, in units of
    the target's variance. The mean is a moving average over the last thirtieth of the phase, which
    begins at one. A minibatch whose loss is not finite counts as one.

    Parameters
    ----------
    base : Tensor of shape (n_members,)
        The base radius ρ.
    follows_noise : Tensor of bool, shape (n_members,)
        Members with False keep the base radius, bit by bit.
    n_steps : int
        Number of steps of the phase.

    Attributes
    ----------
    values : Tensor of shape (n_members,)
        The current radii. :meth:`update` changes them in place.
    mean : Tensor of shape (n_members,)
        The moving averages.
    varies : bool
        Whether any radius changes, so that :meth:`update` has to be called.
    """

    def __init__(self, base: Tensor, follows_noise: Tensor, n_steps: int) -> None:
        self.base = base
        self.values = base.clone()
        self.varies = bool(follows_noise.any())
        self.mean = torch.ones_like(base)
        # Members with a constant radius have a weight of zero: their mean stays at one.
        self._weight = follows_noise.to(base) * min(1.0, 1.0 / (AVERAGED_PART * max(1, n_steps)))
        self._scale = torch.full_like(base, FULL_RADIUS_ERROR**-2)
        self._one = base.new_ones(())
        self._part = torch.empty_like(base)

    def update(self, losses: Tensor, decay: float) -> None:
        """Set the radii of a step.

        Parameters
        ----------
        losses : Tensor of shape (n_members,), or () for a single member
            Losses of the step's minibatch without penalties, before the perturbation; detached.
        decay : float
            cos²(πp/2), the factor of the learning rate. The radius may fall as its square.
        """
        torch.mul(losses, self._scale, out=self._part)
        torch.fmin(self._part, self._one, out=self._part)  # 1 for NaN, too
        self.mean.lerp_(self._part, self._weight)
        torch.sqrt(self.mean, out=self.values)
        self.values.clamp_(min=decay * decay).mul_(self.base)

    def after(self, mean: Tensor, losses: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
        """Return radii and moving averages after a step; :meth:`update` without side effects."""
        part = torch.fmin(losses.reshape(self.base.shape) * self._scale, self._one)
        mean = torch.lerp(mean, part, self._weight)
        return torch.maximum(mean.sqrt(), decay * decay) * self.base, mean

    def start_again(self, chosen: Tensor) -> None:
        """Forget the losses of the chosen members."""
        self.mean.masked_fill_(chosen, 1.0)

    def state(self) -> Tensor:
        """Return the moving averages."""
        return self.mean

    def restore(self, state: Tensor) -> None:
        """Go on from a state."""
        self.mean.copy_(state)
