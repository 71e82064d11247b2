"""The training loop: the only one, for one fit or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from skhybrid.structures import Hybrid
from skhybrid.training.adam import Adam
from skhybrid.training.batch import Batch
from skhybrid.training.members import BIAS, CODER, PHYSICS, STATE, WEIGHT, Members
from skhybrid.training.objective import Objective
from skhybrid.training.penalties import L2, Penalties
from skhybrid.training.result import Result, Status
from skhybrid.training.schedule import Schedule
from skhybrid.training.sharpness import Sharpness
from skhybrid.training.stopping import BestKeeper, Patience, Waiting
from skhybrid.training.streams import Streams, rows_of

OnEpoch = Callable[[int, Tensor], bool]


@dataclass(frozen=True)
class Problem:
    """What is to be fitted: the model and its data.

    Attributes
    ----------
    hybrid : Hybrid
    data : Batch or Streams
        Training rows, with weights of shape (n, ...) or (n_members, n, ...); of several problems
        those of each.
    validation : Batch, Streams or None
        Held-out rows. Weights of shape (n_members, n, ...) tell which rows each member held out.
    groups : Tensor of int, shape (n,), or None
        Rows that belong together, to be held out together; None: every row is its own.
    fits : sequence of slice or None
        Which members belong to which fit; None: all to one.
    frames : dict or None
        What tells the models of the members apart, stacked (see :meth:`Hybrid.frame`).
    """

    hybrid: Hybrid
    data: Batch | Streams
    validation: Batch | Streams | None = None
    groups: Tensor | None = None
    fits: Sequence[slice] | None = None
    frames: dict | None = None


@dataclass(frozen=True)
class Recipe:
    """How it is fitted.

    Attributes
    ----------
    rho : Tensor of shape (n_members,) or None
        Radius of sharpness-aware minimisation; None is plain Adam, one gradient per step.
    learning_rate, physics_learning_rate : Tensor of shape (n_members,)
        A physics learning rate of zero holds θ.
    penalties : Penalties
    schedule : Schedule
    perturbation, perturb : str
        See :class:`~skhybrid.training.sharpness.Sharpness`.
    patience : Patience or None
        When to stop on the validation loss; None never does.
    keep_best : {None, "each", "together"}
        Which parameters to end with; see :class:`~skhybrid.training.stopping.BestKeeper`.
    compile : bool
    seed : int
        Of the minibatches.
    """

    rho: Tensor | None
    learning_rate: Tensor
    physics_learning_rate: Tensor
    penalties: Penalties
    schedule: Schedule
    perturbation: str = "layer"
    perturb: str = "nn"
    patience: Patience | None = None
    keep_best: str | None = None
    compile: bool = False
    seed: int = 0


def train(
    problem: Problem, members: Members, recipe: Recipe, on_epoch: OnEpoch | None = None
) -> Result:
    """Train all members side by side, in place.

    Parameters
    ----------
    problem : Problem
    members : Members
        Where they start; at the end, what was kept.
    recipe : Recipe
    on_epoch : callable, default=None
        Called as ``on_epoch(epoch, losses)`` after every epoch; True stops training.

    Returns
    -------
    Result
    """
    data, validation, schedule = problem.data, problem.validation, recipe.schedule
    objective = _objective(problem, members, recipe)
    objective.choose_evaluation(rows_of(data, slice(0, schedule.batch_size)))
    step = _Step(objective, members, recipe)
    held_out = None if validation is None else _HeldOut(objective, problem, members, recipe)
    guard = _Guard(objective, data, members, schedule.n_epochs)
    shuffle = _shuffler(data, schedule, recipe.seed)
    curve: list[Tensor] = []
    ending = Status.FINISHED
    for epoch in range(1, schedule.n_epochs + 1):
        losses = step.epoch(shuffle(), schedule)
        curve.append(losses)
        if guard.check(epoch, losses):
            step.stop(guard.stopped)
            if guard.none_left:
                break
        if held_out is not None and held_out.look(epoch, schedule.n_epochs):
            guard.stop_early(held_out.exhausted, epoch)
            step.stop(guard.stopped)
            if guard.none_left:
                break
        if on_epoch is not None and on_epoch(epoch, losses):
            ending = Status.CALLBACK_STOPPED
            break
    n_epochs = len(curve)
    # The last step may have gone where the loss is not finite; the next epoch would see it.
    losses = objective.data_losses(data)
    restored = guard.check(n_epochs + 1, losses)
    kept_epoch = [min(kept, n_epochs) for kept in guard.kept_epoch]
    validation_losses = None
    if held_out is not None:
        kept_epoch = held_out.keeper.restore(kept_epoch)
        validation_losses = held_out.losses()
        restored = True
    return Result(
        status=[ending if status is Status.FINISHED else status for status in guard.status],
        losses=objective.data_losses(data) if restored else losses,
        validation_losses=validation_losses,
        curve=torch.stack(curve) if curve else losses.new_empty((0, members.n_members)),
        stopped_epoch=[min(stop, n_epochs) for stop in guard.stopped_epoch],
        n_epochs=n_epochs,
        kept_epoch=kept_epoch,
    )


def _objective(problem: Problem, members: Members, recipe: Recipe) -> Objective:
    data = problem.data
    several = isinstance(data, Streams)
    return Objective(
        problem.hybrid,
        members,
        recipe.penalties,
        weight_per_member=data.weight is not None if several else data.weight_per_member,
        row_axes=data.row_axes if several else None,
        frames=problem.frames,
        compile=recipe.compile,
    )


class _Step:
    """One optimiser step of all members, and what belongs to it."""

    def __init__(self, objective: Objective, members: Members, recipe: Recipe) -> None:
        self.objective = objective
        self.members = members
        rates = members.spread(recipe.physics_learning_rate, [PHYSICS])
        rates += members.spread(recipe.learning_rate, [WEIGHT, BIAS, CODER, STATE])
        self.adam = Adam(members.flat, rates)
        self.l2 = L2(members, recipe.penalties.l2)
        self.sharpness = None
        if recipe.rho is not None:
            self.sharpness = Sharpness(members, recipe.rho, recipe.perturbation, recipe.perturb)

    def epoch(self, data: Batch | Streams, schedule: Schedule) -> Tensor:
        """Step through all minibatches; return the mean loss of each member, penalties included.

        A minibatch whose gradient is not finite, as that of a rollout that diverges, moves nothing;
        the mean is over the others, and not finite if there are none.
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
        """Return the loss of every member, and whether its gradient was finite."""
        losses = self.objective(batch)
        self.members.backward(losses)
        if self.sharpness is not None:
            self.sharpness.ascend()
            self.members.backward(self.objective(batch), keep=STATE)
            self.sharpness.descend()
        finite = self.members.drop_non_finite()
        self.l2.add_gradient()
        self.adam.step(self.members.gradient, decay)
        return losses.detach(), finite

    def stop(self, stopped: Tensor) -> None:
        """Leave the parameters of these members as they are from now on."""
        self.members.stop(stopped)
        self.adam.forget(self.members.spread(stopped).bool())


