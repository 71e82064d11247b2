"""Estimate how much memory the training of a member needs."""

from __future__ import annotations

import torch

from skhybrid.runtime.draws import drawing
from skhybrid.runtime.seeds import seeded
from skhybrid.training.members import Members
from skhybrid.training.minibatches import rows_of
from skhybrid.training.objective import Objective
from skhybrid.training.penalties import Penalties
from skhybrid.training.problem import Problem, TrainingConfig
from skhybrid.training.result import Start

# Vectors of the parameters' length that training keeps: gradients, moments, copies to restore.
PARAMETER_COPIES = 12

# The tensors saved for the backward pass, and as much again while it runs.
PASSES = 2


def member_bytes(problem: Problem, start: Start, config: TrainingConfig) -> int:
    """Return about how many bytes a member needs, from the tensors that one minibatch saves.

    Parameters
    ----------
    problem : Problem
    start : Start
        Start of the member.
    config : TrainingConfig
        May be for several members; the penalties of the first one count.
    """
    member = Members(problem.hybrid.network, [start.weights], [start.coordinates])
    penalties = Penalties(*(values[:1] for values in vars(config.penalties).values()))
    objective = Objective(problem.hybrid, member, penalties)
    batch = rows_of(problem.data, slice(0, config.schedule.batch_size))
    saved = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal saved
        saved += tensor.numel() * tensor.element_size()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)
    with seeded(config.seed), drawing(config.seed), hooks:
        objective(batch)
    parts = batch.x if isinstance(batch.x, tuple) else (batch.x,)
    tensors = [member.flat] * PARAMETER_COPIES + [part for part in parts if part is not None]
    return PASSES * saved + sum(tensor.numel() * tensor.element_size() for tensor in tensors)
