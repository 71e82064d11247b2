"""How much of a parameter's effect the network's inputs can predict on rows held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skhybrid.inspection.imitators import Imitator
from skhybrid.inspection.joint_prediction import left_by_imitators, projection
from skhybrid.inspection.learners import best_prediction
from skhybrid.inspection.local_effects import LocalEffects

# An effect of which less is left, relative to its sum of squares, is rounding.
NOTHING = 1e-12
# Slopes that differ by less than this part of the largest are constant but for rounding.
CONSTANT = 1e-5


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
    """Return what the network could make up for of each effect, on rows held out.

    An effect is first reduced by what the effects of the other parameters explain of it, and by
    what a constant answer of each function does. The R² is the best of several learners
    (polynomials, Gaussian kernels, boosted trees), because a network could do as well as any.
    Channels that nothing learned can change keep their whole effect.

    Parameters
    ----------
    effects : LocalEffects

    Returns
    -------
    dict of str to Absorption

    Notes
    -----
    Where the network is added to the physics, it makes up for all that its inputs predict of the
    effect. Where answers act with slopes, as those of parameters that are functions of features do,
    the learners fit answers times slopes (see
    :func:`~skhybrid.inspection.joint_prediction.left_by_imitators`).
    """
    _, n_channels, n_elements = effects.effects.shape
    flat = effects.effects.reshape(-1, n_elements)
    others = [_others(effects, j) for j in range(n_elements)]
    own = [
        flat[:, j] - projection(each.reshape(len(flat), -1), flat[:, j])
        for j, each in enumerate(others)
    ]
    own = np.stack(own, axis=1).reshape(effects.effects.shape)
    alone = _of_single_channels(effects.imitators)
    if alone is None:
        left = left_by_imitators(effects.imitators, own, others)
    else:
        left = np.zeros(n_elements)
        for channel, j in np.ndindex(n_channels, n_elements):
            effect, seen = own[:, channel, j], alone.get(channel)
            left[j] += np.sum(effect**2) if seen is None else _unexplained(seen, effect)
    found = {}
    for j, name in enumerate(effects.names):
        whole, varies = float(np.sum(flat[:, j] ** 2)), float(np.sum(own[..., j] ** 2))
        if varies > NOTHING * whole:
            found[name] = Absorption(max(0.0, 1.0 - left[j] / varies), float(left[j]) / whole)
        else:
            found[name] = Absorption(1.0, 0.0)
    return found


def _of_single_channels(imitators: Sequence[Imitator]) -> dict[int, np.ndarray] | None:
    """Return inputs by channel if every channel has one function that is added to it, or none."""
    found: dict[int, np.ndarray] = {}
    for each in imitators:
        (channels,) = np.nonzero(np.any(each.slopes, axis=0))
        slopes = each.slopes[:, channels[0]]
        varies = np.ptp(slopes) > CONSTANT * np.abs(slopes).max()
        if each.penalty is not None or len(channels) > 1 or varies or channels[0] in found:
            return None
        found[int(channels[0])] = each.seen
    return found


def _others(effects: LocalEffects, j: int) -> np.ndarray:
    """Return the effects of the other elements and of constant answers, the last axis by cause."""
    constants = [each.slopes[..., None] for each in effects.imitators if each.penalty is None]
    return np.concatenate([np.delete(effects.effects, j, axis=2), *constants], axis=2)


def _unexplained(seen: np.ndarray, effect: np.ndarray) -> float:
    """Return the sum of squares that the best learner leaves on rows held out."""
    return float(np.sum((effect - best_prediction(seen, effect)) ** 2))
