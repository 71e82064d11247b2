"""Check the arrays that the user gave, and name the columns that cannot be used."""

from __future__ import annotations

import contextlib
import datetime
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight

from skhybrid.model.user_code import reason

# Dates and durations, of which numpy would make large numbers.
_DATES = "mM"
_DATE_TYPES = (datetime.date, datetime.timedelta, np.datetime64, np.timedelta64)
_DATES_REMEDY = "Turn dates and durations into numbers, such as seconds since the first."
# Types of tensors that numpy does not have.
_TORCH_ONLY = (torch.bfloat16, torch.complex32)
# Errors, besides TypeError and ValueError, of objects that are turned into arrays.
_CONVERSION = (ArithmeticError, AttributeError, LookupError, NotImplementedError, RuntimeError)
# Objects and texts, which may hold no numbers.
_OBJECTS = "OUST"


@contextlib.contextmanager
def columns_named(**given: Any) -> Iterator[None]:
    """Check arrays, and let an error inside the block name the column at fault.

    Parameters
    ----------
    **given : array-like
        By name, such as ``X=X``.

    Raises
    ------
    TypeError, ValueError
        As for :func:`check_given`. If the block raises an error because of a column that holds
        texts, dates, NaN or infinity: for this column.
    """
    for name, values in given.items():
        check_given(name, values)
    try:
        yield
    except (TypeError, ValueError) as error:
        for name, values in given.items():
            fault = _fault(name, values, str(error))
            if fault is not None:
                if isinstance(error, TypeError):
                    raise TypeError(f"{fault} Python says: {error}") from error
                raise ValueError(fault) from error
            if "inhomogeneous" in str(error) and (fault := _unreadable(name, values)) is not None:
                raise ValueError(fault) from error
        raise
    except _CONVERSION as error:
        for name, values in given.items():
            fault = _fault(name, values, str(error)) or _unreadable(name, values)
            if fault is not None:
                raise ValueError(fault) from error
        raise


def read_numbers(name: str, values: Any) -> np.ndarray:
    """Return values as an array of float64; an error names what is no number."""
    with columns_named(**{name: values}):
        return np.asarray(values, dtype=np.float64)


def read_weights(sample_weight: Any, n: int) -> np.ndarray:
    """Return the weights of n rows or trajectories in float64; without weights, ones.

    Raises
    ------
    ValueError
        If there are not n finite numbers.
    """
    with columns_named(sample_weight=sample_weight):
        return _check_sample_weight(sample_weight, np.empty((n, 1)), dtype=np.float64)


def check_given(name: str, values: Any) -> None:
    """Raise a ValueError for an array that would lose its gradient, columns or dates in silence.

    Parameters
    ----------
    name : str
        Name of the array in the message.
    values : object
        A tensor must not require a gradient, and a DataFrame needs unique column names. Neither it
        nor an array may hold dates or durations.
    """
    if isinstance(values, torch.Tensor):
        _check_tensor(name, values)
    columns = _columns(values)
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(
            f"{name} has more than one column named {twice[0]!r}. Names choose columns, so they "
            f"must differ. Columns of {name}: {', '.join(columns)}."
        )
    dtypes = getattr(values, "dtypes", ()) if columns else ()
    for column, dtype in zip(columns, dtypes, strict=False):
        if getattr(dtype, "kind", "") in (*_DATES,):
            raise ValueError(f"Column {column!r} of {name} holds {dtype}. {_DATES_REMEDY}")
    dtype = getattr(values, "dtype", None)  # of an array, a series or an index
    if getattr(dtype, "kind", "") in (*_DATES,):
        raise ValueError(f"{name} holds {dtype}. {_DATES_REMEDY}")


def _check_tensor(name: str, values: torch.Tensor) -> None:
    """Raise a ValueError for a tensor that numpy cannot read."""
    if values.layout is not torch.strided:
        remedy = f"is a sparse tensor. Pass {name}.to_dense()."
    elif values.is_meta:
        remedy = "is a tensor on the device 'meta', which has no values."
    elif values.dtype in _TORCH_ONLY:
        remedy = f"is a tensor of {values.dtype}, which NumPy does not have. Pass {name}.float()."
    elif values.requires_grad:
        remedy = (
            "is a tensor that requires a gradient, but skhybrid computes no gradient with respect "
            f"to data. Pass {name}.detach()."
        )
    else:
        return
    raise ValueError(f"{name} {remedy}")


def _columns(values: Any) -> list[str]:
    """Return the column names of a DataFrame, or nothing."""
    return [str(column) for column in getattr(values, "columns", ())]


def _fault(name: str, values: Any, error: str) -> str | None:
    """Return a message about the first column that explains an error, or None."""
    not_finite = error.startswith(f"Input {name} contains")
    if not not_finite and "contains" in error:
        return None
    try:
        array = np.asarray(values)
    except Exception:  # arrays of different lengths, for example
        return None
    if array.ndim not in (1, 2) or array.dtype.kind not in (*"fiub", *_OBJECTS):
        return None
    names = _columns(values)
    for number, column in enumerate(array.T if array.ndim == 2 else [array]):
        column_name = repr(names[number]) if names else str(number)
        per = column_name if name == "X" and array.ndim == 2 else None
        found = _first_not_finite(column) if not_finite else _first_text(column, per)
        if found is not None:
            where = "" if array.ndim == 1 else f"column {column_name}, "
            return f"{name} contains {found[0]} in {where}{found[1]}"
    return None


def _first_not_finite(column: np.ndarray) -> tuple[str, str] | None:
    """Return NaN or infinity, and where it is first, or None."""
    numbers = np.array([_as_float(value) for value in column])
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong) == 0:
        return None
    what = "NaN" if np.isnan(numbers[wrong[0]]) else "infinity"
    return what, (
        f"{len(wrong)} of {len(column)} rows; the first is row {wrong[0]}. Fill in these values or "
        "leave them out."
    )


def _first_text(column: np.ndarray, per: str | None) -> tuple[str, str] | None:
    """Return the first value that is not a number, and where it is, or None.

    ``per`` is how Param names the column if it may hold groups.
    """
    if column.dtype.kind not in _OBJECTS:
        return None
    for row, value in enumerate(column):
        try:
            float(value)
        except OverflowError:
            return "an integer", f"row {row}, that is too large for a floating-point number."
        except (TypeError, ValueError):
            if isinstance(value, _DATE_TYPES):
                return f"the value {value!r}", f"row {row}. {_DATES_REMEDY}"
            shown = str(value) if isinstance(value, np.str_) else value
            remedy = "with scikit-learn's OneHotEncoder, or leave them out."
            if per is not None:
                remedy += f" If they name groups, a parameter may have values for them: per={per}."
            return f"the value {shown!r}", (
                f"row {row}, which is not a number. Turn such values into numbers, for example "
                f"{remedy}"
            )
    return None


def _as_float(value: Any) -> float:
    """Return a value as a number, and a missing value such as pandas.NA as NaN."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan
    except OverflowError:
        return np.inf


def _unreadable(name: str, values: Any) -> str | None:
    """Return a message if values cannot be turned into numbers, or None."""
    try:
        np.asarray(values, dtype=np.float64)
    except Exception as error:
        message = (
            f"{name} ({type(values).__name__}) cannot be turned into an array of numbers: "
            f"{reason(error)} Pass an array, a DataFrame or nested lists of numbers."
        )
        if isinstance(values, list) and any(getattr(each, "ndim", 0) == 2 for each in values):
            message += " A list of records of different lengths is for structure=ODE(...)."
        return message
    return None
