"""The second phase: hold θ and continue to train the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skhybrid.model.batch import Batch
from skhybrid.training.checkpoint import Stage
from skhybrid.training.combining import combine_configs, combine_problems, results_of_fit
from skhybrid.training.loop import OnEpoch, OnInterrupt, train
from skhybrid.training.members import Members
from skhybrid.training.problem import Problem, TrainingConfig
from skhybrid.training.result import MemberResults

N_FOLDS = 5

# With fewer rows per fold, the held-out loss is not informative.
MIN_FOLD_ROWS = 5


def can_refine(n_rows: int, has_validation: bool = False) -> bool:
    """Whether there are validation rows, or enough rows for folds, to detect overfitting."""
    return has_validation or n_rows >= N_FOLDS * MIN_FOLD_ROWS


@dataclass(frozen=True)
class Refinement:
    """One fit whose network is to be refined.

    Attributes
    ----------
    problem : Problem
        With data weights of shape (n, ...) or None.
    config : TrainingConfig
        For a single member; its physics learning rate is not used.
    weights, coordinates : mapping of str to Tensor
        Start of the network parameters, and the scaled physics parameters to hold.
    """

    problem: Problem
    config: TrainingConfig
    weights: Mapping[str, Tensor]
    coordinates: Mapping[str, Tensor]

    @property
    def n_members(self) -> int:
        """Number of members that it needs: itself, and a copy for each fold."""
        return 1 if self.problem.validation is not None else N_FOLDS + 1


def refine(
    fits: Sequence[Refinement],
    watch: Callable[[str, Members], OnEpoch | None],
    on_interrupt: OnInterrupt | None = None,
    stage: Stage | None = None,
) -> list[tuple[dict[str, Tensor], MemberResults]]:
    """Continue to train networks with θ held, and keep the epoch that fits held-out rows best.

    One member sees all rows. For each of five folds, a copy is trained without the rows of its
    fold. All start from the fit's network. The kept epoch, which may be the start, has the lowest
    mean held-out loss of the copies; it is the last epoch if its loss is as low within one standard
    error. If the problem has validation rows, these decide, and there are no copies.

    Parameters
    ----------
    fits : sequence of Refinement
        With the same batching key.
    watch : callable
        Maps the name of the phase and its members to a function that is called after every epoch.
    on_interrupt, stage : default=None
        As for :func:`~skhybrid.training.loop.train`.

    Returns
    -------
    list of (dict of str to Tensor, MemberResults)
        Network parameters and results of the fit, and of its copies, for every fit.
    """
    counts = [fit.n_members for fit in fits]
    # Fits to the same rows also share the folds.
    with_folds: dict[tuple, Problem] = {}
    problems = []
    for fit in fits:
        problem = fit.problem
        if problem.validation is None:
            key = (id(problem.data), fit.config.seed)
            if key not in with_folds:
                with_folds[key] = with_fold_weights(problem, fit.config.seed)
            shared = with_folds[key]
            problem = replace(problem, data=shared.data, validation=shared.validation)
        problems.append(problem)
    configs = [_config_for(fit.config, count) for fit, count in zip(fits, counts, strict=True)]
    starts = [fit for fit, count in zip(fits, counts, strict=True) for _ in range(count)]
    problem = combine_problems(problems, [fit.config.seed for fit in fits], counts)
    members = Members(
        problem.hybrid.network, [fit.weights for fit in starts], [fit.coordinates for fit in starts]
    )
    config = combine_configs(configs)
    results = train(problem, members, config, watch("refine", members), on_interrupt, stage)
    slices = problem.fits or [slice(0, counts[0])]
    return [(members.member_weights(fit.start), results_of_fit(results, fit)) for fit in slices]


def _config_for(config: TrainingConfig, n_members: int) -> TrainingConfig:
    """Return the configuration for a fit and its copies, with θ held."""
    return replace(
        config,
        rho=None if config.rho is None else config.rho.expand(n_members),
        follows_noise=None if config.rho is None else config.follows_noise.expand(n_members),
        learning_rate=config.learning_rate.expand(n_members),
        physics_learning_rate=config.learning_rate.new_zeros(n_members),
        penalties=config.penalties.expand(n_members),
        prior=None,
        keep_best="together",
    )


def with_fold_weights(problem: Problem, seed: int) -> Problem:
    """Return the problem with weights for every member: all rows, then all rows but one fold.

    Parameters
    ----------
    problem : Problem
    seed : int
        Seed of the folds.

    Returns
    -------
    Problem
        Training and validation rows with weights of shape (1 + N_FOLDS, n, ...). The first member
        holds no rows out.
    """
    x, y, weight = problem.data
    weight = torch.ones_like(y) if weight is None else weight
    generator = torch.Generator().manual_seed(seed)
    if problem.groups is None:
        fold = torch.randperm(len(y), generator=generator) % N_FOLDS
    else:
        groups, group_of_row = torch.unique(problem.groups.cpu(), return_inverse=True)
        fold = (torch.randperm(len(groups), generator=generator) % N_FOLDS)[group_of_row]
    fold = fold.to(y.device)
    training = [_mean_one(weight, fold != k) for k in range(N_FOLDS)]
    held_out = [_mean_one(weight, fold == k) for k in range(N_FOLDS)]
    return replace(
        problem,
        data=Batch(x, y, torch.stack([weight, *training])),
        validation=Batch(x, y, torch.stack([torch.zeros_like(weight), *held_out])),
    )


def _mean_one(weight: Tensor, chosen: Tensor) -> Tensor:
    """Return the weights of the chosen rows, scaled to a mean of one; zero for other rows."""
    weight = weight * chosen.reshape(-1, *[1] * (weight.ndim - 1))
    return weight / weight.mean()
