"""Pad networks that read different inputs, so that they read the same ones."""

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
    """Positions of one network's inputs among the inputs of all networks in a batch.

    A padded network reads all inputs. The inputs that are not its own are zero, and so are their
    weights. Neither a gradient nor a perturbation moves these weights.

    Attributes
    ----------
    weight : str
        Name of the first layer's weights.
    position : Tensor of int
        Position of each of the network's own inputs.
    width : int
        Number of all inputs.
    """

    weight: str
    position: Tensor
    width: int

    def pad(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a network's parameters with a first layer that reads all inputs."""
        own = weights[self.weight]
        padded = own.new_zeros((len(own), self.width))
        padded[:, self.position] = own
        return {**weights, self.weight: padded}

    def unpad(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a network's parameters with a first layer that reads only its own inputs."""
        return {**weights, self.weight: weights[self.weight][:, self.position].clone()}

    def pad_model(self, hybrid: Hybrid, columns: Sequence[int]) -> Hybrid:
        """Return the model with scales for all inputs; they turn padded inputs into zeros."""
        padded = {}
        for name in FEATURE_SCALES:
            own = getattr(hybrid.scales, name)
            padded[name] = own.new_zeros((self.width, *own.shape[1:]))
            padded[name][self.position] = own
        scales = replace(hybrid.scales, **padded)
        return hybrid.with_network_columns(columns).at(hybrid.space, scales)


def input_paddings(problems: Sequence[Problem]) -> tuple[list[InputPadding] | None, list[int]]:
    """Return the padding for the network of every problem.

    Parameters
    ----------
    problems : sequence of Problem

    Returns
    -------
    paddings : list of InputPadding or None
        None if all networks already read the same columns.
    columns : list of int
        The columns that the padded networks read; empty if there is no padding.
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
    """Return the columns that the network of a problem reads."""
    hybrid = problem.hybrid
    if hybrid.network_columns is None:
        return hybrid.unrestricted_columns(problem.data.x)
    return hybrid.network_columns.tolist()


def can_pad(hybrid: Hybrid) -> bool:
    """Whether the network can be padded: it has a first layer and reads no column twice."""
    columns = hybrid.network_columns
    repeats = columns is not None and len(set(columns.tolist())) < len(columns)
    return first_layer_weight(hybrid.network) is not None and not repeats


def pad_fit(fit: Fit, padding: InputPadding, columns: Sequence[int]) -> Fit:
    """Return the fit with a network that reads the inputs of all fits in the batch."""
    hybrid = padding.pad_model(fit.problem.hybrid, columns)
    return replace(
        fit,
        problem=replace(fit.problem, hybrid=hybrid),
        starts=[replace(start, weights=padding.pad(start.weights)) for start in fit.starts],
        earlier=[(replace(problem, hybrid=hybrid), config) for problem, config in fit.earlier],
    )


def unpad_result(result: FitResult, padding: InputPadding) -> FitResult:
    """Return the result of a padded fit with its own network's parameters."""
    if not result.status.usable:
        return result
    return replace(result, weights=padding.unpad(result.weights))
