"""Tables of short texts, for terminals and notebooks."""

from __future__ import annotations

import html
from collections.abc import Sequence


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """Return a table whose columns line up.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
        Each as long as the header.
    right : sequence of int
        Columns whose texts end at the same place, such as numbers.

    Examples
    --------
    >>> print(text_table(["name", "value"], [["gain", "5.61"], ["leak", "0.021"]], right=[1]))
    name  value
    ----  -----
    gain   5.61
    leak  0.021
    """
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    aligned = (
        "  ".join(
            text.rjust(width) if i in right else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
    return "\n".join(line.rstrip() for line in aligned)


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """Return the same table in HTML, with all texts escaped."""
    style = [' style="text-align: right"' if i in right else "" for i in range(len(header))]
    head = _html_row("th", header, style)
    body = "".join(_html_row("td", row, style) for row in rows)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def html_paragraphs(lines: Sequence[str]) -> str:
    """Return lines of text in HTML, escaped."""
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _html_row(tag: str, texts: Sequence[str], style: Sequence[str]) -> str:
    cells = (f"<{tag}{s}>{html.escape(t)}</{tag}>" for t, s in zip(texts, style, strict=True))
    return f"<tr>{''.join(cells)}</tr>"
