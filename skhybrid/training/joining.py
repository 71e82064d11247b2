"""Several problems made one, so that their members are trained side by side."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from skhybrid.networks import first_layer_weight
from skhybrid.structures import Hybrid
from skhybrid.training.batch import Batch
from skhybrid.training.loop import Problem, Recipe
from skhybrid.training.penalties import Penalties
from skhybrid.training.result import Result
from skhybrid.training.streams import Streams, need_weights

FEATURE_SCALES = ("feature_offset", "feature_factor", "feature_low", "feature_high")


def join_problems(
    problems: Sequence[Problem], seeds: Sequence[int], n_members: Sequence[int]
) -> Problem:
    """Return one problem whose members are those of all the problems, one after the other.

    Parameters
    ----------
    problems : sequence of Problem
        Of the same signature.
    seeds : sequence of int
        Of the minibatches of each.
    n_members : sequence of int
        Number of members of each.
    """
    if len(problems) == 1:
        return problems[0]
    first = problems[0]
    data = [problem.data for problem in problems]
    held_out = [problem.validation for problem in problems if problem.validation is not None]
    # The loss is set up once for both, so both have weights if one has them.
    weighted = need_weights(data) or need_weights(held_out)
    validation = None
    if held_out:
        validation = Streams(held_out, seeds, n_members, weighted=weighted)
    return Problem(
        hybrid=first.hybrid,
        data=Streams(data, seeds, n_members, weighted=weighted),
        validation=validation,
        fits=slices(n_members),
        frames=_stacked([problem.hybrid.frame() for problem in problems], n_members),
    )


def slices(n_members: Sequence[int]) -> list[slice]:
    """Return which members belong to which fit, if they come one after the other."""
    ends = itertools.accumulate(n_members)
    return [slice(end - count, end) for end, count in zip(ends, n_members, strict=True)]


def join_recipes(recipes: Sequence[Recipe]) -> Recipe:
    """Return one recipe that has for every member what its own recipe has."""
    if len(recipes) == 1:
        return recipes[0]
    first = recipes[0]

    def together(name: str) -> Tensor:
        return torch.cat([getattr(recipe, name) for recipe in recipes])

    return replace(
        first,
        rho=None if first.rho is None else together("rho"),
        learning_rate=together("learning_rate"),
        physics_learning_rate=together("physics_learning_rate"),
        penalties=Penalties(
            *(
                torch.cat([getattr(recipe.penalties, field.name) for recipe in recipes])
                for field in fields(Penalties)
            )
        ),
    )


def signature(problem: Problem, recipe: Recipe) -> tuple:
    """Return what problems must have in common for their members to be trained side by side.

    Models are told apart by the shapes of their tensors, and by what of a network is not trained:
    that they have the same physics, structure and kind of network is for the caller to know.
    """
    hybrid, batch = problem.hybrid, problem.data
    wide = first_layer_weight(hybrid.network) if _can_widen(hybrid) else None
    columns = None if wide is not None else tuple(_columns(problem))
    weights = {
        name: parameter.shape if name != wide else parameter.shape[:1]
        for name, parameter in hybrid.network.named_parameters()
        if parameter.requires_grad
    }
    frame = _shapes(hybrid.frame())
    if wide is not None:
        frame = [each for each in frame if each[0][-1] not in FEATURE_SCALES]
    penalties = recipe.penalties
    return (
        type(hybrid),
        tuple(weights.items()),
        columns,
        _untrained(hybrid.network),
        tuple((name, tuple(each.shape)) for name, each in hybrid.origin().items()),
        tuple(frame),
        hybrid.layout_key(),
        _row_shapes(batch),
        None if problem.validation is None else _row_shapes(problem.validation),
        (batch.y.dtype, batch.y.device),
        recipe.rho is None,
        (penalties.has_functional_norm, penalties.has_orthogonality),
        recipe.schedule,
        (recipe.perturbation, recipe.perturb, recipe.patience, recipe.keep_best, recipe.compile),
    )


def part_of(result: Result, fit: slice) -> Result:
    """Return what a result says of the members of one fit, as if they had been trained alone."""
    stopped = result.stopped_epoch[fit]
    n_epochs = min(result.n_epochs, max(stopped))
    validation = result.validation_losses
    return Result(
        status=result.status[fit],
        # Copies: to pickle a view is to pickle all that it looks at.
        losses=result.losses[fit].clone(),
        validation_losses=None if validation is None else validation[fit].clone(),
        curve=result.curve[:n_epochs, fit].clone(),
        stopped_epoch=stopped,
        n_epochs=n_epochs,
        kept_epoch=result.kept_epoch[fit],
    )


@dataclass(frozen=True)
class Widening:
    """Where the inputs that one network reads are among those that any network of a batch reads.

    A network that reads some inputs is one that reads them all with weights of zero for the
    others: these inputs are zero too, so that neither a gradient nor a perturbation moves the
    weights.

    Attributes
    ----------
    weight : str
        Name of the first layer's weights.
    position : Tensor of int
    width : int
    """

    weight: str
    position: Tensor
    width: int

    def widen(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a network's parameters with a first layer that reads all inputs."""
        narrow = weights[self.weight]
        wide = narrow.new_zeros((len(narrow), self.width))
        wide[:, self.position] = narrow
        return {**weights, self.weight: wide}

    def narrow(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the parameters with a first layer that reads the network's own inputs."""
        return {**weights, self.weight: weights[self.weight][:, self.position].clone()}

    def widened(self, hybrid: Hybrid, columns: Sequence[int]) -> Hybrid:
        """Return the model with the scales of all inputs; those that are not read become zero."""
        hybrid = hybrid.seeing(columns)
        wide = {}
        for name in FEATURE_SCALES:
            narrow = getattr(hybrid.scales, name)
            wide[name] = narrow.new_zeros((self.width, *narrow.shape[1:]))
            wide[name][self.position] = narrow
        hybrid.scales = replace(hybrid.scales, **wide)
        return hybrid


def widenings(problems: Sequence[Problem]) -> tuple[list[Widening] | None, list[int]]:
    """Return how networks that read different inputs come to read the same, and which these are.

    None is returned where they do so already.
    """
    columns = [_columns(problem) for problem in problems]
    if all(each == columns[0] for each in columns):
        return None, []
    union = sorted(set().union(*columns))
    found = []
    for problem, own in zip(problems, columns, strict=True):
        offset = problem.hybrid.scales.feature_offset
        n_extra = len(offset) - len(own)
        position = [union.index(column) for column in own]
        position += range(len(union), len(union) + n_extra)
        found.append(
            Widening(
                first_layer_weight(problem.hybrid.network),
                torch.tensor(position, device=offset.device),
                len(union) + n_extra,
            )
        )
    return found, union


def _columns(problem: Problem) -> list[int]:
    hybrid = problem.hybrid
    if hybrid.network_columns is None:
        return hybrid.readable(problem.data.x)
    return hybrid.network_columns.tolist()


def _untrained(network: nn.Module) -> str:
    """Return a digest of a network's frozen parameters and buffers, of which there is one set."""
    digest = hashlib.sha256()
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if not tensor.requires_grad:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _can_widen(hybrid: Hybrid) -> bool:
    columns = hybrid.network_columns
    repeats = columns is not None and len(set(columns.tolist())) < len(columns)
    return first_layer_weight(hybrid.network) is not None and not repeats


def _stacked(frames: Sequence[dict], n_members: Sequence[int]) -> dict[str, Any]:
    """Return frames of dicts of tensors as one, every one repeated for the members of its fit."""
    return {
        name: _stacked([frame[name] for frame in frames], n_members)
        if isinstance(value, dict)
        else torch.stack(
            [
                frame[name]
                for frame, count in zip(frames, n_members, strict=True)
                for _ in range(count)
            ]
        )
        for name, value in frames[0].items()
    }


def _shapes(frame: dict, path: tuple[str, ...] = ()) -> list[tuple]:
    found = []
    for name, value in frame.items():
        if isinstance(value, dict):
            found += _shapes(value, (*path, name))
        else:
            found.append(((*path, name), tuple(value.shape)))
    return found


def _row_shapes(batch: Batch) -> tuple:
    parts = batch.x if isinstance(batch.x, tuple) else (batch.x,)
    shapes = [None if part is None else tuple(part.shape[1:]) for part in parts]
    return (*shapes, tuple(batch.y.shape[1:]))
