"""Suggestions for misspelled names."""

from __future__ import annotations

import pytest

from skhybrid.runtime.suggestions import suggestion


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pol1", ". Did you mean 'pol_1'?"),
        ("T", ". Did you mean 't'?"),
        ("zzz", "."),
    ],
)
def test_suggestion_is_a_close_name_or_a_full_stop(name, expected):
    assert suggestion(name, ["pol_1", "red", "t"]) == expected


def test_names_may_be_numbers():
    assert suggestion(12, [120, 5]) == ". Did you mean '120'?"
