"""Scales of the target and of the network's inputs, from the training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import Rows
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.scales import Scales


def target_scales(rows: Rows) -> Scales:
    """Return scales that know the target and leave the network's inputs as they are."""
    mean, spread = moments(rows.y, rows.weight)
    zero, one = torch.zeros(()), torch.ones(())
    return Scales(zero, one, zero, one, torch.tensor(mean), torch.tensor(spread)).to(torch.float64)


def input_scales(inputs: Tensor, scales: Scales, rows: Rows, axis: int = -1) -> Scales:
    """Return scales that standardise the network's inputs over the training rows.

    Parameters
    ----------
    inputs : Tensor of shape (n, n_nn_inputs) or, of fields, (n, n_nn_inputs, ...)
        What the network reads, not yet standardised.
    scales : Scales
        Scales of the target.
    rows : Rows
        Their weights decide (averaged over targets), where an input belongs to a row.
    axis : int, default=-1
        The axis of the inputs that are standardised one by one.
    """
    columns = inputs.double().cpu().movedim(axis, -1)
    per_input = (columns.shape[-1], *[1] * (-1 - axis))
    columns = columns.reshape(-1, columns.shape[-1]).numpy()
    weight = rows.weight if len(columns) == len(rows) else None
    if weight is not None:
        weight = weight.reshape(len(weight), -1).mean(axis=1, keepdims=True)
        weight = np.broadcast_to(weight, columns.shape)
    mean, spread = moments(columns, weight)
    standard = (columns - mean) / spread
    values = {
        "feature_offset": -mean / spread,
        "feature_factor": 1.0 / spread,
        "feature_low": standard.min(axis=0),
        "feature_high": standard.max(axis=0),
    }
    tensors = {name: torch.tensor(value).reshape(per_input) for name, value in values.items()}
    return replace(scales, **tensors)


def record_network_inputs(hybrid: Hybrid, x: Tensor, coordinates: dict[str, Tensor]) -> Tensor:
    """Return what the structure hands to the network, as the network would read it."""
    seen: list[Tensor] = []
    network = hybrid.bind_network()

    def recorder(*inputs: Tensor, **options: float) -> Tensor:
        seen.append(hybrid.network_inputs(*inputs))
        return network(*inputs, **options)

    with torch.no_grad():
        hybrid.join(x, hybrid.space.values(coordinates), recorder)
    if not seen:
        raise ValueError("structure never calls nn. For a model without a network, set nn=None.")
    return hybrid.pool_network_inputs(seen)


def moments(values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted mean and standard deviation of the columns; a constant one has spread 1."""
    mean = np.average(values, axis=0, weights=weight)
    # What the first sum lost to rounding; it grows with the number of rows.
    mean = mean + np.average(values - mean, axis=0, weights=weight)
    variance = np.average((values - mean) ** 2, axis=0, weights=weight)
    spread = np.sqrt(variance)
    # What is left of a constant column is rounding, in proportion to its size.
    constant = spread <= 10 * np.finfo(np.float64).eps * np.abs(mean)
    return mean, np.where(constant, 1.0, spread)
