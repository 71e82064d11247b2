"""One step of the optimiser, and an epoch of steps, for all members."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from skhybrid.exceptions import CompilationWarning
from skhybrid.model.batch import Batch
from skhybrid.model.out_of_memory import is_out_of_memory
from skhybrid.model.user_code import reason
from skhybrid.runtime.user_warnings import warn
from skhybrid.training.adam import Adam
from skhybrid.training.compiled_step import CompiledStep, compiles
from skhybrid.training.members import (
    ALL,
    BIAS,
    CODER,
    FIRST_STATE,
    GROUP,
    PHYSICS,
    WEIGHT,
    Members,
)
from skhybrid.training.minibatches import PerMemberBatches, rows_of
from skhybrid.training.objective import Objective
from skhybrid.training.penalties import SquaredNorms
from skhybrid.training.priors import PriorGradient
from skhybrid.training.problem import TrainingConfig
from skhybrid.training.radius import Radius
from skhybrid.training.sam import SAM
from skhybrid.training.schedule import Schedule

# Minibatches whose losses are gathered before they are added up.
GATHERED = 256


class Step:
    """Optimiser steps of all members: gradient, SAM, penalties and Adam."""

    def __init__(self, objective: Objective, members: Members, config: TrainingConfig) -> None:
        self.objective = objective
        self.members = members
        rates = members.per_parameter(config.physics_learning_rate, [PHYSICS, GROUP])
        rates += members.per_parameter(config.learning_rate, [WEIGHT, BIAS, CODER, FIRST_STATE])
        self._speed_up_hidden_states(rates, config.schedule.state_rate_factor)
        self.adam = Adam(members.flat, rates)
        self.norms = SquaredNorms(members, config.penalties.on_parameters)
        n_steps = config.schedule.n_epochs * config.schedule.n_batches
        self.sam = self.radius = None
        if config.rho is not None:
            self.radius = Radius(config.rho.to(members.flat), config.follows_noise, n_steps)
            self.sam = SAM(members, self.radius.values, config.perturbation, config.perturb)
        moves_physics = self.sam is not None and self.sam.moves_physics
        self._learns_physics = moves_physics or bool((config.physics_learning_rate != 0).any())
        self._roles = [role for role in ALL if role != PHYSICS or self._learns_physics]
        self.prior = None
        if config.prior is not None and self._learns_physics:
            self.prior = PriorGradient(members, config.prior)
        self._must_compile = config.compile is True
        self.compiled = None
        whole_loss = objective.whole_loss()
        if whole_loss is not None and compiles(config.compile, n_steps):
            self.compiled = CompiledStep(
                whole_loss,
                members,
                self.adam,
                self.sam,
                self.radius,
                config.penalties.on_parameters,
                self.prior,
                row_axis=int(objective.rows_per_member),
            )
        members.gradient.zero_()  # gradients that no step needs stay zero

    def epoch(self, data: Batch | PerMemberBatches, schedule: Schedule) -> Tensor:
        """Step through all minibatches; return the mean loss of each member, penalties included.

        A minibatch with a non-finite gradient, for example from a diverging rollout, moves nothing.
        The mean is over the other minibatches, and non-finite if there are none.
        """
        size, first = schedule.batch_size, self.adam.n_steps
        mean = MeanOfFinite(self.members.stopped, self.members.flat.dtype)
        for batch in range(schedule.n_batches):
            rows = rows_of(data, slice(batch * size, (batch + 1) * size))
            mean.add(*self(rows, schedule.decay(first + batch)))
        return mean() + self.norms()

    def __call__(self, batch: Batch, decay: float) -> tuple[Tensor, Tensor]:
        """Make one step; return the loss of every member, and whether its gradient was finite."""
        if self.compiled is not None:
            try:
                return self.compiled(self.objective.arguments(batch), decay)
            except Exception as error:
                if self.compiled.has_run or is_out_of_memory(error):
                    raise
                self._go_on_without_compiler(error)
        gradient = partial(self.objective.gradient, batch, learns_physics=self._learns_physics)
        if self.sam is None:
            losses, data_losses = gradient(self._roles)
        else:
            losses, data_losses = gradient(self.sam.roles)
            if self.radius.varies:
                self.radius.update(data_losses, decay)
            self.sam.ascend()
            gradient(self._roles, again=not self.sam.moves_physics, keep=FIRST_STATE)
            self.sam.descend()
        finite = self.members.drop_non_finite()
        self.norms.add_gradient()
        if self.prior is not None:
            self.prior.add(data_losses, finite)
        self.adam.step(self.members.gradient, decay)
        self.members.project()
        return losses, finite

    def _speed_up_hidden_states(self, rates: Tensor, factor: float) -> None:
        """Multiply the rates of the learned first states that are not observed."""
        for block in self.members.blocks:
            if block.role == FIRST_STATE:
                layout = self.objective.hybrid.layout
                states = block.view(rates).unflatten(1, (-1, *layout.state_shape))
                layout.hidden_states(states).mul_(factor).clamp_(max=torch.finfo(rates.dtype).max)

    def _go_on_without_compiler(self, error: Exception) -> None:
        """Make steps without compilation from now on; warn if the user asked for compilation."""
        self.compiled = None
        if self._must_compile:
            warn(
                "The steps could not be compiled, so the fit goes on without (compile=False does "
                f"the same without this warning). {reason(error)}",
                CompilationWarning,
            )

    def stop(self, stopped: Tensor) -> None:
        """Hold the parameters of these members from now on."""
        self.members.stop(stopped)
        self.adam.forget(self.members.per_parameter(stopped).bool())

    def start_again(self, chosen: Tensor, factor: Tensor) -> None:
        """Forget the past of these members; multiply the learning rate of every parameter."""
        self.adam.start_again(self.members.per_parameter(chosen).bool(), factor)
        if self.radius is not None:
            self.radius.start_again(chosen)


class MeanOfFinite:
    """Mean of the losses of every member over the minibatches with a finite loss and gradient.

    Losses are gathered, because adding them up at every step takes several small operations.
    """

    def __init__(self, members: Tensor, dtype: torch.dtype) -> None:
        self._losses: list[Tensor] = []
        self._finite: list[Tensor] = []
        self._total = torch.zeros_like(members, dtype=dtype)
        self._count = torch.zeros_like(self._total)

    def add(self, losses: Tensor, finite: Tensor) -> None:
        """Add the losses of a minibatch, and whether the gradients were finite."""
        self._losses.append(losses)
        self._finite.append(finite)
        if len(self._losses) >= GATHERED:
            self._add_up()

    def __call__(self) -> Tensor:
        """Return the means, non-finite for members without such a minibatch."""
        self._add_up()
        return self._total / self._count

    def _add_up(self) -> None:
        if not self._losses:
            return
        losses = torch.stack(self._losses).reshape(len(self._losses), -1)
        finite = torch.stack(self._finite) & torch.isfinite(losses)
        self._total += torch.where(finite, losses, 0.0).sum(dim=0)
        self._count += finite.sum(dim=0)
        self._losses.clear()
        self._finite.clear()
