"""Networks and values of groups beside θ, and how each changes the model point by point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid

# Key of the correction's moves; parameters are identifiers.
CORRECTION = "the network"


@dataclass(frozen=True)
class Imitator:
    """A function of inputs, or a value for each group, that could make up for a parameter.

    Attributes
    ----------
    seen : array of shape (n_points, n_inputs)
        Standardised inputs of the function, or codes of the groups.
    slopes : array of shape (n_points, n_channels)
        Derivatives of the target, or of the rates of change, by the answer at the same point.
    penalty : float or None
        For groups: what a squared answer of one group costs beside the sum of squares over the
        points. None is a function of its inputs.
    """

    seen: np.ndarray
    slopes: np.ndarray
    penalty: float | None = None


class MovedNetwork:
    """A bound network whose answers are moved by the same number at every point.

    Parameters
    ----------
    network : callable
        The bound network.
    hybrid : Hybrid
    moves : mapping of str to Tensor
        For the correction, a number for each output; for every varying parameter, one for each
        element.

    Attributes
    ----------
    seen : dict of str to Tensor
        Standardised inputs of the correction and of every varying parameter, after a call.
    """

    def __init__(self, network: Callable, hybrid: Hybrid, moves: Mapping[str, Tensor]) -> None:
        self._network = network
        self._hybrid = hybrid
        self._moves = moves
        self.seen: dict[str, Tensor] = {}

    def __call__(self, *given: Tensor | None, **options: object) -> Tensor:
        """Return the correction, moved."""
        hybrid = self._hybrid
        inputs = hybrid.network_inputs(*given).detach()
        if hybrid.parts is not None:
            added = range(hybrid.parts.n_inputs, inputs.shape[-1])
            inputs = inputs[..., [*hybrid.parts.correction, *added]]
        self.seen.setdefault(CORRECTION, inputs)
        answer, move = self._network(*given, **options), self._moves[CORRECTION]
        if isinstance(hybrid, Dynamics):
            state = given[1]
            return answer + hybrid.as_rates(move.expand(len(state), len(move)), state)
        return answer + move.reshape(hybrid.target_shape)

    def answers(self, *given: Tensor | None) -> dict[str, Tensor]:
        """Return the answers for varying parameters, moved."""
        inputs = self._hybrid.network_inputs(*given).detach()
        for columns, names in self._hybrid.parts.sources:
            for name in names:
                self.seen.setdefault(name, inputs[..., list(columns)])
        answers = self._network.answers(*given)
        return {name: each + self._moves[name][..., None] for name, each in answers.items()}


def no_moves(hybrid: Hybrid) -> dict[str, Tensor]:
    """Return moves of zero for the correction and for every varying parameter."""
    zeros = hybrid.scales.target_scale.new_zeros
    found = {CORRECTION: zeros(hybrid.n_network_outputs)} if hybrid.has_correction else {}
    shapes = {} if hybrid.parts is None else dict(hybrid.parts.shapes)
    return found | {name: zeros(shape) for name, shape in shapes.items()}


def imitators_of(
    hybrid: Hybrid, seen: Mapping[str, Tensor], slopes: Mapping[str, np.ndarray]
) -> tuple[Imitator, ...]:
    """Return all that could make up for a parameter; what changes nothing is left out.

    Parameters
    ----------
    hybrid : Hybrid
    seen : mapping of str to Tensor
        As :class:`MovedNetwork` found it.
    slopes : mapping of str to array of shape (n_points, n_channels, n_moves)
        Derivatives by each move.

    Notes
    -----
    With a given ``per_std``, the prior of groups costs ``group_penalty`` times the sum of squared
    answers, beside the mean squared error in units of the target's variance. An estimated spread
    is too small where a number has taken over what differs between groups, so groups are free
    there, as in a regression with fixed effects (Mundlak, 1978). They are free for rates of change,
    too: nothing says what an error of a rate costs.
    """
    grouped = () if hybrid.parts is None else hybrid.parts.grouped
    found = []
    for name, each in slopes.items():
        penalty = None
        if name in grouped:
            given = hybrid.physics.params[name].per_std is not None
            costs = given and not isinstance(hybrid, Dynamics)
            penalty = hybrid.group_penalty * each.shape[0] * each.shape[1] if costs else 0.0
        for move in range(each.shape[2]):
            if np.any(each[:, :, move]):
                inputs = seen[name].double().cpu().numpy()
                found.append(Imitator(inputs, each[:, :, move], penalty))
    return tuple(found)
