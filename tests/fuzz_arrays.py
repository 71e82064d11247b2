"""Arrays as users may hand them over: changed values, shapes, types and containers."""

from __future__ import annotations

import decimal
from collections.abc import Callable

import numpy as np
import pandas as pd
import scipy.sparse
import torch

Change = Callable[[np.random.Generator, np.ndarray], object]


class Refusing:
    """An object that cannot become an array."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array today")


class Table:
    """A table of another library: it has columns and rows, but pandas does not know it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values
        self.columns = [f"column {i}" for i in range(values.shape[-1] if values.ndim else 0)]

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __len__(self) -> int:
        return len(self.values)


class Ours(np.ndarray):
    """A subclass of arrays."""


def _with(value: object, some: str = "one") -> Change:
    """Return a change that writes a value into one cell, one row, one column or everywhere."""

    def change(rng, array):
        number = isinstance(value, float)
        changed = array.copy() if number else array.astype(object)
        if changed.size == 0 or changed.ndim == 0:
            return changed
        place = {
            "one": tuple(int(rng.integers(n)) for n in array.shape),
            "row": int(rng.integers(len(array))),
            "column": (..., int(rng.integers(array.shape[-1]))),
            "all": ...,
        }[some]
        changed[place] = value
        return changed

    return change


def _times(factor: float) -> Change:
    def change(rng, array):
        with np.errstate(all="ignore"):
            return array * factor

    return change


def _flat(array: np.ndarray) -> np.ndarray:
    """Return an array with two dimensions, as tables have."""
    return array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)


def _frame(array: np.ndarray, **options) -> pd.DataFrame:
    return pd.DataFrame(_flat(array), **options)


def _with_column(make: Callable[[int], object]) -> Change:
    """Return a change that adds a column of another type to a table."""

    def change(rng, array):
        frame = _frame(array).rename(columns=lambda i: f"c{i}")
        frame["more"] = make(len(frame))
        return frame

    return change


def _odd_index(rng, array):
    frame = _frame(array, index=rng.permutation(len(array)) - 3)
    return frame.rename(columns=str)


def _twice(rng, array):
    return np.concatenate([array, array[..., :1]], axis=-1) if array.ndim else array


def _nullable(rng, array):
    frame = _frame(array).rename(columns=str).astype("Float64")
    frame.iloc[0, 0] = pd.NA
    return frame


def _ragged(rng, array):
    if array.ndim == 0:
        return [array]
    return [row if i else row[: max(len(row) - 1, 0)] for i, row in enumerate(np.atleast_2d(array))]


