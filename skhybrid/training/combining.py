"""Combine several problems into one, so that one batch trains all their members."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from skhybrid.training.minibatches import PerMemberBatches, need_weights
from skhybrid.training.penalties import Penalties
from skhybrid.training.priors import combine_priors
from skhybrid.training.problem import Problem, TrainingConfig
from skhybrid.training.result import MemberResults


def combine_problems(
    problems: Sequence[Problem], seeds: Sequence[int], n_members: Sequence[int]
) -> Problem:
    """Return one problem with the members of all problems, one problem after the other.

    Parameters
    ----------
    problems : sequence of Problem
        With the same :func:`~skhybrid.training.batching_key.problem_key`.
    seeds : sequence of int
        Seed of the minibatches of every problem.
    n_members : sequence of int
        Number of members of every problem.

    Returns
    -------
    Problem
        A single problem is returned unchanged.
    """
    if len(problems) == 1:
        return problems[0]
    first = problems[0]
    data = [problem.data for problem in problems]
    held_out = [problem.validation for problem in problems if problem.validation is not None]
    # Training and validation rows share one loss, so both have weights if one of them has.
    weighted = need_weights(data) or need_weights(held_out)
    validation = None
    if held_out:
        validation = PerMemberBatches(held_out, seeds, n_members, weighted=weighted)
    return Problem(
        hybrid=first.hybrid,
        data=PerMemberBatches(data, seeds, n_members, weighted=weighted),
        validation=validation,
        fits=member_slices(n_members),
        member_constants=_stacked(
            [problem.hybrid.member_constants() for problem in problems], n_members
        ),
    )


def member_slices(n_members: Sequence[int]) -> list[slice]:
    """Return the slice of members of every fit, one fit after the other."""
    ends = itertools.accumulate(n_members)
    return [slice(end - count, end) for end, count in zip(ends, n_members, strict=True)]


def combine_configs(configs: Sequence[TrainingConfig]) -> TrainingConfig:
    """Return one configuration with the values of the members of all configurations."""
    if len(configs) == 1:
        return configs[0]
    first = configs[0]

    def combined(name: str) -> Tensor:
        return torch.cat([getattr(config, name) for config in configs])

    return replace(
        first,
        rho=None if first.rho is None else combined("rho"),
        follows_noise=None if first.rho is None else combined("follows_noise"),
        learning_rate=combined("learning_rate"),
        physics_learning_rate=combined("physics_learning_rate"),
        prior=None if first.prior is None else combine_priors([c.prior for c in configs]),
        penalties=Penalties(
            *(
                torch.cat([getattr(config.penalties, field.name) for config in configs])
                for field in fields(Penalties)
            )
        ),
    )


def results_of_fit(results: MemberResults, fit: slice) -> MemberResults:
    """Return the results of the members of one fit, as from training this fit alone."""
    stopped = results.stopped_epoch[fit]
    n_epochs = min(results.n_epochs, max(stopped))
    validation = results.validation_losses
    return MemberResults(
        status=results.status[fit],
        # Copies, because pickling a view would pickle the whole tensor.
        losses=results.losses[fit].clone(),
        validation_losses=None if validation is None else validation[fit].clone(),
        curve=results.curve[:n_epochs, fit].clone(),
        stopped_epoch=stopped,
        n_epochs=n_epochs,
        kept_epoch=results.kept_epoch[fit],
        compiled=results.compiled,
    )


def _stacked(constants: Sequence[dict], n_members: Sequence[int]) -> dict[str, Any]:
    """Stack nested dicts of tensors; every member of a fit gets a copy."""
    return {
        name: _stacked([each[name] for each in constants], n_members)
        if isinstance(value, dict)
        else torch.stack(
            [
                each[name]
                for each, count in zip(constants, n_members, strict=True)
                for _ in range(count)
            ]
        )
        for name, value in constants[0].items()
    }