class _Guard:
    """Watches for losses and parameters that become non-finite."""

    def __init__(self, objective: Objective, data: Batch, members: Members, n_epochs: int) -> None:
        self.objective = objective
        self.data = data
        self.members = members
        self.status = [Status.FINISHED] * members.n_members
        self.stopped = torch.zeros(members.n_members, dtype=torch.bool, device=members.flat.device)
        self.stopped_epoch = [n_epochs] * members.n_members
        self.kept_epoch = [n_epochs] * members.n_members
        self._last, self._earlier = members.flat.clone(), members.flat.clone()

    @property
    def none_left(self) -> bool:
        """Whether every member has been stopped."""
        return all(status is not Status.FINISHED for status in self.status)

    def check(self, epoch: int, losses: Tensor) -> bool:
        """Restore members that went wrong in this epoch, and say whether there are any."""
        broken = ~(torch.isfinite(losses) & self.members.finite()) & ~self.stopped
        any_broken = bool(broken.any())
        if any_broken:
            self._restore(broken, epoch)
            self.stopped = self.stopped | broken
        self._earlier.copy_(self._last)
        self._last.copy_(self.members.flat)
        return any_broken

    def stop_early(self, chosen: Tensor, epoch: int) -> None:
        """Note which members' fits have waited long enough."""
        for member in (chosen & ~self.stopped).nonzero().flatten().tolist():
            self.status[member] = Status.EARLY_STOPPED
            self.stopped_epoch[member] = self.kept_epoch[member] = epoch
        self.stopped = self.stopped | chosen

    def _restore(self, broken: Tensor, epoch: int) -> None:
        """Give broken members their newest parameters at which the loss is finite.

        A step leads to finite parameters at which the loss is not; it is seen an epoch later.
        """
        self.members.copy_where(self.members.flat, self._last, broken)
        too_late = broken & ~torch.isfinite(self.objective.data_losses(self.data))
        self.members.copy_where(self.members.flat, self._earlier, too_late)
        for member in broken.nonzero().flatten().tolist():
            self.status[member] = Status.FAILED if epoch == 1 else Status.NON_FINITE
            self.stopped_epoch[member] = epoch
            self.kept_epoch[member] = max(0, epoch - (2 if too_late[member] else 1))


