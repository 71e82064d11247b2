"""One step of the optimiser, and an epoch of steps, for all members."""

from __future__ import annotations

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.training.adam import Adam
from skhybrid.training.members import BIAS, CODER, FIRST_STATE, PHYSICS, WEIGHT, Members
from skhybrid.training.minibatches import PerMemberBatches, rows_of
from skhybrid.training.objective import Objective
from skhybrid.training.penalties import L2
from skhybrid.training.problem import TrainingConfig
from skhybrid.training.radius import Radius
from skhybrid.training.sam import SAM
from skhybrid.training.schedule import Schedule


class Step:
    """Optimiser steps of all members: gradient, SAM, l2 penalty and Adam."""

    def __init__(self, objective: Objective, members: Members, config: TrainingConfig) -> None:
        self.objective = objective
        self.members = members
        rates = members.per_parameter(config.physics_learning_rate, [PHYSICS])
        rates += members.per_parameter(config.learning_rate, [WEIGHT, BIAS, CODER, FIRST_STATE])
        self.adam = Adam(members.flat, rates)
        self.l2 = L2(members, config.penalties.l2)
        self.sam = self.radius = None
        if config.rho is not None:
            n_steps = config.schedule.n_epochs * config.schedule.n_batches
            self.radius = Radius(config.rho.to(members.flat), config.follows_noise, n_steps)
            self.sam = SAM(members, self.radius.values, config.perturbation, config.perturb)

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
        losses, data_losses = self.objective.with_data_losses(batch)
        self.members.backward(losses)
        if self.sam is not None:
            if self.radius.varies:
                self.radius.update(data_losses.detach(), decay)
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

    def start_again(self, chosen: Tensor, factor: Tensor) -> None:
        """Forget the past of these members; multiply the learning rate of every parameter."""
        self.adam.start_again(self.members.per_parameter(chosen).bool(), factor)
        if self.radius is not None:
            self.radius.start_again(chosen)