def _read_only(rng, array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _grad(rng, array):
    return torch.tensor(array, requires_grad=True)


# Changes of numbers and shapes, after which an array is still an array of numbers.
NUMBERS: dict[str, Change] = {
    "nan in a cell": _with(np.nan),
    "nan in a row": _with(np.nan, "row"),
    "nan in a column": _with(np.nan, "column"),
    "nan everywhere": _with(np.nan, "all"),
    "inf in a cell": _with(np.inf),
    "-inf in a column": _with(-np.inf, "column"),
    "1e30 in a cell": _with(1e30),
    "1e300 in a cell": _with(1e300),
    "times 1e10": _times(1e10),
    "times 1e25": _times(1e25),
    "times 1e38": _times(1e38),
    "times 1e300": _times(1e300),
    "times 1e-10": _times(1e-10),
    "times 1e-30": _times(1e-30),
    "times 1e-310": _times(1e-310),
    "negative": _times(-1.0),
    "zero": _times(0.0),
    "plus 1e9": lambda rng, array: array + 1e9,
    "constant column": _with(3.0, "column"),
    "constant": _with(3.0, "all"),
    "no rows": lambda rng, array: array[:0],
    "one row": lambda rng, array: array[:1],
    "two rows": lambda rng, array: array[:2],
    "three rows": lambda rng, array: array[:3],
    "no columns": lambda rng, array: array[..., :0],
    "one column": lambda rng, array: array[..., :1],
    "a column twice": _twice,
    "all rows the same": lambda rng, array: np.repeat(array[:1], len(array), axis=0),
    "one row less": lambda rng, array: array[1:],
    "no second axis": lambda rng, array: array[:, :0] if array.ndim > 1 else array[:0],
    "one in the second axis": lambda rng, array: array[:, :1] if array.ndim > 1 else array[:1],
    "one axis more": lambda rng, array: array[..., None],
    "one axis more in front": lambda rng, array: array[None],
    "one axis less": lambda rng, array: array[..., 0],
    "flat": lambda rng, array: array.ravel(),
    "transposed": lambda rng, array: array.T,
    "a single number": lambda rng, array: np.float64(2.0),
    "one column wide": lambda rng, array: array.reshape(len(array), -1)[:, :1],
    "two columns wide": lambda rng, array: np.repeat(array.reshape(len(array), -1)[:, :1], 2, 1),
}

# Changes of types and containers; the last ones leave no numbers.
CONTAINERS: dict[str, Change] = {
    "read-only": _read_only,
    "Fortran order": lambda rng, array: np.asfortranarray(array),
    "strided": lambda rng, array: np.repeat(array, 2, axis=0)[::2],
    "backwards": lambda rng, array: array[::-1],
    "big-endian": lambda rng, array: array.astype(">f8"),
    "float16": lambda rng, array: array.astype(np.float16),
    "float32": lambda rng, array: array.astype(np.float32),
    "longdouble": lambda rng, array: array.astype(np.longdouble),
    "int": lambda rng, array: (10 * array).astype(int),
    "int8": lambda rng, array: (10 * array).astype(np.int8),
    "uint64": lambda rng, array: np.full(array.shape, 2**64 - 1, dtype=np.uint64),
    "bool": lambda rng, array: array > np.mean(array),
    "complex": lambda rng, array: array + 1j,
    "object": lambda rng, array: array.astype(object),
    "None in a cell": _with(None),
    "text in a cell": _with("n/a"),
    "number as text in a cell": _with("1.5"),
    "bytes in a cell": _with(b"1"),
    "a list in a cell": lambda rng, array: _with([1, 2])(rng, _flat(array).astype(float)),
    "an integer beyond float": _with(10**400),
    "decimals": lambda rng, array: np.vectorize(decimal.Decimal, otypes=[object])(array),
    "text": lambda rng, array: array.astype(str),
    "dates": lambda rng, array: np.full(array.shape, np.datetime64("2020-01-01")),
    "durations": lambda rng, array: np.full(array.shape, np.timedelta64(3, "s")),
    "masked": lambda rng, array: np.ma.masked_greater(array, np.mean(array)),
    "matrix": lambda rng, array: np.matrix(_flat(array)),
    "subclass": lambda rng, array: array.view(Ours),
    "records": lambda rng, array: np.zeros(len(array), dtype=[("a", float), ("b", int)]),
    "lists": lambda rng, array: array.tolist(),
    "tuple": lambda rng, array: tuple(array),
    "list of arrays": lambda rng, array: list(array),
    "ragged": _ragged,
    "empty list": lambda rng, array: [],
    "list of empty lists": lambda rng, array: [[] for _ in array],
    "None": lambda rng, array: None,
    "a word": lambda rng, array: "data",
    "dict": lambda rng, array: {"a": array.tolist()},
    "generator": lambda rng, array: (row for row in array),
    "set": lambda rng, array: set(array.ravel().tolist()),
    "tensor": lambda rng, array: torch.tensor(array),
    "tensor with gradient": _grad,
    "tensor of bfloat16": lambda rng, array: torch.tensor(array).bfloat16(),
    "sparse tensor": lambda rng, array: torch.tensor(array).to_sparse(),
    "sparse": lambda rng, array: scipy.sparse.csr_matrix(_flat(array)),
    "sparse array": lambda rng, array: scipy.sparse.coo_array(_flat(array)),
    "frame": lambda rng, array: _frame(array),
    "frame with an odd index": _odd_index,
    "frame of text columns": lambda rng, array: _frame(array).rename(columns=str).astype(str),
    "frame with a double name": lambda rng, array: _frame(array).rename(columns=lambda i: "force"),
    "frame with mixed names": lambda rng, array: _frame(array).rename(columns={0: "force"}),
    "frame with levels": lambda rng, array: (
        _frame(array).T.set_index([0, 1], append=True).T
        if _flat(array).shape[0] > 1
        else _frame(array)
    ),
    "frame with a category": _with_column(lambda n: pd.Categorical(["a", "b"] * n)[:n]),
    "frame with dates": _with_column(lambda n: pd.date_range("2020", periods=n, tz="UTC")),
    "frame with periods": _with_column(lambda n: pd.period_range("2020", periods=n, freq="D")),
    "frame with text": _with_column(lambda n: ["sand"] * n),
    "frame with bool": _with_column(lambda n: np.arange(n) % 2 == 0),
    "frame with None": _with_column(lambda n: [None] * n),
    "frame of nullable numbers": _nullable,
    "sparse frame": lambda rng, array: (
        _frame(array).rename(columns=str).astype(pd.SparseDtype(float, 0.0))
    ),
    "series": lambda rng, array: pd.Series(array.ravel()),
    "series of objects": lambda rng, array: pd.Series(list(array)),
    "another library's table": lambda rng, array: Table(array),
    "an object without numbers": lambda rng, array: Refusing(),
    "a class": lambda rng, array: np.ndarray,
}

ANY: dict[str, Change] = {**NUMBERS, **CONTAINERS}


def pick(rng: np.random.Generator, changes: dict[str, object]) -> tuple[str, object]:
    """Draw one of some named changes."""
    name = list(changes)[int(rng.integers(len(changes)))]
    return name, changes[name]


def changed(rng: np.random.Generator, array: np.ndarray) -> tuple[str, object]:
    """Return the name of a change, and the changed array; the array itself stays as it is."""
    first, change = pick(rng, NUMBERS if rng.uniform() < 0.5 else CONTAINERS)
    values, name = change(rng, array.copy()), first
    plain = isinstance(values, np.ndarray) and values.dtype == float and values.ndim > 0
    if plain and len(values) and rng.uniform() < 0.2:
        second, change = pick(rng, CONTAINERS)
        try:
            return f"{first}, {second}", change(rng, values)
        except Exception:  # the two do not go together
            pass
    return name, values


# Weights of n rows.
WEIGHTS: dict[str, Callable[[np.random.Generator, int], object]] = {
    "uniform": lambda rng, n: rng.uniform(0.5, 2.0, n),
    "some zero": lambda rng, n: rng.integers(0, 2, n).astype(float),
    "all zero": lambda rng, n: np.zeros(n),
    "only one": lambda rng, n: np.eye(1, n)[0],
    "only two": lambda rng, n: np.eye(2, n).sum(0),
    "negative": lambda rng, n: -np.ones(n),
    "one negative": lambda rng, n: np.r_[-1.0, np.ones(n - 1)],
    "nan": lambda rng, n: np.r_[np.nan, np.ones(n - 1)],
    "inf": lambda rng, n: np.r_[np.inf, np.ones(n - 1)],
    "huge": lambda rng, n: np.full(n, 1e300),
    "one huge": lambda rng, n: np.r_[1e30, np.ones(n - 1)],
    "beyond float32": lambda rng, n: np.full(n, 1e39),
    "tiny": lambda rng, n: np.full(n, 1e-300),
    "one tiny": lambda rng, n: np.r_[1e-40, np.ones(n - 1)],
    "too few": lambda rng, n: np.ones(max(n - 1, 0)),
    "two axes": lambda rng, n: np.ones((n, 2)),
    "one column": lambda rng, n: np.ones((n, 1)),
    "number": lambda rng, n: 2.0,
    "text": lambda rng, n: "balanced",
    "list of text": lambda rng, n: ["a"] * n,
    "bool": lambda rng, n: np.arange(n) % 2 == 0,
    "list": lambda rng, n: [1] * n,
    "objects": lambda rng, n: np.ones(n, dtype=object),
    "with None": lambda rng, n: [None] + [1.0] * (n - 1),
    "series": lambda rng, n: pd.Series(np.ones(n), index=range(5, n + 5)),
    "read-only": lambda rng, n: _read_only(rng, np.ones(n)),
    "dates": lambda rng, n: pd.date_range("2020", periods=n),
    "complex": lambda rng, n: np.ones(n) * 1j,
    "tensor": lambda rng, n: torch.ones(n),
    "empty": lambda rng, n: [],
    "dict": lambda rng, n: {0: 1.0},
}
