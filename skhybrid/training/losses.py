"""The loss of one error: squared, Huber's, or absolute, in units of the target's variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.model.hybrid import Hybrid

# Median of the absolute value, and square root of pi/2, of a standard normal number: they give
# spreads and absolute errors the size of a standard deviation and of a variance.
NORMAL_MEDIAN = 0.6744897501960817
NORMAL_MEAN = math.sqrt(2.0 / math.pi)
# Smallest spread, in units of the target's: more than half of the errors may be exactly zero.
LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Loss:
    """What an error costs.

    With e in units of the target's standard deviation, and the spread s of the errors,

    - "squared_error": e²;
    - "huber": e² up to δ s, and δ s (2 |e| - δ s) beyond (Huber, 1964);
    - "absolute_error": √(π/2) s |e|.

    All have the unit of a variance. Small normal errors cost the same as by squares, so penalties,
    the radius that follows the noise and the tolerances of stopping keep their meaning.

    The spread s is the weighted median of |e| over the rows of a minibatch, for each target, over
    0.6745, the value for normal errors. It is computed anew in every evaluation and taken as a
    constant in its derivatives, as in iteratively reweighted least squares (Huber and Ronchetti,
    2009, Section 7.8). There is nothing to keep between steps.

    Attributes
    ----------
    kind : {"squared_error", "huber", "absolute_error"}
    delta : float
        δ for "huber"; others do not use it.
    """

    kind: str = "squared_error"
    delta: float = 1.345

    @property
    def is_squared(self) -> bool:
        """Whether errors cost their squares."""
        return self.kind == "squared_error"

    def mean(
        self, error: Tensor, weight: Tensor | None, unit_shape: Sequence[int], n_leading: int = 0
    ) -> Tensor:
        """Return the mean weighted loss over all but the leading axes.

        Parameters
        ----------
        error : Tensor of shape (*leading, n, ..., *target_shape)
            In units of the target's standard deviation.
        weight : Tensor or None
            Of the shape of the errors, or without leading axes.
        unit_shape : tuple of int
            Shape of the target's standard deviation: every element has a spread of its own.
        n_leading : int, default=0
            Number of leading axes, those of members.
        """
        if self.is_squared:
            cost = error.square()
        else:
            cost = self.costs(error, self.spread(error, weight, unit_shape, n_leading))
        cost = cost if weight is None else cost * weight
        return cost.flatten(n_leading).mean(dim=-1) if n_leading else cost.mean()

    def costs(self, error: Tensor, spread: Tensor) -> Tensor:
        """Return the cost of every error, for spreads that broadcast with the errors."""
        size = error.abs()
        if self.kind == "absolute_error":
            return size * (spread / NORMAL_MEAN)
        inner = torch.minimum(size, self.delta * spread)
        return inner * (2.0 * size - inner)

    def slopes(self, error: Tensor, spread: Tensor) -> Tensor:
        """Return the derivatives of the costs by the errors."""
        if self.kind == "absolute_error":
            return error.sign() * (spread / NORMAL_MEAN)
        limit = self.delta * spread
        return 2.0 * torch.minimum(torch.maximum(error, -limit), limit)

    @torch.no_grad()
    def spread(
        self, error: Tensor, weight: Tensor | None, unit_shape: Sequence[int], n_leading: int = 0
    ) -> Tensor:
        """Return the spread of the errors of each target, broadcastable with them.

        The parameters are those of :meth:`mean`.
        """
        first = error.ndim - len(unit_shape)
        own = [first + axis for axis, size in enumerate(unit_shape) if size > 1]
        kept = [*range(n_leading), *own]
        order = [*kept, *(axis for axis in range(error.ndim) if axis not in kept)]
        sizes = error.detach().abs().permute(order).flatten(len(kept))
        if weight is not None:
            weight = weight.expand_as(error).permute(order).flatten(len(kept))
        median = _weighted_median(sizes, weight)
        shape = [size if axis in kept else 1 for axis, size in enumerate(error.shape)]
        return (median.reshape(shape) / NORMAL_MEDIAN).clamp(min=LEAST_SPREAD)

    def pseudo_errors(self, error: Tensor, weight: Tensor | None, unit_shape: Sequence[int]):
        """Return errors whose least-squares covariance is that of this loss.

        They are ψ(e) / mean(ψ'), with ψ the derivative of the cost (Huber, 1981, Section 7.6). For
        absolute errors, the mean of ψ' is twice the density of the errors at zero, from a window
        of the width of Silverman's rule.

        Parameters
        ----------
        error, weight, unit_shape
            As for :meth:`mean`, without leading axes.
        """
        if self.is_squared:
            return error
        spread = self.spread(error, weight, unit_shape)
        weight = torch.ones_like(error) if weight is None else weight
        own = [error.ndim - len(unit_shape) + i for i, size in enumerate(unit_shape) if size > 1]
        pooled = [axis for axis in range(error.ndim) if axis not in own]

        def part(chosen: Tensor) -> Tensor:
            """Return the weighted part of chosen errors, for each target."""
            total = weight.sum(dim=pooled, keepdim=True)
            return (chosen * weight).sum(dim=pooled, keepdim=True) / total

        if self.kind == "huber":
            return 0.5 * self.slopes(error, spread) / part(error.abs() <= self.delta * spread)
        n_used = (weight > 0).sum(dim=pooled, keepdim=True).clamp(min=1)
        width = 1.06 * spread * n_used ** (-1 / 5)
        density = part(error.abs() <= width).clamp(min=1.0 / float(error.numel())) / (2.0 * width)
        return error.sign() / (2.0 * density)

    def noise(self, error: Tensor, weight: Tensor | None, unit_shape: Sequence[int]) -> float:
        """Return the variance of the noise that gives a prior its weight; outliers count little.

        For squared errors it is their mean. Otherwise it is the variance of the estimate times half
        the mean second derivative of the cost, so that prior and data have their weights by their
        variances. The parameters are those of :meth:`pseudo_errors`.
        """
        if self.is_squared:
            return float(self.mean(error, weight, unit_shape))
        pseudo = self.pseudo_errors(error, weight, unit_shape)
        squares = pseudo.square() if weight is None else pseudo.square() * weight
        spread = self.spread(error, weight, unit_shape)
        if self.kind == "huber":
            bent = (error.abs() <= self.delta * spread).to(error)
        else:  # pseudo-errors are plus or minus one over twice the density
            density = 0.5 / pseudo.abs().amax().clamp(min=LEAST_SPREAD)
            bent = (spread * density / NORMAL_MEAN).expand_as(error)
        bent = bent if weight is None else bent * weight
        return float(squares.mean() * bent.mean())


SQUARED_ERROR = Loss()


def loss_of_centre(hybrid: Hybrid, data: Batch, loss: Loss) -> float:
    """Return the loss of the target's centre as a prediction; 1.0 for squared errors."""
    if loss.is_squared:
        return 1.0
    scales = hybrid.scales.to(data.y)
    error = (data.y - scales.target_mean) / scales.target_scale
    found = float(loss.mean(error, data.weight, scales.target_scale.shape))
    return max(found, LEAST_SPREAD**2)  # zero for a constant target


def _weighted_median(values: Tensor, weight: Tensor | None) -> Tensor:
    """Return the lower weighted median over the last axis; values of weight zero do not count."""
    ordered, order = values.sort(dim=-1)
    if weight is None:
        return ordered[..., (values.shape[-1] - 1) // 2]
    reached = weight.gather(-1, order).cumsum(dim=-1)
    below = reached < 0.5 * reached[..., -1:]
    place = below.sum(dim=-1, keepdim=True).clamp(max=values.shape[-1] - 1)
    return ordered.gather(-1, place).squeeze(-1)
