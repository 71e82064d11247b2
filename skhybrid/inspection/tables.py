"""Results as tables of text and HTML, without pandas."""

from __future__ import annotations

import html
from collections.abc import Mapping
from numbers import Number
from typing import Any

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
    cells = _cells(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        line = [first.ljust(widths[0])]
        line += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(line).rstrip())
    return "\n".join([title, *lines])


def html_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table in HTML with a title as its caption; arguments as for :func:`text_table`."""
    header, *body = ([html.escape(cell) for cell in line] for line in _cells(rows))
    lines = [f"<table><caption>{html.escape(title)}</caption>", "<thead><tr>"]
    lines += [f"<th>{cell}</th>" for cell in header]
    lines.append("</tr></thead><tbody>")
    for first, *others in body:
        lines.append(f"<tr><th>{first}</th>{''.join(f'<td>{cell}</td>' for cell in others)}</tr>")
    return "\n".join([*lines, "</tbody></table>"])


def _cells(rows: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return the header and the rows as texts."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    body = [
        [name, *(_text(row.get(column, "")) for column in columns)] for name, row in rows.items()
    ]
    return [["", *columns], *body]


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, Number):
        return "" if value is None else str(value)
    return f"{value:.{N_DIGITS}g}"
