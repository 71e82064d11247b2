"""The second phase: θ is held and the network is trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.training.combining import combine_configs, combine_problems, results_of_fit
from skhybrid.training.loop import OnEpoch, train
from skhybrid.training.members import Members
from skhybrid.training.problem import Problem, TrainingConfig
from skhybrid.training.result import MemberResults

N_FOLDS = 5


# With fewer rows than this in a fold, the held-out loss says nothing.
MIN_FOLD_ROWS = 5


def can_refine(n_rows: int, has_validation: bool = False) -> bool:
    """Whether held-out rows, or rows enough for folds, can tell refining from overfitting."""
    return has_validation or n_rows >= N_FOLDS * MIN_FOLD_ROWS


@dataclass(frozen=True)
class Refinement:
    """One fit whose network is to be trained on.

    Attributes
    ----------
    problem : Problem
        With data weights of shape (n, ...) or None.
    recipe : Recipe
        For a single member; its physics learning rate is not used.
    weights, coordinates : mapping of str to Tensor
        Where it begins.
    """

    problem: Problem
    config: TrainingConfig
    weights: Mapping[str, Tensor]
    coordinates: Mapping[str, Tensor]

    @property
    def n_members(self) -> int:
        """Number of members it takes: itself, and a copy for each fold."""
        return 1 if self.problem.validation is not None else N_FOLDS + 1


def refine(
    fits: Sequence[Refinement], watch: Callable[[str, Members], OnEpoch | None]
) -> list[tuple[dict[str, Tensor], MemberResults]]:
    """Train networks on with θ held, and end where held-out rows are fitted best.

    Beside the member that sees all rows, a copy is trained for each of five folds without the rows
    of its fold. All start from the fit's network; the parameters kept are those of the epoch at
    which the mean held-out loss of the copies is lowest, the start included, or the last ones if
    these are as good within one standard error. Where the problem has validation rows, these decide
    and no copies are trained.

    Parameters
    ----------
    fits : sequence of Refinement
        Of the same signature.
    watch : callable
        From the name of the phase and its members to what is called after every epoch.

    Returns
    -------
    list of (weights, Result), one for every fit
    """
    counts = [fit.n_members for fit in fits]
    # Fits of the same rows share the folds too.
    with_folds_of: dict[tuple, Problem] = {}
    problems = []
    for fit in fits:
        problem = fit.problem
        if problem.validation is None:
            key = (id(problem.data), fit.config.seed)
            if key not in with_folds_of:
                with_folds_of[key] = with_folds(problem, fit.config.seed)
            shared = with_folds_of[key]
            problem = replace(problem, data=shared.data, validation=shared.validation)
        problems.append(problem)
    configs = [_config_for(fit.config, count) for fit, count in zip(fits, counts, strict=True)]
    starts = [fit for fit, count in zip(fits, counts, strict=True) for _ in range(count)]
    problem = combine_problems(problems, [fit.config.seed for fit in fits], counts)
    members = Members(
        problem.hybrid.network, [fit.weights for fit in starts], [fit.coordinates for fit in starts]
    )
    results = train(problem, members, combine_configs(configs), watch("refine", members))
    parts = problem.fits or [slice(0, counts[0])]
    return [(members.member_weights(part.start), results_of_fit(results, part)) for part in parts]


def _config_for(config: TrainingConfig, n_members: int) -> TrainingConfig:
    return replace(
        config,
        rho=None if config.rho is None else config.rho.expand(n_members),
        learning_rate=config.learning_rate.expand(n_members),
        physics_learning_rate=config.learning_rate.new_zeros(n_members),
        penalties=config.penalties.expand(n_members),
        keep_best="together",
    )


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
