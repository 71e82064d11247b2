"""A whole fit: restarts side by side, the best of them, and its refinement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skhybrid.training.loop import Problem, Recipe, train
from skhybrid.training.members import Members
from skhybrid.training.refinement import can_refine, refine
from skhybrid.training.result import Result, Status
from skhybrid.training.sharing import Shares, measure_shares

# phase name, epoch within the phase, members, losses per member -> stop?
Observer = Callable[[str, int, Members, Tensor], bool]


@dataclass(frozen=True)
class Start:
    """Where one restart begins: network parameters and scaled physics parameters."""

    weights: Mapping[str, Tensor]
    coordinates: Mapping[str, Tensor]


@dataclass(frozen=True)
class Estimate:
    """What a fit found.

    Attributes
    ----------
    coordinates, weights : dict of str to Tensor
        Scaled physics parameters and network parameters of the fit that was kept.
    loss : float
        Its data loss over the training rows.
    loss_curve : list of float
        Its mean minibatch loss, penalties included, in every epoch of both phases.
    best : int
        Which restart was kept.
    restarts : Result
        Outcome of the first phase, for every restart.
    restart_coordinates : list of dict
        Scaled physics parameters of every restart.
    refinement : Result or None
        Outcome of the second phase.
    shares : Shares
        What each part explained when θ was settled, at the end of the first phase.
    """

    coordinates: dict[str, Tensor]
    weights: dict[str, Tensor]
    loss: float
    loss_curve: list[float]
    best: int
    restarts: Result
    restart_coordinates: list[dict[str, Tensor]]
    refinement: Result | None
    shares: Shares


def estimate(
    problem: Problem,
    starts: Sequence[Start],
    recipe: Recipe,
    refinement: Recipe | None,
    observer: Observer | None = None,
    earlier: Sequence[tuple[Problem, Recipe]] = (),
) -> Estimate | Result:
    """Train all restarts, keep the best, and refine its network.

    Parameters
    ----------
    problem : Problem
    starts : sequence of Start
    recipe : Recipe
        Of the first phase, with values for every restart.
    refinement : Recipe or None
        Of the second phase, for a single member; None for none.
    observer : callable, default=None
        Called after every epoch as ``observer(phase, epoch, members, losses)``, with the phase
        "estimate" or "refine" (there member 0 is the fit, the others are its fold copies). True
        stops training.
    earlier : sequence of (Problem, Recipe)
        Problems with the same parameters to train on before, one after the other.

    Returns
    -------
    Estimate, or the Result of the first phase if no restart has usable parameters
    """
    hybrid = problem.hybrid
    members = Members(hybrid.network, [s.weights for s in starts], [s.coordinates for s in starts])
    stopped = False
    begun: list[Tensor] = []

    def watch(phase: str, watched: Members) -> Callable[[int, Tensor], bool] | None:
        if observer is None:
            return None

        def on_epoch(epoch: int, losses: Tensor) -> bool:
            nonlocal stopped
            before = len(begun) if phase == "estimate" else 0
            stopped = observer(phase, before + epoch, watched, losses)
            return stopped

        return on_epoch

    for easier, its_recipe in earlier:
        if stopped:
            break
        begun += train(easier, members, its_recipe, watch("estimate", members)).curve
    if stopped:
        recipe = replace(recipe, schedule=replace(recipe.schedule, n_epochs=0))
    first = train(problem, members, recipe, watch("estimate", members))
    best = _best(first)
    if best is None:
        return first
    curve = [float(losses[best]) for losses in (*begun, *first.curve)]
    loss = float(first.losses[best])
    restart_coordinates = [members.member_coordinates(m) for m in range(members.n_members)]
    kept = members
    if members.n_members > 1:
        kept = Members(hybrid.network, [members.member_weights(best)], [restart_coordinates[best]])
    x, y, weight = problem.data
    shares = measure_shares(
        hybrid, x, y, kept.member_coordinates(0), kept.member_weights(0), target_weight=weight
    )
    second = None
    healthy = first.status[best] is not Status.NON_FINITE
    possible = can_refine(len(y), problem.validation is not None)
    if refinement is not None and possible and healthy and not stopped:
        kept, second = refine(problem, kept, refinement, watch)
        curve += [float(losses[0]) for losses in second.curve]
        loss = float(second.losses[0])
    return Estimate(
        coordinates=kept.member_coordinates(0),
        weights=kept.member_weights(0),
        loss=loss,
        loss_curve=curve,
        best=best,
        restarts=first,
        restart_coordinates=restart_coordinates,
        refinement=second,
        shares=shares,
    )


def _best(result: Result) -> int | None:
    """Return the usable restart with the lowest validation loss, or training loss without one."""
    losses = result.losses if result.validation_losses is None else result.validation_losses
    usable = [
        member
        for member, status in enumerate(result.status)
        if status.usable and bool(torch.isfinite(losses[member]))
    ]
    finished = [m for m in usable if result.status[m] is not Status.NON_FINITE]
    return min(finished or usable, key=lambda member: float(losses[member]), default=None)
