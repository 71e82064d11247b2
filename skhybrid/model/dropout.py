"""Dropout that draws from the generators of a fit, so that fits in threads do not disturb another.

torch's own layers draw from one global generator, which all threads share.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from skhybrid.runtime.draws import current_draws

# Value of dropped units in alpha dropout: minus the scale times the alpha of SELU
# (Klambauer et al., 2017, section 2).
SATURATION = 1.7580993408473766


class _OwnDraws:
    """Dropout whose masks come from the generators of the thread's fit, if it has any.

    Attributes
    ----------
    axes_of_mask : int or None
        Number of leading axes along which a mask varies: sample and channel. None is all axes.
    unbatched_axes : int or None
        Number of axes of inputs without an axis for samples.
    saturates : bool
        Whether dropped units have the saturation value of SELU, and not zero.
    """

    axes_of_mask: int | None = None
    unbatched_axes: int | None = None
    saturates = False

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop units of the inputs in training; outside of a fit, as torch does."""
        draws = current_draws()
        if not self.training or draws is None:
            return super().forward(inputs)
        numbers = torch.rand(
            self._mask_shape(inputs),
            dtype=inputs.dtype,
            device=inputs.device,
            generator=draws.generator(inputs.device),
        )
        kept = (numbers >= self.p).to(inputs.dtype)
        if not self.saturates:
            return inputs * kept / (1.0 - self.p) if self.p < 1.0 else inputs * 0.0
        if self.p == 1.0:
            return torch.zeros_like(inputs)
        factor = 1.0 / math.sqrt((SATURATION**2 * self.p + 1.0) * (1.0 - self.p))
        dropped = (kept - 1.0) * SATURATION * factor + SATURATION * factor * self.p
        return inputs * kept * factor + dropped

    def _mask_shape(self, inputs: Tensor) -> tuple[int, ...]:
        """Return the shape of the mask; it is constant along axes of length one."""
        n_own = inputs.ndim
        if self.axes_of_mask is not None:
            n_own = self.axes_of_mask - (inputs.ndim == self.unbatched_axes)
        return (*inputs.shape[:n_own], *[1] * (inputs.ndim - n_own))


class Dropout(_OwnDraws, nn.Dropout):
    """Dropout of single units."""


class Dropout1d(_OwnDraws, nn.Dropout1d):
    """Dropout of channels of sequences."""

    axes_of_mask, unbatched_axes = 2, 2


class Dropout2d(_OwnDraws, nn.Dropout2d):
    """Dropout of channels of images."""

    axes_of_mask = 2


class Dropout3d(_OwnDraws, nn.Dropout3d):
    """Dropout of channels of volumes."""

    axes_of_mask, unbatched_axes = 2, 4


class AlphaDropout(_OwnDraws, nn.AlphaDropout):
    """Dropout that keeps mean and variance, for SELU."""

    saturates = True


class FeatureAlphaDropout(_OwnDraws, nn.FeatureAlphaDropout):
    """Alpha dropout of channels."""

    axes_of_mask = 2
    saturates = True


_OWN = {
    own.__mro__[2]: own
    for own in (Dropout, Dropout1d, Dropout2d, Dropout3d, AlphaDropout, FeatureAlphaDropout)
}


def use_own_dropout(network: nn.Module) -> None:
    """Make torch's dropout layers in a network draw from the generators of the fit.

    The layers change in place, so a layer that is used in several places stays one. Subclasses of
    torch's layers stay as they are.
    """
    for layer in network.modules():
        if type(layer) in _OWN:
            layer.__class__ = _OWN[type(layer)]


def has_random_layers(network: nn.Module) -> bool:
    """Whether a network has dropout layers."""
    return any(isinstance(layer, nn.modules.dropout._DropoutNd) for layer in network.modules())
