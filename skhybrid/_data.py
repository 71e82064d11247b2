"""From the user's arrays to the rows that training sees, and to the scales of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from skhybrid.structures import Hybrid, Scales
from skhybrid.training import Batch


@dataclass(frozen=True)
class Rows:
    """Validated rows in float64.

    Attributes
    ----------
    x : array of shape (n, n_features)
    y : array of shape (n,) or (n, n_targets)
        Missing targets are zero here.
    weight : array of the shape of y, or None
        Mean one; zero where a target is missing. None means one everywhere.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> Rows:
        """Leave out rows without weight or without any target; give missing targets no weight."""
        missing = np.isnan(y)
        if sample_weight is not None:
            if np.any(sample_weight < 0):
                raise ValueError(
                    f"sample_weight must not be negative; its smallest is {sample_weight.min()}."
                )
            if not sample_weight.any():
                raise ValueError("sample_weight is zero for every row: there is nothing to fit.")
        else:
            sample_weight = np.ones(len(y))
        kept = (sample_weight > 0) & ~missing.reshape(len(y), -1).all(axis=1)
        if not kept.any():
            raise ValueError("Every target is missing: there is nothing to fit.")
        x, y, missing, sample_weight = x[kept], y[kept], missing[kept], sample_weight[kept]
        empty = np.flatnonzero(missing.all(axis=0)) if y.ndim == 2 else ()
        if len(empty):
            raise ValueError(
                f"Target column {empty[0]} is missing in every row; leave it out of y."
            )
        weight = None
        if missing.any() or np.ptp(sample_weight) > 0:
            weight = sample_weight.reshape(-1, *[1] * (y.ndim - 1)) * ~missing
            weight = weight / weight.mean()
        return cls(x, np.where(missing, 0.0, y), weight)

    def take(self, chosen: np.ndarray) -> Rows:
        """Return some of the rows, with weights of mean one."""
        weight = None if self.weight is None else self.weight[chosen]
        if weight is not None and weight.any():
            weight = weight / weight.mean()
        return Rows(self.x[chosen], self.y[chosen], weight)

    def split(self, fraction: float, seed: int) -> tuple[Rows, Rows]:
        """Return training and validation rows."""
        chosen = train_test_split(np.arange(len(self.x)), test_size=fraction, random_state=seed)
        return self.take(np.sort(chosen[0])), self.take(np.sort(chosen[1]))

    def every(self, n_rows: int) -> Rows:
        """Return at most so many rows, evenly spaced."""
        if len(self.x) <= n_rows:
            return self
        return self.take(np.unique(np.linspace(0, len(self.x) - 1, n_rows).astype(int)))

    def tensors(self, dtype: torch.dtype, device: torch.device | str) -> Batch:
        """Return the rows as torch tensors."""
        largest = torch.finfo(dtype).max
        for name, array in (("X", self.x), ("y", self.y)):
            if np.abs(array).max(initial=0.0) > largest:
                raise ValueError(
                    f"{name} has values beyond {largest:.1e}, the largest of {dtype}. Choose "
                    "smaller units, or dtype='float64'."
                )
        return Batch(
            *(
                None if array is None else as_tensor(array, dtype, device)
                for array in (self.x, self.y, self.weight)
            )
        )


def as_tensor(array: np.ndarray, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Return a copy of an array as a tensor, also of an array that runs backwards in memory."""
    return torch.tensor(np.ascontiguousarray(array), dtype=dtype, device=device)


def target_scales(rows: Rows) -> Scales:
    """Return scales that know the target and leave the network's inputs as they are."""
    mean, spread = _moments(rows.y, rows.weight)
    zero, one = torch.zeros(()), torch.ones(())
    return Scales(zero, one, zero, one, torch.tensor(mean), torch.tensor(spread)).to(torch.float64)


def input_scales(inputs: Tensor, scales: Scales, rows: Rows) -> Scales:
    """Return scales that standardise the network's inputs over the training rows.

    Parameters
    ----------
    inputs : Tensor of shape (n, n_nn_inputs)
        What the network reads, not yet standardised.
    scales : Scales
        Scales of the target.
    rows : Rows
        Their weights decide (averaged over targets).
    """
    inputs = inputs.double().cpu().numpy()
    weight = rows.weight
    if weight is not None:
        weight = weight.reshape(len(weight), -1).mean(axis=1, keepdims=True)
        weight = np.broadcast_to(weight, inputs.shape)
    mean, spread = _moments(inputs, weight)
    standard = (inputs - mean) / spread
    return Scales(
        feature_offset=torch.tensor(-mean / spread),
        feature_factor=torch.tensor(1.0 / spread),
        feature_low=torch.tensor(standard.min(axis=0)),
        feature_high=torch.tensor(standard.max(axis=0)),
        target_mean=scales.target_mean,
        target_scale=scales.target_scale,
    )


def record_network_inputs(hybrid: Hybrid, x: Tensor, coordinates: dict[str, Tensor]) -> Tensor:
    """Return what the structure hands to the network, as the network would read it."""
    seen: list[Tensor] = []

    def recorder(x: Tensor, *extra: Tensor, scale: float | None = None) -> Tensor:
        seen.append(hybrid.network_inputs(x, *extra))
        return hybrid.silent_network(x)

    with torch.no_grad():
        hybrid.join(x, hybrid.bind_physics(hybrid.space.values(coordinates)), recorder)
    if not seen:
        raise ValueError("structure never calls nn. For a model without a network, set nn=None.")
    return seen[0]


def _moments(values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return weighted mean and standard deviation of the columns; a constant one has spread 1."""
    mean = np.average(values, axis=0, weights=weight)
    # What the first sum lost to rounding; it grows with the number of rows.
    mean = mean + np.average(values - mean, axis=0, weights=weight)
    variance = np.average((values - mean) ** 2, axis=0, weights=weight)
    spread = np.sqrt(variance)
    # What is left of a constant column is rounding, in proportion to its size.
    constant = spread <= 10 * np.finfo(np.float64).eps * np.abs(mean)
    return mean, np.where(constant, 1.0, spread)
