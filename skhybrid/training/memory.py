"""How much memory a member needs while it is trained."""

from __future__ import annotations

import torch

from skhybrid.training.members import Members
from skhybrid.training.minibatches import rows_of
from skhybrid.training.objective import Objective
from skhybrid.training.penalties import Penalties
from skhybrid.training.problem import Problem, TrainingConfig
from skhybrid.training.result import Start

# Vectors as long as the parameters that training keeps: gradients, moments, copies to go back to.
PARAMETER_COPIES = 12


# What is kept for the backward pass, and as much again while that runs.
PASSES = 2


def member_bytes(problem: Problem, start: Start, config: TrainingConfig) -> int:
    """Return about how many bytes a member takes, from what one minibatch keeps for its gradient.

    Parameters
    ----------
    problem : Problem
    start : Start
    recipe : Recipe
    """
    member = Members(problem.hybrid.network, [start.weights], [start.coordinates])
    penalties = Penalties(*(values[:1] for values in vars(config.penalties).values()))
    objective = Objective(problem.hybrid, member, penalties)
    batch = rows_of(problem.data, slice(0, config.schedule.batch_size))
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        objective(batch)
    parts = batch.x if isinstance(batch.x, tuple) else (batch.x,)
    tensors = [member.flat] * PARAMETER_COPIES + [part for part in parts if part is not None]
    return PASSES * kept + sum(tensor.numel() * tensor.element_size() for tensor in tensors)
