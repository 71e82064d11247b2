"""Validated rows: selections and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from skhybrid.model.batch import Batch, Windows, select_rows


@dataclass(frozen=True)
class Rows:
    """Validated rows in float64.

    Attributes
    ----------
    x : array of shape (n, n_features), or Windows of arrays
    y : array of shape (n,), (n, n_targets) or, for windows, (n, n_times, *output_shape)
        Missing targets are zero here.
    weight : array of the shape of y, or None
        Mean one; zero where a target is missing. None means one everywhere.
    groups : array of int, shape (n,), or None
        Rows of one group are held out together; None: every row is its own group.
    kept : array of int, shape (n,), or None
        Indices of these rows among the rows that the user gave.
    """

    x: np.ndarray | Windows
    y: np.ndarray
    weight: np.ndarray | None
    groups: np.ndarray | None = None
    kept: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def select(self, chosen: np.ndarray) -> Rows:
        """Return the chosen rows, with weights of mean one."""
        weight = None if self.weight is None else self.weight[chosen]
        if weight is not None and weight.any():
            weight = weight / weight.mean()
        groups = None if self.groups is None else self.groups[chosen]
        return Rows(select_rows(self.x, chosen), self.y[chosen], weight, groups)

    def split(self, fraction: float, seed: int) -> tuple[Rows, Rows]:
        """Return training and validation rows; all rows of a group are in one of them."""
        groups = np.arange(len(self)) if self.groups is None else self.groups
        train, held_out = train_test_split(np.unique(groups), test_size=fraction, random_state=seed)
        return tuple(
            self.select(np.flatnonzero(np.isin(groups, chosen))) for chosen in (train, held_out)
        )

    def without(self, groups: np.ndarray) -> Rows:
        """Return the rows that are in none of these groups."""
        return self.select(np.flatnonzero(~np.isin(self.groups, groups)))

    def every(self, n_rows: int) -> Rows:
        """Return at most ``n_rows`` rows, evenly spaced."""
        chosen = evenly_spaced(len(self), n_rows)
        return self if chosen is None else self.select(chosen)

    def tensors(self, dtype: torch.dtype, device: torch.device | str) -> Batch:
        """Return the rows as torch tensors."""
        parts = self.x._asdict() if isinstance(self.x, Windows) else {"x": self.x}
        arrays = [
            ("times" if name in ("first_time", "steps") else "X", part)
            for name, part in parts.items()
            if part is not None
        ]
        for name, array in (*arrays, ("y", self.y)):
            require_range(name, array, dtype)
        return Batch(
            as_tensors(self.x, dtype, device),
            as_tensor(self.y, dtype, device),
            None if self.weight is None else as_tensor(self.weight, dtype, device),
        )


def require_range(
    name: str, array: np.ndarray, dtype: torch.dtype, columns: Sequence[str] | None = None
) -> None:
    """Raise a ValueError that names the first number that is too large for a dtype, if any.

    Parameters
    ----------
    name : str
        Name of the array.
    array : array of shape (n,), (n, n_columns) or (n, n_times, ...)
    dtype : torch.dtype
    columns : sequence of str, default=None
        Names of the columns, for an array with two axes.
    """
    largest = torch.finfo(dtype).max
    # fmin and fmax ignore NaN, and need no copy of a large table.
    low, high = (each.reduce(array, axis=None, initial=0.0) for each in (np.fmin, np.fmax))
    if max(-low, high) <= largest:
        return
    where = tuple(int(i) for i in np.argwhere((array > largest) | (array < -largest))[0])
    place = f"row {where[0]}" if where else "it"
    if array.ndim == 2:
        column = where[1] if columns is None else repr(str(columns[where[1]]))
        place = f"column {column}, row {where[0]}"
    elif array.ndim > 2:
        place = f"element [{', '.join(map(str, where))}]"
    raise ValueError(
        f"{name} has the value {array[where]:.6g} in {place}, beyond {largest:.1e}, the largest of "
        f"{dtype}. Choose smaller units, or dtype='float64'."
    )


def evenly_spaced(n: int, most: int) -> np.ndarray | None:
    """Return at most ``most`` evenly spaced indices below n, or None for all."""
    return None if n <= most else np.unique(np.linspace(0, n - 1, most).astype(int))


def as_tensor(array: np.ndarray, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Return a copy of an array as a tensor, also for an array with negative strides.

    Integers become int64, because they are indices.
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
