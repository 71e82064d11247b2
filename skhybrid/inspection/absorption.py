"""How much of a parameter's effect the network's inputs can predict on rows held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skhybrid.inspection.learners import best_prediction
from skhybrid.inspection.local_effects import LocalEffects

# An effect of which less is left, relative to its sum of squares, is rounding.
NOTHING = 1e-12


@dataclass(frozen=True)
class Absorption:
    """What the network's inputs can predict of the effect of one parameter.

    Attributes
    ----------
    predictable : float
        R² on rows held out, from 0, the network sees nothing of the effect, to 1, it sees
        everything. A constant effect is predictable: a network can give it.
    left : float
        Part of the sum of squares of the effect that neither the network nor the other parameters
        can imitate.
    """

    predictable: float
    left: float


def absorption(effects: LocalEffects) -> dict[str, Absorption]:
    """Return what the network's inputs can predict of each effect, on rows held out.

    An effect is first reduced by what the effects of the other parameters explain of it, and by its
    mean where the network can give a constant. The R² is the best of several learners (polynomials,
    Gaussian kernels, boosted trees), because a network could do as well as any. Channels that the
    network cannot change keep their whole effect.

    Parameters
    ----------
    effects : LocalEffects

    Returns
    -------
    dict of str to Absorption
    """
    n_points, n_channels, n_elements = effects.effects.shape
    flat = effects.effects.reshape(-1, n_elements)
    found = {}
    for j, name in enumerate(effects.names):
        own = (flat[:, j] - _explained(effects, flat, j)).reshape(n_points, n_channels)
        whole = float(np.sum(flat[:, j] ** 2))
        varies, left = float(np.sum(own**2)), 0.0
        for channel in range(n_channels):
            effect = own[:, channel]
            reached = effects.reached[channel]
            left += _unexplained(effects.seen, effect) if reached else float(np.sum(effect**2))
        if varies > NOTHING * whole:
            found[name] = Absorption(max(0.0, 1.0 - left / varies), left / whole)
        else:
            found[name] = Absorption(1.0, 0.0)
    return found


def _explained(effects: LocalEffects, flat: np.ndarray, j: int) -> np.ndarray:
    """Return what the other parameters, and a constant from the network, explain of one effect."""
    constants = np.tile(np.diag(effects.reached.astype(float)), (len(effects.effects), 1))
    others = np.concatenate([np.delete(flat, j, axis=1), constants], axis=1)
    size = np.sqrt(np.mean(others**2, axis=0))
    others = others[:, size > 0] / size[size > 0]
    if not others.shape[1]:
        return np.zeros(len(flat))
    coefficients, *_ = np.linalg.lstsq(others, flat[:, j], rcond=1e-8)
    return others @ coefficients


def _unexplained(seen: np.ndarray, effect: np.ndarray) -> float:
    """Return the sum of squares that the best learner leaves on rows held out."""
    return float(np.sum((effect - best_prediction(seen, effect)) ** 2))
