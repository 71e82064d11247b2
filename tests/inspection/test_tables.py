"""Tables of text and HTML."""

from __future__ import annotations

import numpy as np

from skhybrid.inspection.tables import html_table, text_table

ROWS = {"gain[0]": {"estimate": 5.6123456, "unit": "V<N"}, "k": {"estimate": np.float64(1e-7)}}


def test_text_is_aligned():
    lines = text_table("Title", ROWS).splitlines()
    assert lines == [
        "Title",
        "         estimate  unit",
        "gain[0]    5.6123   V<N",
        "k           1e-07",
    ]


def test_html_is_escaped():
    text = html_table("A & B", ROWS)
    assert "<caption>A &amp; B</caption>" in text
    assert "<th>gain[0]</th><td>5.6123</td><td>V&lt;N</td>" in text
