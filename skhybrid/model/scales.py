"""Means and standard deviations that standardise the network's inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scales:
    """Scales that standardise the network's inputs and give its outputs the target's unit.

    Attributes
    ----------
    feature_offset, feature_factor : Tensor of shape (n_nn_inputs,)
        Standardised input = offset + factor · input. The factor is one over the weighted standard
        deviation. Inputs that a structure adds to the features come last.
    feature_low, feature_high : Tensor of shape (n_nn_inputs,)
        Range of the standardised inputs in the training rows. Predictions clamp the inputs to it.
    target_mean, target_scale : Tensor of shape () or (n_targets,)
        Weighted mean and standard deviation of the target.
    """

    feature_offset: Tensor
    feature_factor: Tensor
    feature_low: Tensor
    feature_high: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def to(self, *args, **kwargs) -> Scales:
        """Return the scales on another device or in another dtype."""
        moved = {name: value.to(*args, **kwargs) for name, value in vars(self).items()}
        return replace(self, **moved)

    def unscaled_at(self, inputs: Sequence[int]) -> Scales:
        """Return scales that leave some of the inputs as they are, without a range."""
        plain = {
            "feature_offset": 0.0,
            "feature_factor": 1.0,
            "feature_low": -math.inf,
            "feature_high": math.inf,
        }
        changed = {name: getattr(self, name).clone() for name in plain}
        for name, value in plain.items():
            changed[name][list(inputs)] = value
        return replace(self, **changed)


@dataclass(frozen=True, eq=False)
class RateScales(Scales):
    """Scales of a differential equation.

    Attributes
    ----------
    state_mean, state_scale : Tensor of shape (n_states,) or (n_channels, 1, ...)
        Mean and standard deviation of the states.
    rate_scale : Tensor of the same shape
        Root mean square of the states' rates of change: the unit of the network's outputs.
    """

    state_mean: Tensor
    state_scale: Tensor
    rate_scale: Tensor


@dataclass(frozen=True, eq=False)
class LatentScales(RateScales):
    """Scales of a differential equation behind an encoder and a decoder.

    Attributes
    ----------
    slow_offset : Tensor of shape (n_slow,)
    slow_factor : Tensor of shape (n_pixels, n_slow)
        Slow features = offset + standardised image · factor.
    first_guess : Tensor of shape (n_context * n_slow, n_states)
        First guess of the states as a linear function of the slow features. The encoder adds a
        correction.
    """

    slow_offset: Tensor
    slow_factor: Tensor
    first_guess: Tensor
