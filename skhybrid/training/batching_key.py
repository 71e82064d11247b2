"""Batching keys: which fits can be trained in one batch."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

from torch import nn

from skhybrid.model.batch import Batch
from skhybrid.model.networks import first_layer_weight
from skhybrid.training.input_padding import FEATURE_SCALES, can_pad, network_columns_of
from skhybrid.training.problem import Fit, Problem, TrainingConfig


def fit_key(fit: Fit) -> Hashable:
    """Return the batching key of a fit: the keys of all its stages and phases."""
    stages = (*fit.earlier, (fit.problem, fit.config))
    if fit.refinement is not None:
        stages = (*stages, (fit.problem, fit.refinement))
    return tuple(problem_key(problem, config) for problem, config in stages)


def problem_key(problem: Problem, config: TrainingConfig) -> tuple:
    """Return the batching key of a problem.

    Members of one batch must have the same key. The key holds shapes of tensors, the untrained part
    of the network and the settings that all members share. The caller must know that physics,
    structure and architecture are the same.

    Parameters
    ----------
    problem : Problem
    config : TrainingConfig

    Returns
    -------
    tuple
        Hashable.
    """
    hybrid, batch = problem.hybrid, problem.data
    padded = first_layer_weight(hybrid.network) if can_pad(hybrid) else None
    columns = None if padded is not None else tuple(network_columns_of(problem))
    weights = {
        name: parameter.shape if name != padded else parameter.shape[:1]
        for name, parameter in hybrid.network.named_parameters()
        if parameter.requires_grad
    }
    constants = _shapes(hybrid.member_constants())
    if padded is not None:
        constants = [each for each in constants if each[0][-1] not in FEATURE_SCALES]
    return (
        type(hybrid),
        tuple(weights.items()),
        columns,
        _untrained(hybrid.network),
        tuple((name, tuple(each.shape)) for name, each in hybrid.initial_coordinates().items()),
        tuple(constants),
        hybrid.batching_key(),
        _row_shapes(batch),
        None if problem.validation is None else _row_shapes(problem.validation),
        (batch.y.dtype, batch.y.device),
        config.rho is None,
        config.penalties.on_contribution,
        config.schedule,
        config.loss,
        config.prior is None,
        (config.perturbation, config.perturb, config.patience, config.keep_best, config.compile),
    )


def _untrained(network: nn.Module) -> str:
    """Return a hash of a network's frozen parameters and buffers, which all members share."""
    digest = hashlib.sha256()
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if not tensor.requires_grad:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _shapes(constants: dict, path: tuple[str, ...] = ()) -> list[tuple]:
    """Return the path and the shape of every tensor in nested dicts."""
    found = []
    for name, value in constants.items():
        if isinstance(value, dict):
            found += _shapes(value, (*path, name))
        else:
            found.append(((*path, name), tuple(value.shape)))
    return found


def _row_shapes(batch: Batch) -> tuple:
    """Return the shapes of one row of the features and of the target."""
    parts = batch.x if isinstance(batch.x, tuple) else (batch.x,)
    shapes = [None if part is None else tuple(part.shape[1:]) for part in parts]
    return (*shapes, tuple(batch.y.shape[1:]))
