"""Compute scales of the target and of the network's inputs from the training rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import Rows
from skhybrid.model.batch import row_chunks
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.scales import Scales

# Median of the absolute value of a standard normal number.
NORMAL_MEDIAN = 0.6744897501960817


# Maps values and weights to means and standard deviations of columns.
Moments = Callable[[np.ndarray, np.ndarray | None], tuple[np.ndarray, np.ndarray]]


def target_scales(rows: Rows, *, robust: bool = False) -> Scales:
    """Return the scales of the target; they leave the network's inputs unchanged.

    With ``robust`` they are those of :func:`robust_moments`.
    """
    mean, std = (robust_moments if robust else moments)(rows.y, rows.weight)
    zero, one = torch.zeros(()), torch.ones(())
    return Scales(zero, one, zero, one, torch.tensor(mean), torch.tensor(std)).to(torch.float64)


def input_scales(
    inputs: Tensor,
    scales: Scales,
    rows: Rows,
    axis: int = -1,
    units: Sequence[float] | None = None,
    least: Sequence[float] | None = None,
    *,
    robust: bool = False,
) -> Scales:
    """Return scales that standardise the network's inputs over the training rows.

    Parameters
    ----------
    inputs : Tensor of shape (n, n_nn_inputs) or, of fields, (n, n_nn_inputs, ...)
        Inputs of the network before standardisation.
    scales : Scales
        Scales of the target.
    rows : Rows
        Weight the inputs, averaged over targets, if each input belongs to one row.
    axis : int, default=-1
        Axis of the inputs; each input has its own scale.
    units : sequence of float, default=None
        Units of the first inputs, for those that are constant; 1 by default.
    least : sequence of float, default=None
        Standard deviations of the first inputs below which they count as constant; 0 by default.
    robust : bool, default=False
        Whether the scales are those of :func:`robust_moments`: observed states are inputs, too.
    """
    columns = inputs.double().cpu().movedim(axis, -1)
    per_input = (columns.shape[-1], *[1] * (-1 - axis))
    columns = columns.reshape(-1, columns.shape[-1]).numpy()
    weight = rows.weight if len(columns) == len(rows) else None
    if weight is not None:
        weight = weight.reshape(len(weight), -1).mean(axis=1, keepdims=True)
        weight = np.broadcast_to(weight, columns.shape)
    mean, std = (robust_moments if robust else moments)(columns, weight)
    if units is not None:
        constant = np.ptp(columns, axis=0) == 0.0
        known = np.ones(len(std))
        known[: len(units)] = units
        if least is not None:
            constant[: len(least)] |= std[: len(least)] < np.asarray(least)
        std = np.where(constant, known, std)
    values = {
        "feature_offset": -mean / std,
        "feature_factor": 1.0 / std,
        "feature_low": (columns.min(axis=0) - mean) / std,
        "feature_high": (columns.max(axis=0) - mean) / std,
    }
    tensors = {name: torch.tensor(value).reshape(per_input) for name, value in values.items()}
    return replace(scales, **tensors)


def record_network_inputs(
    hybrid: Hybrid, x: Tensor, coordinates: dict[str, Tensor], *, bounded: bool = False
) -> Tensor:
    """Return the inputs that the network reads, standardised with the scales of the model.

    Parameters
    ----------
    hybrid : Hybrid
    x : Tensor or Windows
    coordinates : dict of str to Tensor
        Scaled physics parameters.
    bounded : bool, default=False
        Whether to limit states that grow without bound, as training does.

    Raises
    ------
    ValueError
        If the structure never calls the network.
    """
    recorded: list[Tensor] = []
    network = hybrid.bind_network(record=recorded)
    pooled = []
    for rows in row_chunks(x):
        recorded.clear()
        with torch.no_grad():
            hybrid.join(rows, hybrid.space.values(coordinates), network, bounded=bounded)
        if not recorded:
            raise ValueError(
                "structure never calls nn. For a model without a network, set nn=None."
            )
        axis = hybrid.channel_axis
        widest = max(each.shape[axis] for each in recorded)  # with inputs that a structure adds
        pooled.append(hybrid.pool_network_inputs([e for e in recorded if e.shape[axis] == widest]))
    return pooled[0] if len(pooled) == 1 else torch.cat(pooled)


def moments(values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted means and standard deviations of columns, 1 for a constant column."""
    mean = np.average(values, axis=0, weights=weight)
    # Correct the rounding error of the first sum, which grows with the number of rows.
    mean = mean + np.average(values - mean, axis=0, weights=weight)
    deviation = values - mean
    deviation *= deviation  # in place: a table may be large
    variance = np.average(deviation, axis=0, weights=weight)
    std = np.sqrt(variance)
    # The rounding error of a constant column is proportional to its value.
    constant = std <= 10 * np.finfo(np.float64).eps * np.abs(mean)
    return mean, np.where(constant, 1.0, std)


def robust_moments(values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return centres and spreads of columns that outliers do not inflate.

    They are the weighted median, and the weighted median of the distances from it over 0.6745, the
    standard deviation for normal values. If half of a column is the same number, the spread is the
    standard deviation. It is 1 for a constant column.
    """
    median = weighted_median(values, weight)
    spread = weighted_median(np.abs(values - median), weight) / NORMAL_MEDIAN
    _, std = moments(values, weight)
    constant = spread <= 10 * np.finfo(np.float64).eps * np.abs(median)
    return median, np.where(constant, std, spread)


def robust_square(squares: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the squares of normal numbers from their median, and their mean."""
    median = weighted_median(squares, weight) / NORMAL_MEDIAN**2
    mean = np.average(squares, axis=0, weights=weight)
    return np.where(median > 0.0, median, mean), mean


def weighted_median(values: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the lower weighted median of each column."""
    weight = np.ones(values.shape) if weight is None else weight
    order = np.argsort(values, axis=0, kind="stable")
    reached = np.take_along_axis(weight, order, axis=0).cumsum(axis=0)
    place = (reached < 0.5 * reached[-1:]).sum(axis=0, keepdims=True)
    place = np.minimum(place, len(values) - 1)
    return np.take_along_axis(np.take_along_axis(values, order, axis=0), place, axis=0)[0]
