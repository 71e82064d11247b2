"""Tables of text and HTML."""

from __future__ import annotations

import numpy as np

from skhybrid.inspection.tables import html_table, text_table

ROWS = {"gain[0]": {"estimate": 5.6123456, "unit": "V<N"}, "k": {"estimate": np.float64(1e-7)}}


def test_text_has_a_title_and_five_digits():
    title, _, *lines = text_table("Title", ROWS).splitlines()
    assert title == "Title"
    assert lines[-2].split() == ["gain[0]", "5.6123", "V<N"]
    assert lines[-1].split() == ["k", "1e-07"]


def test_html_is_escaped():
    text = html_table("A & B", ROWS)
    assert "A &amp; B" in text
    assert "V&lt;N" in text
    assert ">5.6123<" in text


def test_what_is_not_known_is_a_dash():
    assert text_table("", {"k": {"low": float("nan"), "high": 2.0}}).split()[-2:] == ["–", "2"]
