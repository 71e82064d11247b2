"""Networks that read different inputs, padded to read the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skhybrid.model.hybrid import Hybrid
from skhybrid.model.networks import first_layer_weight
from skhybrid.training.problem import Fit, Problem
from skhybrid.training.result import FitResult

FEATURE_SCALES = ("feature_offset", "feature_factor", "feature_low", "feature_high")


@dataclass(frozen=True)
class InputPadding:
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

    def pad(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a network's parameters with a first layer that reads all inputs."""
        narrow = weights[self.weight]
        wide = narrow.new_zeros((len(narrow), self.width))
        wide[:, self.position] = narrow
        return {**weights, self.weight: wide}

    def unpad(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the parameters with a first layer that reads the network's own inputs."""
        return {**weights, self.weight: weights[self.weight][:, self.position].clone()}

    def pad_model(self, hybrid: Hybrid, columns: Sequence[int]) -> Hybrid:
        """Return the model with the scales of all inputs; inputs that it does not read are zero."""
        wide = {}
        for name in FEATURE_SCALES:
            narrow = getattr(hybrid.scales, name)
            wide[name] = narrow.new_zeros((self.width, *narrow.shape[1:]))
            wide[name][self.position] = narrow
        return hybrid.with_network_columns(columns).at(hybrid.space, replace(hybrid.scales, **wide))


def input_paddings(problems: Sequence[Problem]) -> tuple[list[InputPadding] | None, list[int]]:
    """Return how networks that read different inputs come to read the same, and which these are.

    None is returned where they do so already.
    """
    columns = [network_columns_of(problem) for problem in problems]
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
            InputPadding(
                first_layer_weight(problem.hybrid.network),
                torch.tensor(position, device=offset.device),
                len(union) + n_extra,
            )
        )
    return found, union


def network_columns_of(problem: Problem) -> list[int]:
    hybrid = problem.hybrid
    if hybrid.network_columns is None:
        return hybrid.unrestricted_columns(problem.data.x)
    return hybrid.network_columns.tolist()


def can_pad(hybrid: Hybrid) -> bool:
    columns = hybrid.network_columns
    repeats = columns is not None and len(set(columns.tolist())) < len(columns)
    return first_layer_weight(hybrid.network) is not None and not repeats


def pad_fit(fit: Fit, padding: InputPadding, columns: Sequence[int]) -> Fit:
    """Return a fit whose network reads the inputs of all fits in the batch."""
    hybrid = padding.pad_model(fit.problem.hybrid, columns)
    return replace(
        fit,
        problem=replace(fit.problem, hybrid=hybrid),
        starts=[replace(start, weights=padding.pad(start.weights)) for start in fit.starts],
        earlier=[(replace(problem, hybrid=hybrid), config) for problem, config in fit.earlier],
    )


def unpad_result(result: FitResult, padding: InputPadding) -> FitResult:
    """Return the result of a padded fit for its own network."""
    if not result.status.usable:
        return result
    return replace(result, weights=padding.unpad(result.weights))
