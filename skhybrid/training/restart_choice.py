"""Which restart of a fit is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from skhybrid.training.priors import Prior
from skhybrid.training.result import MemberResults, Start, Status

# The loss of the start at the given values, relative to that of least squares, below which it is
# kept.
CLEARLY_BETTER = 0.9


def best_restart(
    results: MemberResults,
    starts: Sequence[Start],
    coordinates: Sequence[Mapping[str, Tensor]],
    prior: Prior | None,
) -> int | None:
    """Return the usable restart with the lowest validation loss, or else training loss.

    With priors it is the restart with the most probable parameters: the loss of the data and what
    the priors add to it. A restart that draws θ far from its prior may fit the data as well.

    A start at the given values, tried because least squares was doubtful, must be clearly better
    than the others: a network can make up for wrong physics, and a warning about a bound on which
    least squares ended would be lost.

    Parameters
    ----------
    results : MemberResults
    starts : sequence of Start
    coordinates : sequence of mappings
        Scaled physics parameters of every restart.
    prior : Prior or None
        For every restart.
    """
    losses = results.losses if results.validation_losses is None else results.validation_losses
    usable = [
        member
        for member, status in enumerate(results.status)
        if status.usable and math.isfinite(losses[member])
    ]
    finished = [m for m in usable if results.status[m] is not Status.NON_FINITE]
    is_extra = starts[0].source == "least squares"

    def compared(member: int) -> float:
        extra = is_extra and starts[member].source == "given"
        loss = float(losses[member]) / (CLEARLY_BETTER if extra else 1.0)
        return loss if prior is None else prior.objective(member, loss, coordinates[member])

    return min(finished or usable, key=compared, default=None)