class _HeldOut:
    """The validation rows: what to keep, and when to stop."""

    def __init__(
        self, objective: Objective, problem: Problem, members: Members, recipe: Recipe
    ) -> None:
        self.objective = objective
        validation = problem.validation
        self.validation = objective.without_others(validation)
        fits = problem.fits or [slice(0, members.n_members)]
        self.exhausted = torch.zeros_like(members.flat[: members.n_members], dtype=torch.bool)
        self._waiting = None if recipe.patience is None else Waiting(recipe.patience, fits)
        self._idle = None
        if isinstance(validation, Streams):
            self._idle = validation.idle()
        elif validation.weight_per_member:
            self._idle = ~validation.weight.flatten(1).any(dim=1)
        self.keeper = BestKeeper(members, recipe.keep_best, fits)
        self.keeper.update(0, self.losses())

    def losses(self) -> Tensor:
        """Return the held-out loss of every member, NaN for those that hold nothing out."""
        losses = self.objective.data_losses(self.validation)
        return losses if self._idle is None else losses.masked_fill(self._idle, torch.nan)

    def look(self, epoch: int, n_epochs: int) -> bool:
        """Look at the held-out rows, if it is time, and say whether a fit has newly waited enough.

        :attr:`exhausted` tells which members belong to those that have.
        """
        if not self.keeper.due(epoch, n_epochs):
            return False
        losses = self.losses()
        self.keeper.update(epoch, losses)
        if self._waiting is None:
            return False
        before = self.exhausted.clone()
        for fit, done in zip(
            self._waiting.fits, self._waiting.exhausted(epoch, losses), strict=True
        ):
            self.exhausted[fit] |= done
        return bool((self.exhausted & ~before).any())


def _shuffler(
    data: Batch | Streams, schedule: Schedule, seed: int
) -> Callable[[], Batch | Streams]:
    """Return a function that returns the rows in a new order for every epoch."""
    if isinstance(data, Streams):
        generators = data.generators()
        return lambda: data.shuffled(schedule, generators)
    if schedule.n_batches == 1:
        return lambda: data
    generator = torch.Generator().manual_seed(seed)

    def shuffled() -> Batch:
        order = torch.randperm(len(data.y), generator=generator)
        return rows_of(data, order.to(data.y.device))

    return shuffled
