"""Results as tables of text and HTML, without pandas."""

from __future__ import annotations

import html
from collections.abc import Mapping
from numbers import Number
from typing import Any

from skhybrid.runtime import tables

# Numbers of a table have this many digits.
N_DIGITS = 5


def text_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a title and a table of text.

    Parameters
    ----------
    title : str
    rows : mapping of str to mapping of str to object
        By name of the row, then by name of the column.
    """
    return f"{title}\n{tables.text_table(*_cells(rows))}"


def html_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table in HTML under its title; arguments as for :func:`text_table`."""
    return f"<p>{html.escape(title)}</p>{tables.html_table(*_cells(rows))}"


def _cells(
    rows: Mapping[str, Mapping[str, Any]],
) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the header and the rows as texts, and the columns that hold numbers."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    body = [
        [name, *(_text(row.get(column, "")) for column in columns)] for name, row in rows.items()
    ]
    numbers = [
        place
        for place, column in enumerate(columns, start=1)
        if all(isinstance(row.get(column, 0.0), Number) for row in rows.values())
    ]
    return ["", *columns], body, numbers


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, Number):
        return "" if value is None else str(value)
    if value != value:
        return "–"
    return f"{value:.{N_DIGITS}g}"
