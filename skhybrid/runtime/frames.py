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
            "This needs pandas, which is not installed: pip install pandas. Or install skhybrid "
            'with its optional dependencies: pip install "skhybrid[demo]".'
        ) from error
    return pandas


def data_frame(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any], index: Any = None) -> Any:
    """Return rows, or columns, as a DataFrame.

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    return import_pandas().DataFrame(rows, index=index)
