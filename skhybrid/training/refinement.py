"""The second phase: θ is held, the network refined for as long as held-out rows gain by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from skhybrid.training.loop import OnEpoch, Problem, Recipe, train
from skhybrid.training.members import Members
from skhybrid.training.objective import Batch
from skhybrid.training.result import Result

N_FOLDS = 5
# With fewer rows than this in a fold, the held-out loss says nothing.
MIN_FOLD_ROWS = 5


def can_refine(n_rows: int, has_validation: bool = False) -> bool:
    """Whether held-out rows, or rows enough for folds, can tell refining from overfitting."""
    return has_validation or n_rows >= N_FOLDS * MIN_FOLD_ROWS


def refine(
    problem: Problem,
    members: Members,
    recipe: Recipe,
    watch: Callable[[str, Members], OnEpoch | None],
) -> tuple[Members, Result]:
    """Train a single member's network on with θ held, and end where held-out rows are fitted best.

    Beside the member that sees all rows, a copy is trained for each of five folds without the rows
    of its fold. All start from the member's network; the parameters kept are those of the epoch at
    which the mean held-out loss of the copies is lowest, the start included, or the last ones if
    these are as good within one standard error. Where the problem has validation rows, these decide
    and no copies are trained.

    Parameters
    ----------
    problem : Problem
        With data weights of shape (n, ...) or None.
    members : Members
        A single member.
    recipe : Recipe
        For a single member; its physics learning rate is not used.
    watch : callable
        From the name of the phase and its members to what is called after every epoch.

    Returns
    -------
    members : Members
        A single member again.
    result : Result
    """
    hybrid = problem.hybrid
    weights, coordinates = members.member_weights(0), members.member_coordinates(0)
    n_members = 1
    if problem.validation is None:
        problem = with_folds(problem, recipe.seed)
        n_members = N_FOLDS + 1
    recipe = replace(
        recipe,
        rho=None if recipe.rho is None else recipe.rho.expand(n_members),
        learning_rate=recipe.learning_rate.expand(n_members),
        physics_learning_rate=torch.zeros(n_members),
        penalties=recipe.penalties.expand(n_members),
        keep_best="together",
    )
    copies = Members(hybrid.network, [weights] * n_members, [coordinates] * n_members)
    result = train(problem, copies, recipe, watch("refine", copies))
    refined = Members(hybrid.network, [copies.member_weights(0)], [coordinates])
    return refined, result


def with_folds(problem: Problem, seed: int) -> Problem:
    """Give every member its weights: all rows, then all but one fold."""
    x, y, weight = problem.data
    weight = torch.ones_like(y) if weight is None else weight
    generator = torch.Generator().manual_seed(seed)
    if problem.groups is None:
        fold = torch.randperm(len(y), generator=generator) % N_FOLDS
    else:
        numbers, member_of = torch.unique(problem.groups.cpu(), return_inverse=True)
        fold = (torch.randperm(len(numbers), generator=generator) % N_FOLDS)[member_of]
    fold = fold.to(y.device)
    inside = [_mean_one(weight, fold != k) for k in range(N_FOLDS)]
    outside = [_mean_one(weight, fold == k) for k in range(N_FOLDS)]
    return replace(
        problem,
        data=Batch(x, y, torch.stack([weight, *inside])),
        validation=Batch(x, y, torch.stack([torch.zeros_like(weight), *outside])),
    )


def _mean_one(weight: Tensor, chosen: Tensor) -> Tensor:
    weight = weight * chosen.reshape(-1, *[1] * (weight.ndim - 1))
    return weight / weight.mean()
