"""Tables for users, as DataFrames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def import_pandas():
    """Return pandas, or raise an error that says what to do."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "This table is a pandas DataFrame, and pandas is not installed. Install pandas: "
            "pip install pandas."
        ) from error
    return pandas


def data_frame(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any], index: Any = None) -> Any:
    """Return rows, or columns, as a DataFrame.

    Parameters
    ----------
    rows : sequence of mappings, or mapping of str to sequence
        A mapping for each row, or a column for each name.
    index : sequence of str, default=None
        Names of the rows.

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    return import_pandas().DataFrame(rows, index=index)
