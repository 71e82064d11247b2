"""From the user's arrays to the rows that training sees, and to the scales of the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from skhybrid.structures import Hybrid, Scales, Windows
from skhybrid.training import Batch
from skhybrid.training.batch import take


@dataclass(frozen=True)
class Rows:
    """Validated rows in float64.

    Attributes
    ----------
    x : array of shape (n, n_features), or Windows of arrays
    y : array of shape (n,), (n, n_targets) or, of windows, (n, n_times, *output_shape)
        Missing targets are zero here.
    weight : array of the shape of y, or None
        Mean one; zero where a target is missing. None means one everywhere.
    groups : array of int, shape (n,), or None
        Rows that belong together, to be held out together; None: every row is its own.
    kept : array of int, shape (n,), or None
        Which of the rows given these are.
    """

    x: np.ndarray | Windows
    y: np.ndarray
    weight: np.ndarray | None
    groups: np.ndarray | None = None
    kept: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    @classmethod
    def of(
        cls,
        x: np.ndarray | Windows,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        *,
        keep_empty: bool = False,
    ) -> Rows:
        """Leave out rows without weight or without any target; give missing targets no weight.

        ``keep_empty`` keeps rows without any target.
        """
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
        kept = sample_weight > 0
        if not keep_empty:
            kept &= ~missing.reshape(len(y), -1).all(axis=1)
        if not kept.any() or missing[kept].all():
            raise ValueError("Every target is missing: there is nothing to fit.")
        kept = np.flatnonzero(kept)
        x, y, missing, sample_weight = take(x, kept), y[kept], missing[kept], sample_weight[kept]
        empty = np.flatnonzero(missing.all(axis=0)) if y.ndim == 2 else ()
        if len(empty):
            raise ValueError(
                f"Target column {empty[0]} is missing in every row; leave it out of y."
            )
        weight = None
        if missing.any() or np.ptp(sample_weight) > 0:
            weight = sample_weight.reshape(-1, *[1] * (y.ndim - 1)) * ~missing
            weight = weight / weight.mean()
        return cls(x, np.where(missing, 0.0, y), weight, kept=kept)

    def take(self, chosen: np.ndarray) -> Rows:
        """Return some of the rows, with weights of mean one."""
        weight = None if self.weight is None else self.weight[chosen]
        if weight is not None and weight.any():
            weight = weight / weight.mean()
        groups = None if self.groups is None else self.groups[chosen]
        return Rows(take(self.x, chosen), self.y[chosen], weight, groups)

    def split(self, fraction: float, seed: int) -> tuple[Rows, Rows]:
        """Return training and validation rows; a group is in one of them."""
        groups = np.arange(len(self)) if self.groups is None else self.groups
        train, held_out = train_test_split(np.unique(groups), test_size=fraction, random_state=seed)
        return tuple(
            self.take(np.flatnonzero(np.isin(groups, chosen))) for chosen in (train, held_out)
        )

    def without(self, groups: np.ndarray) -> Rows:
        """Return the rows that belong to none of these groups."""
        return self.take(np.flatnonzero(~np.isin(self.groups, groups)))

    def every(self, n_rows: int) -> Rows:
        """Return at most so many rows, evenly spaced."""
        if len(self) <= n_rows:
            return self
        return self.take(np.unique(np.linspace(0, len(self) - 1, n_rows).astype(int)))

    def tensors(self, dtype: torch.dtype, device: torch.device | str) -> Batch:
        """Return the rows as torch tensors."""
        largest = torch.finfo(dtype).max
        x = self.x if isinstance(self.x, tuple) else (self.x,)
        arrays = [("X", part) for part in x if part is not None]
        for name, array in (*arrays, ("y", self.y)):
            if np.abs(array).max(initial=0.0) > largest:
                raise ValueError(
                    f"{name} has values beyond {largest:.1e}, the largest of {dtype}. Choose "
                    "smaller units, or dtype='float64'."
                )
        return Batch(
            as_tensors(self.x, dtype, device),
            as_tensor(self.y, dtype, device),
            None if self.weight is None else as_tensor(self.weight, dtype, device),
        )


def as_tensor(array: np.ndarray, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Return a copy of an array as a tensor, also of an array that runs backwards in memory.

    Integers stay what they are: they count something.
    """
    if np.issubdtype(array.dtype, np.integer):
        dtype = torch.int64
    return torch.tensor(np.ascontiguousarray(array), dtype=dtype, device=device)


def as_tensors(
    x: np.ndarray | Windows, dtype: torch.dtype, device: torch.device | str
) -> Tensor | Windows:
    """Return a copy of an array, or of the arrays of windows, as tensors."""
    if isinstance(x, np.ndarray):
        return as_tensor(x, dtype, device)
    return Windows(*(None if part is None else as_tensor(part, dtype, device) for part in x))


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
    return hybrid.pooled(seen)


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
