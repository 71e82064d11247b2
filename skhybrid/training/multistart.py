"""Whole fits, one or many in one batch: restarts, the best restart, and its refinement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from skhybrid.model.out_of_memory import memory_errors_named
from skhybrid.runtime.chunks import chunks
from skhybrid.training.batching_key import problem_key
from skhybrid.training.checkpoint import Checkpoint, Stage
from skhybrid.training.combining import (
    combine_configs,
    combine_problems,
    member_slices,
    results_of_fit,
)
from skhybrid.training.explained_variance import measure_explained_variance
from skhybrid.training.input_padding import input_paddings, pad_fit, unpad_result
from skhybrid.training.loop import OnEpoch, train
from skhybrid.training.members import Members
from skhybrid.training.problem import Fit, Problem, TrainingConfig
from skhybrid.training.refinement import Refinement, can_refine, refine
from skhybrid.training.restart_choice import best_restart
from skhybrid.training.result import FitResult, MemberResults, Status
from skhybrid.training.shared_constant import settle

# (phase, epoch within the phase, members, losses per member, members of each fit that is still
# trained) -> fits to stop
Observer = Callable[[str, int, Members, Tensor, Mapping[int, slice]], Collection[int]]


@memory_errors_named(
    "training", "Choose a smaller batch_size, fewer restarts, a smaller nn or shorter windows."
)
def train_together(
    fits: Sequence[Fit],
    *,
    max_members: int | None = None,
    observer: Observer | None = None,
    keep_interrupted: bool = False,
    checkpoint: Checkpoint | None = None,
) -> list[FitResult]:
    """Train fits in one batch.

    Parameters
    ----------
    fits : sequence of Fit
        With the same batching key.
    max_members : int, default=None
        Largest number of members that the second phase trains at once; None means no limit.
    observer : callable, default=None
        Called after every epoch as ``observer(phase, epoch, members, losses, parts)``, with the
        phase "estimate" or "refine"; ``parts`` maps the number of each fit that is still trained to
        the slice of its members. In "refine", the first of them is the fit, and the others are its
        copies for cross-validation. It returns the numbers of the fits that are to stop. If it has
        a method ``note``, a training that goes on calls ``note(phase, curve, parts)`` with the
        losses of the epochs that were run before.
    keep_interrupted : bool, default=False
        For a single fit: whether an interrupt from the keyboard ends its training with the model of
        the last whole epoch. Before the first epoch is complete, the interrupt is raised.
    checkpoint : Checkpoint, default=None
        Where the training keeps its state on disk, and goes on from.

    Returns
    -------
    list of FitResult
        One for every fit.
    """
    if checkpoint is not None and checkpoint.finished is not None:
        return checkpoint.finished
    watch = _Watch(observer, keep_interrupted, checkpoint)
    paddings, columns = input_paddings([fit.problem for fit in fits])
    if paddings is not None:
        fits = [pad_fit(fit, padding, columns) for fit, padding in zip(fits, paddings, strict=True)]
    results = _first_phase(fits, watch)
    if watch.ending is None:
        try:
            results = _second_phase(fits, results, max_members, watch)
        except KeyboardInterrupt:  # before its first epoch: the first phase is the result
            if not watch.on_interrupt(0):
                raise
    if watch.ending is Status.INTERRUPTED:
        if not all(result.status.usable for result in results):
            raise KeyboardInterrupt  # there is no model to keep
        results = [replace(result, status=Status.INTERRUPTED) for result in results]
    if paddings is not None:
        results = [unpad_result(*pair) for pair in zip(results, paddings, strict=True)]
    return results


class _Watch:
    """Calls the observer, and remembers whether an interrupt ended training.

    Attributes
    ----------
    ending : Status or None
    n_before : int
        Epochs of the stages before.
    """

    def __init__(
        self,
        observer: Observer | None,
        keep_interrupted: bool,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.observer = observer
        self.checkpoint = checkpoint
        self.keep_interrupted = keep_interrupted
        self.ending: Status | None = None
        self.n_before = 0

    def on_interrupt(self, n_epochs: int) -> bool:
        """Return whether the first interrupt ends training, after ``n_epochs`` of this stage."""
        if not self.keep_interrupted or self.ending is not None or self.n_before + n_epochs == 0:
            return False
        self.ending = Status.INTERRUPTED
        return True

    def next_stage(self, phase: str, parts: Mapping[int, slice]) -> Stage | None:
        """Return where the next run of the training loop keeps its state; None means nowhere."""
        if self.checkpoint is None:
            return None
        note = getattr(self.observer, "note", None)
        on_resume = None if note is None else lambda curve: note(phase, curve, parts)
        return self.checkpoint.next_stage(on_resume)

    def __call__(self, phase: str, members: Members, parts: Mapping[int, slice]) -> OnEpoch | None:
        """Return the function that training calls after every epoch of a phase."""
        if self.observer is None:
            return None
        before = self.n_before if phase == "estimate" else 0

        def on_epoch(epoch: int, losses: Tensor) -> Tensor:
            stopped = members.stopped.tolist()
            live = {number: part for number, part in parts.items() if not all(stopped[part])}
            asked = torch.zeros_like(members.stopped)
            for number in self.observer(phase, before + epoch, members, losses, live):
                asked[parts[number]] = True
            return asked

        return on_epoch


def _first_phase(fits: Sequence[Fit], watch: _Watch) -> list[FitResult]:
    """Train all restarts, first on shorter windows if there are any."""
    counts = [len(fit.starts) for fit in fits]
    starts = [start for fit in fits for start in fit.starts]
    members = Members(
        fits[0].problem.hybrid.network,
        [start.weights for start in starts],
        [start.coordinates for start in starts],
        [fit.problem.hybrid.space.limits for fit in fits for _ in fit.starts],
    )
    earlier: list[MemberResults] = []
    held = torch.zeros_like(members.stopped)
    for stage in range(len(fits[0].earlier)):
        if watch.ending is not None or bool(held.all()):
            break
        stages = [fit.earlier[stage] for fit in fits]
        earlier.append(_train_stage(stages, counts, members, watch, held))
        held |= _asked_to_stop(earlier[-1], counts).to(held.device)
    stages = [(fit.problem, fit.config) for fit in fits]
    results = _train_stage(stages, counts, members, watch, held)
    return [
        _result_of_best(fit, part, members, results, earlier)
        for fit, part in zip(fits, member_slices(counts), strict=True)
    ]


def _asked_to_stop(results: MemberResults, counts: Sequence[int]) -> Tensor:
    """Return the members of fits that a callback stopped."""
    asked = [Status.CALLBACK_STOPPED in results.status[part] for part in member_slices(counts)]
    return torch.tensor(asked).repeat_interleave(torch.tensor(counts))


def _train_stage(
    stages: Sequence[tuple[Problem, TrainingConfig]],
    counts: Sequence[int],
    members: Members,
    watch: _Watch,
    held: Tensor,
) -> MemberResults:
    """Train one stage of all fits; if training has ended before, compute its losses alone."""
    problem, config = _combined(stages, counts)
    ending = Status.CALLBACK_STOPPED if watch.ending is None else watch.ending
    if watch.ending is None and not bool(held.all()):
        start = members.flat.clone()
        parts = dict(enumerate(member_slices(counts)))
        try:
            on_epoch = watch("estimate", members, parts)
            stage = watch.next_stage("estimate", parts)
            before = held if bool(held.any()) else None
            results = train(problem, members, config, on_epoch, watch.on_interrupt, stage, before)
        except KeyboardInterrupt:  # before its first epoch: the stages before are the result
            if not watch.on_interrupt(0):
                raise
            ending = watch.ending
            members.set_flat(start)
        else:
            watch.n_before += len(results.curve)
            return results
    config = replace(config, schedule=replace(config.schedule, n_epochs=0))
    results = train(problem, members, config)
    status = [ending if each is Status.FINISHED else each for each in results.status]
    return replace(results, status=status)


def _combined(
    stages: Sequence[tuple[Problem, TrainingConfig]], counts: Sequence[int]
) -> tuple[Problem, TrainingConfig]:
    """Combine one stage of all fits."""
    problems, configs = zip(*stages, strict=True)
    problem = combine_problems(problems, [config.seed for config in configs], counts)
    return problem, combine_configs(configs)


def _result_of_best(
    fit: Fit, part: slice, members: Members, results: MemberResults, earlier: list[MemberResults]
) -> FitResult:
    """Return the first phase's result of a fit: the restart with the lowest loss.

    ``earlier`` are the results of the earlier stages.
    """
    results = results_of_fit(results, part)
    found = [members.member_coordinates(member) for member in range(part.start, part.stop)]
    best = best_restart(results, fit.starts, found, fit.config.prior)
    if best is None:
        return FitResult(Status.FAILED, results)
    curve = torch.cat([*(results_of_fit(each, part).curve for each in earlier), results.curve])
    indices = range(part.start, part.stop)
    coordinates = []
    for restart, member in enumerate(indices):
        own, settled = _settled(fit, restart, members.member_weights(member), found[restart])
        coordinates.append(settled)
        if restart == best:
            weights = own
    x, y, weight = fit.problem.data
    return FitResult(
        results.status[best],
        results,
        coordinates=coordinates[best],
        weights=weights,
        loss=float(results.losses[best]),
        loss_curve=curve[:, best].tolist(),
        best=best,
        restart_coordinates=coordinates,
        midway=_midway(fit, best, members, indices[best], results.status[best]),
        explained=measure_explained_variance(
            fit.problem.hybrid, x, y, coordinates[best], weights, target_weight=weight
        ),
    )


def _settled(
    fit: Fit, restart: int, weights: Mapping[str, Tensor], coordinates: Mapping[str, Tensor]
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Move the mean of a restart's network to θ where θ can give it, unless θ is held."""
    if float(fit.config.physics_learning_rate[restart]) == 0.0:
        return weights, coordinates
    return settle(fit.problem.hybrid, fit.problem.data, weights, coordinates)


