"""Tables as pandas objects, for those who have pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def data_frame(columns: Mapping[str, Sequence[Any]], index: Sequence[str], *, what: str) -> Any:
    """Return a DataFrame; say what to do if pandas is not installed.

    Parameters
    ----------
    columns : mapping of str to sequence
    index : sequence of str
        Names of the rows.
    what : str
        What is asked for, in the error message.

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"{what} is a pandas DataFrame, and pandas is not installed. Install pandas: "
            "pip install pandas."
        ) from error
    return pandas.DataFrame(dict(columns), index=list(index))
