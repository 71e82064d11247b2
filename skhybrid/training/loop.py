"""The training loop, the same for one fit and for many."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from skhybrid.training.checkpoint import Curve, Stage
from skhybrid.training.held_out import HeldOut
from skhybrid.training.members import Members
from skhybrid.training.minibatches import PerMemberBatches, rows_of
from skhybrid.training.non_finite import NonFiniteGuard
from skhybrid.training.objective import Objective
from skhybrid.training.problem import Problem, TrainingConfig
from skhybrid.training.result import MemberResults, Status
from skhybrid.training.ruined_start import RuinedStart
from skhybrid.training.shuffler import Shuffler
from skhybrid.training.step import Step

OnEpoch = Callable[[int, Tensor], Tensor | bool | None]
OnInterrupt = Callable[[int], bool]


def train(
    problem: Problem,
    members: Members,
    config: TrainingConfig,
    on_epoch: OnEpoch | None = None,
    on_interrupt: OnInterrupt | None = None,
    stage: Stage | None = None,
    held: Tensor | None = None,
) -> MemberResults:
    """Train all members in one batch, in place.

    Parameters
    ----------
    problem : Problem
    members : Members
        At their start; afterwards with the kept parameters.
    config : TrainingConfig
    on_epoch : callable, default=None
        Called as ``on_epoch(epoch, losses)`` after every epoch; it returns which members are to
        stop: a tensor of bool, or True for all of them.
    on_interrupt : callable, default=None
        Called as ``on_interrupt(n_epochs)`` after an interrupt from the keyboard, with the number
        of whole epochs. True stops training, with the parameters at the end of the last whole
        epoch; False, or None, raises the interrupt.
    stage : Stage, default=None
        Where this run finds and keeps its state on disk.
    held : Tensor of bool, shape (n_members,), default=None
        Members that a callback stopped before this run.

    Returns
    -------
    MemberResults
    """
    if stage is not None and stage.finished:
        return stage.replay(members)
    run = _Run(problem, members, config)
    ending = Status.FINISHED
    if held is not None:
        run.stop_as_asked(held, 0)
    try:
        for epoch in run.epochs(stage):
            asked = None if on_epoch is None else on_epoch(epoch, run.curve[-1])
            if asked is not None and bool(torch.as_tensor(asked).any()):
                run.stop_as_asked(asked, epoch)
                if run.guard.none_left:
                    break
            if stage is not None:
                stage.epoch_done(epoch, run.parts)
    except KeyboardInterrupt:
        if on_interrupt is None or not on_interrupt(run.guard.whole_epochs):
            raise
        ending = Status.INTERRUPTED
        run.return_to_whole_epoch()
    results = run.results(ending)
    if stage is not None and ending is not Status.INTERRUPTED:
        stage.finish(members, results)
    return results


class _Run:
    """One run of the loop, with everything that watches it.

    Attributes
    ----------
    guard : NonFiniteGuard
    curve : list of Tensor
        Losses of the members in every epoch so far.
    parts : dict of str to Resumable
        Everything that changes while the loop runs.
    """

    def __init__(self, problem: Problem, members: Members, config: TrainingConfig) -> None:
        data, self.schedule = problem.data, config.schedule
        self.data, self.members = data, members
        self.objective = _objective(problem, members, config)
        self.objective.choose_evaluation(rows_of(data, slice(0, self.schedule.batch_size)))
        self.step = Step(self.objective, members, config)
        self.held_out = None
        if problem.validation is not None:
            self.held_out = HeldOut(self.objective, problem, members, config)
        self.start = None
        if bool((config.physics_learning_rate > 0).any()) and problem.hybrid.space.shapes:
            self.start = RuinedStart(self.objective, data, members, self.step)
        self.guard = NonFiniteGuard(self.objective, data, members, self.schedule.n_epochs)
        self.shuffle = Shuffler(data, self.schedule, config.seed)
        self.curve: list[Tensor] = []
        parts = {
            "members": members,
            "adam": self.step.adam,
            "guard": self.guard,
            "shuffle": self.shuffle,
            "curve": Curve(self.curve),
            "held_out": self.held_out,
            "start": self.start,
            "radius": self.step.radius,
        }
        self.parts = {name: part for name, part in parts.items() if part is not None}

    def epochs(self, stage: Stage | None) -> Iterator[int]:
        """Run the epochs that are left; yield the number of each, unless all members stopped."""
        n_before = 0 if stage is None else stage.resume(self.parts)
        if n_before and bool(self.guard.stopped.any()):
            self.step.stop(self.guard.stopped)
        for epoch in range(n_before + 1, self.schedule.n_epochs + 1):
            if epoch == self.schedule.midway + 1:
                self.members.note_midway()
            losses = self.step.epoch(self.shuffle(), self.schedule)
            self.curve.append(losses)
            if self.start is not None:
                self.start.check(losses)
            if self._stops_members(epoch, losses) and self.guard.none_left:
                return
            yield epoch

    def _stops_members(self, epoch: int, losses: Tensor) -> bool:
        """Stop members that became non-finite or do not improve; return whether there are any."""
        stops = self.guard.check(epoch, losses)
        if stops:
            self.step.stop(self.guard.stopped)
            if self.guard.none_left:
                return True
        if self.held_out is not None and self.held_out.check(epoch, self.schedule.n_epochs):
            self.guard.stop_early(self.held_out.exhausted, epoch)
            self.step.stop(self.guard.stopped)
            stops = True
        return stops

    def stop_as_asked(self, asked: Tensor | bool, epoch: int) -> None:
        """Stop members after this epoch."""
        self.guard.stop_as_asked(asked, epoch)
        self.step.stop(self.guard.stopped)

    def return_to_whole_epoch(self) -> None:
        """Return to the end of the last whole epoch."""
        self.guard.restore_whole_epoch()
        del self.curve[self.guard.whole_epochs :]
        if self.held_out is not None:  # the last whole epoch may not have been evaluated
            self.held_out.keeper.update(self.guard.whole_epochs, self.held_out.losses())

    def results(self, ending: Status) -> MemberResults:
        """Restore the parameters to keep; return the results."""
        n_epochs, guard = len(self.curve), self.guard
        # The last step may lead to a non-finite loss, which only a further epoch would show.
        losses = self.objective.data_losses(self.data)
        restored = guard.check(n_epochs + 1, losses)
        kept_epoch = [min(kept, n_epochs) for kept in guard.kept_epoch]
        validation_losses = None
        if self.held_out is not None:
            kept_epoch = self.held_out.keeper.restore(kept_epoch)
            validation_losses = self.held_out.losses()
            restored = True
        if restored:
            losses = self.objective.data_losses(self.data)
        none = losses.new_empty((0, self.members.n_members))
        return MemberResults(
            status=[ending if status is Status.FINISHED else status for status in guard.status],
            losses=losses,
            validation_losses=validation_losses,
            curve=torch.stack(self.curve) if self.curve else none,
            stopped_epoch=[min(stop, n_epochs) for stop in guard.stopped_epoch],
            n_epochs=n_epochs,
            kept_epoch=kept_epoch,
            compiled=self.step.compiled is not None and self.step.compiled.has_run,
        )


def _objective(problem: Problem, members: Members, config: TrainingConfig) -> Objective:
    """Return the loss of the members of a problem."""
    data = problem.data
    per_member = isinstance(data, PerMemberBatches)
    return Objective(
        problem.hybrid,
        members,
        config.penalties,
        weight_per_member=data.weight is not None if per_member else data.weight_per_member,
        row_axes=data.row_axes if per_member else None,
        member_constants=problem.member_constants,
        loss=config.loss,
    )