def _midway(
    fit: Fit, restart: int, members: Members, member: int, status: Status
) -> Mapping[str, Tensor] | None:
    """Return θ halfway through the first phase, by the same convention as at its end."""
    coordinates = members.member_midway(member)
    if coordinates is None or not status.complete:
        return None
    return _settled(fit, restart, members.member_midway_weights(member), coordinates)[1]


def _second_phase(
    fits: Sequence[Fit], results: Sequence[FitResult], max_members: int | None, watch: _Watch
) -> list[FitResult]:
    """Refine the fits that can be refined, in batches of the same key."""
    results = list(results)
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, (fit, result) in enumerate(zip(fits, results, strict=True)):
        if fit.refinement is None or not result.status.usable:
            continue
        if Status.CALLBACK_STOPPED in result.restarts.status:
            continue
        possible = can_refine(len(fit.problem.data.y), fit.problem.validation is not None)
        if possible and result.status is not Status.NON_FINITE:
            groups[problem_key(fit.problem, fit.refinement)].append(number)
    for group in groups.values():
        jobs = [
            Refinement(
                fits[number].problem,
                fits[number].refinement,
                results[number].weights,
                results[number].coordinates,
            )
            for number in group
        ]
        size = len(jobs) if max_members is None else max(1, max_members // jobs[0].n_members)
        for chunk in chunks(range(len(jobs)), size):
            parts = member_slices([jobs[i].n_members for i in chunk])
            parts = {group[i]: part for i, part in zip(chunk, parts, strict=True)}
            stage = watch.next_stage("refine", parts)
            on_epoch = partial(watch, parts=parts)
            outcomes = refine([jobs[i] for i in chunk], on_epoch, watch.on_interrupt, stage)
            for i, (weights, second) in zip(chunk, outcomes, strict=True):
                first = results[group[i]]
                results[group[i]] = replace(
                    first,
                    weights=weights,
                    loss=float(second.losses[0]),
                    loss_curve=first.loss_curve + second.curve[:, 0].tolist(),
                    refinement=second,
                )
    return results
