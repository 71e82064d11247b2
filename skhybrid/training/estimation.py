"""Whole fits, one or many side by side: restarts, the best of them, and its refinement."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skhybrid.training.joining import (
    Widening,
    join_problems,
    join_recipes,
    part_of,
    signature,
    slices,
    widenings,
)
from skhybrid.training.loop import Problem, Recipe, train
from skhybrid.training.members import Members
from skhybrid.training.refinement import Refinement, can_refine, refine
from skhybrid.training.result import Result, Start, Status
from skhybrid.training.sharing import Shares, measure_shares

# phase name, epoch within the phase, members, losses per member -> stop?
Observer = Callable[[str, int, Members, Tensor], bool]


@dataclass(frozen=True)
class Fit:
    """All that one fit needs.

    Attributes
    ----------
    problem : Problem
    starts : sequence of Start
        One for every restart.
    recipe : Recipe
        Of the first phase, with values for every restart.
    refinement : Recipe or None
        Of the second phase, for a single member; None for none.
    earlier : sequence of (Problem, Recipe)
        Problems with the same parameters to train on before, one after the other.
    """

    problem: Problem
    starts: Sequence[Start]
    recipe: Recipe
    refinement: Recipe | None = None
    earlier: Sequence[tuple[Problem, Recipe]] = ()

    def signature(self) -> Hashable:
        """Return what fits must have in common to be trained side by side."""
        stages = (*self.earlier, (self.problem, self.recipe))
        if self.refinement is not None:
            stages = (*stages, (self.problem, self.refinement))
        return tuple(signature(problem, recipe) for problem, recipe in stages)


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


def estimate_together(
    fits: Sequence[Fit], *, max_members: int | None = None, observer: Observer | None = None
) -> list[Estimate | Result]:
    """Train fits side by side.

    Parameters
    ----------
    fits : sequence of Fit
        Of the same signature.
    max_members : int, default=None
        Most members of the second phase at once; None is no limit.
    observer : callable, default=None
        Of a single fit: called after every epoch as ``observer(phase, epoch, members, losses)``,
        with the phase "estimate" or "refine" (there member 0 is the fit, the others are its fold
        copies). True stops training.

    Returns
    -------
    list of Estimate or Result, one for every fit
        The Result of the first phase if no restart has usable parameters.
    """
    watch = _Watch(observer)
    counts = [len(fit.starts) for fit in fits]
    changes, columns = widenings([fit.problem for fit in fits])
    if changes is not None:
        fits = [_widened(fit, change, columns) for fit, change in zip(fits, changes, strict=True)]
    starts = [start for fit in fits for start in fit.starts]
    members = Members(
        fits[0].problem.hybrid.network,
        [start.weights for start in starts],
        [start.coordinates for start in starts],
    )
    result, begun = _first_phase(fits, counts, members, watch)
    firsts = [
        _first(fit, part, members, result, begun)
        for fit, part in zip(fits, slices(counts), strict=True)
    ]
    if not watch.stopped:
        _refine_all(fits, firsts, max_members, watch)
    if changes is not None:
        firsts = [_narrowed(first, change) for first, change in zip(firsts, changes, strict=True)]
    return firsts


class _Watch:
    """Hands what happens to an observer, and remembers if that asked to stop."""

    def __init__(self, observer: Observer | None) -> None:
        self.observer = observer
        self.stopped = False
        self.n_before = 0

    def __call__(self, phase: str, members: Members) -> Callable[[int, Tensor], bool] | None:
        if self.observer is None:
            return None
        before = self.n_before if phase == "estimate" else 0

        def on_epoch(epoch: int, losses: Tensor) -> bool:
            self.stopped = self.observer(phase, before + epoch, members, losses)
            return self.stopped

        return on_epoch


def _first_phase(
    fits: Sequence[Fit], counts: Sequence[int], members: Members, watch: _Watch
) -> tuple[Result, Tensor]:
    """Train all restarts; return the result of the last stage and the curve of those before."""
    begun = [members.flat.new_empty((0, members.n_members))]
    for stage in range(len(fits[0].earlier)):
        if watch.stopped:
            break
        problem, recipe = _joined([fit.earlier[stage] for fit in fits], counts)
        result = train(problem, members, recipe, watch("estimate", members))
        begun.append(result.curve)
        watch.n_before += len(result.curve)
    problem, recipe = _joined([(fit.problem, fit.recipe) for fit in fits], counts)
    if watch.stopped:
        recipe = replace(recipe, schedule=replace(recipe.schedule, n_epochs=0))
    return train(problem, members, recipe, watch("estimate", members)), torch.cat(begun)


def _joined(
    stages: Sequence[tuple[Problem, Recipe]], counts: Sequence[int]
) -> tuple[Problem, Recipe]:
    problems, recipes = zip(*stages, strict=True)
    problem = join_problems(problems, [recipe.seed for recipe in recipes], counts)
    return problem, join_recipes(recipes)


def _first(
    fit: Fit, part: slice, members: Members, result: Result, begun: Tensor
) -> Estimate | Result:
    """Return what the first phase found, of the restart with the lowest loss."""
    result = part_of(result, part)
    best = _best(result)
    if best is None:
        return result
    curve = torch.cat([begun[:, part], result.curve])
    indices = range(part.start, part.stop)
    coordinates = [members.member_coordinates(member) for member in indices]
    weights = members.member_weights(indices[best])
    x, y, weight = fit.problem.data
    shares = measure_shares(
        fit.problem.hybrid, x, y, coordinates[best], weights, target_weight=weight
    )
    return Estimate(
        coordinates=coordinates[best],
        weights=weights,
        loss=float(result.losses[best]),
        loss_curve=curve[:, best].tolist(),
        best=best,
        restarts=result,
        restart_coordinates=coordinates,
        refinement=None,
        shares=shares,
    )


def _refine_all(
    fits: Sequence[Fit], firsts: list[Estimate | Result], max_members: int | None, watch: _Watch
) -> None:
    """Put refined estimates in the place of those that can be refined."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, (fit, first) in enumerate(zip(fits, firsts, strict=True)):
        if fit.refinement is None or isinstance(first, Result):
            continue
        possible = can_refine(len(fit.problem.data.y), fit.problem.validation is not None)
        if possible and first.restarts.status[first.best] is not Status.NON_FINITE:
            groups[signature(fit.problem, fit.refinement)].append(number)
    for group in groups.values():
        jobs = [
            Refinement(
                fits[number].problem,
                fits[number].refinement,
                firsts[number].weights,
                firsts[number].coordinates,
            )
            for number in group
        ]
        size = len(jobs) if max_members is None else max(1, max_members // jobs[0].n_members)
        for portion in portions(range(len(jobs)), size):
            outcomes = refine([jobs[i] for i in portion], watch)
            for i, (weights, second) in zip(portion, outcomes, strict=True):
                first = firsts[group[i]]
                firsts[group[i]] = replace(
                    first,
                    weights=weights,
                    loss=float(second.losses[0]),
                    loss_curve=first.loss_curve + second.curve[:, 0].tolist(),
                    refinement=second,
                )


def portions(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yield as few portions as hold so many at the most, about equally large."""
    n_portions = -(-len(numbers) // size)
    ends = [round(len(numbers) * part / n_portions) for part in range(n_portions + 1)]
    for begin, end in itertools.pairwise(ends):
        yield numbers[begin:end]


def _widened(fit: Fit, change: Widening, columns: Sequence[int]) -> Fit:
    hybrid = change.widened(fit.problem.hybrid, columns)
    return replace(
        fit,
        problem=replace(fit.problem, hybrid=hybrid),
        starts=[replace(start, weights=change.widen(start.weights)) for start in fit.starts],
        earlier=[(replace(problem, hybrid=hybrid), recipe) for problem, recipe in fit.earlier],
    )


def _narrowed(outcome: Estimate | Result, change: Widening) -> Estimate | Result:
    if isinstance(outcome, Result):
        return outcome
    return replace(outcome, weights=change.narrow(outcome.weights))


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
