"""The training loop, the same for one fit and for many."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.training.adam import Adam
from skhybrid.training.checkpoint import Curve, Resumable, Stage
from skhybrid.training.held_out import HeldOut
from skhybrid.training.members import BIAS, CODER, FIRST_STATE, PHYSICS, WEIGHT, Members
from skhybrid.training.minibatches import PerMemberBatches, rows_of
from skhybrid.training.non_finite import NonFiniteGuard
from skhybrid.training.objective import Objective
from skhybrid.training.penalties import L2
from skhybrid.training.problem import Problem, TrainingConfig
from skhybrid.training.result import MemberResults, Status
from skhybrid.training.ruined_start import RuinedStart
from skhybrid.training.sam import SAM
from skhybrid.training.schedule import Schedule

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
    data, schedule = problem.data, config.schedule
    objective = _objective(problem, members, config)
    objective.choose_evaluation(rows_of(data, slice(0, schedule.batch_size)))
    step = _Step(objective, members, config)
    held_out = None
    if problem.validation is not None:
        held_out = HeldOut(objective, problem, members, config)
    start = None
    if bool((config.physics_learning_rate > 0).any()) and problem.hybrid.space.shapes:
        start = RuinedStart(objective, data, members, step.adam)
    guard = NonFiniteGuard(objective, data, members, schedule.n_epochs)
    shuffle = _Shuffler(data, schedule, config.seed)
    curve: list[Tensor] = []
    ending = Status.FINISHED
    parts = _parts(members, step, guard, held_out, shuffle, curve, start)
    if held is not None:
        guard.stop_as_asked(held, 0)
        step.stop(guard.stopped)
    n_before = 0 if stage is None else stage.resume(parts)
    if n_before and bool(guard.stopped.any()):
        step.stop(guard.stopped)
    try:
        for epoch in range(n_before + 1, schedule.n_epochs + 1):
            if epoch == schedule.midway + 1:
                members.note_midway()
            losses = step.epoch(shuffle(), schedule)
            curve.append(losses)
            if start is not None:
                start.check(losses)
            if guard.check(epoch, losses):
                step.stop(guard.stopped)
                if guard.none_left:
                    break
            if held_out is not None and held_out.check(epoch, schedule.n_epochs):
                guard.stop_early(held_out.exhausted, epoch)
                step.stop(guard.stopped)
                if guard.none_left:
                    break
            asked = None if on_epoch is None else on_epoch(epoch, losses)
            if asked is not None and bool(torch.as_tensor(asked).any()):
                guard.stop_as_asked(asked, epoch)
                step.stop(guard.stopped)
                if guard.none_left:
                    break
            if stage is not None:
                stage.epoch_done(epoch, parts)
    except KeyboardInterrupt:
        if on_interrupt is None or not on_interrupt(guard.whole_epochs):
            raise
        ending = Status.INTERRUPTED
        guard.restore_whole_epoch()
        del curve[guard.whole_epochs :]
        if held_out is not None:  # the last whole epoch may not have been evaluated
            held_out.keeper.update(guard.whole_epochs, held_out.losses())
    n_epochs = len(curve)
    # The last step may lead to a non-finite loss, which only a further epoch would show.
    losses = objective.data_losses(data)
    restored = guard.check(n_epochs + 1, losses)
    kept_epoch = [min(kept, n_epochs) for kept in guard.kept_epoch]
    validation_losses = None
    if held_out is not None:
        kept_epoch = held_out.keeper.restore(kept_epoch)
        validation_losses = held_out.losses()
        restored = True
    results = MemberResults(
        status=[ending if status is Status.FINISHED else status for status in guard.status],
        losses=objective.data_losses(data) if restored else losses,
        validation_losses=validation_losses,
        curve=torch.stack(curve) if curve else losses.new_empty((0, members.n_members)),
        stopped_epoch=[min(stop, n_epochs) for stop in guard.stopped_epoch],
        n_epochs=n_epochs,
        kept_epoch=kept_epoch,
    )
    if stage is not None and ending is not Status.INTERRUPTED:
        stage.finish(members, results)
    return results


def _parts(
    members: Members,
    step: _Step,
    guard: NonFiniteGuard,
    held_out: HeldOut | None,
    shuffle: _Shuffler,
    curve: list[Tensor],
    start: RuinedStart | None,
) -> dict[str, Resumable]:
    """Return everything that changes while the loop runs."""
    parts = {
        "members": members,
        "adam": step.adam,
        "guard": guard,
        "shuffle": shuffle,
        "curve": Curve(curve),
    }
    optional = {"held_out": held_out, "start": start}
    return parts | {name: part for name, part in optional.items() if part is not None}


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
        compile=config.compile,
    )


class _Step:
    """Optimiser steps of all members: gradient, SAM, l2 penalty and Adam."""

    def __init__(self, objective: Objective, members: Members, config: TrainingConfig) -> None:
        self.objective = objective
        self.members = members
        rates = members.per_parameter(config.physics_learning_rate, [PHYSICS])
        rates += members.per_parameter(config.learning_rate, [WEIGHT, BIAS, CODER, FIRST_STATE])
        self.adam = Adam(members.flat, rates)
        self.l2 = L2(members, config.penalties.l2)
        self.sam = None
        if config.rho is not None:
            self.sam = SAM(members, config.rho, config.perturbation, config.perturb)

    def epoch(self, data: Batch | PerMemberBatches, schedule: Schedule) -> Tensor:
        """Step through all minibatches; return the mean loss of each member, penalties included.

        A minibatch with a non-finite gradient, for example from a diverging rollout, moves nothing.
        The mean is over the other minibatches, and non-finite if there are none.
        """
        size, first = schedule.batch_size, self.adam.n_steps
        total = torch.zeros(self.members.n_members).to(self.members.flat)
        n_finite = torch.zeros_like(total)
        for batch in range(schedule.n_batches):
            rows = rows_of(data, slice(batch * size, (batch + 1) * size))
            losses, finite = self(rows, schedule.decay(first + batch))
            finite = finite & torch.isfinite(losses)
            total += torch.where(finite, losses, 0.0)
            n_finite += finite
        return total / n_finite + self.l2()

    def __call__(self, batch: Batch, decay: float) -> tuple[Tensor, Tensor]:
        """Make one step; return the loss of every member, and whether its gradient was finite."""
        losses = self.objective(batch)
        self.members.backward(losses)
        if self.sam is not None:
            self.sam.ascend()
            self.members.backward(self.objective(batch), keep=FIRST_STATE)
            self.sam.descend()
        finite = self.members.drop_non_finite()
        self.l2.add_gradient()
        self.adam.step(self.members.gradient, decay)
        self.members.project()
        return losses.detach(), finite

    def stop(self, stopped: Tensor) -> None:
        """Hold the parameters of these members from now on."""
        self.members.stop(stopped)
        self.adam.forget(self.members.per_parameter(stopped).bool())


class _Shuffler:
    """Returns the rows in a new order at every call."""

    def __init__(self, data: Batch | PerMemberBatches, schedule: Schedule, seed: int) -> None:
        self._data = data
        self._schedule = schedule
        if isinstance(data, PerMemberBatches):
            self._generators = data.generators()
        else:
            self._generators = [torch.Generator().manual_seed(seed)]

    def __call__(self) -> Batch | PerMemberBatches:
        """Return the rows of an epoch."""
        data = self._data
        if isinstance(data, PerMemberBatches):
            return data.shuffled(self._schedule, self._generators)
        if self._schedule.n_batches == 1:
            return data
        order = torch.randperm(len(data.y), generator=self._generators[0])
        return rows_of(data, order.to(data.y.device))

    def state(self) -> list[Tensor]:
        """Return the states of the generators."""
        return [generator.get_state() for generator in self._generators]

    def restore(self, state: list[Tensor]) -> None:
        """Go on from a state."""
        for generator, own in zip(self._generators, state, strict=True):
            generator.set_state(own)
