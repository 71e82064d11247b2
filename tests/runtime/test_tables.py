"""Tables as text and in HTML."""

from __future__ import annotations

from skhybrid.runtime.tables import html_paragraphs, html_table, text_table


def test_columns_line_up():
    rows = [["a", "1.5", ""], ["longer", "-10", "x"]]
    lines = text_table(["name", "n", "note"], rows, right=[1]).splitlines()
    assert lines == [
        "name      n  note",
        "------  ---  ----",
        "a       1.5",
        "longer  -10  x",
    ]


def test_html_escapes():
    table = html_table(["<h>", "n"], [["a & b", "1"]], right=[1])
    assert "&lt;h&gt;" in table
    assert '<td>a &amp; b</td><td style="text-align: right">1</td>' in table
    assert html_paragraphs(["x < y", "z"]) == "<p>x &lt; y</p><p>z</p>"
