"""A search names the fits that an interrupt left out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from skhybrid.batching.cross_validation import CrossValidation
from skhybrid.exceptions import SearchInterruptedWarning
from skhybrid.search.missing_fits import warn_of_missing_fits


@pytest.mark.parametrize(
    ("n_candidates", "finished", "message"),
    [
        (3, {0, 1, 2}, "3 of 6 fits are finished.* candidates 1, 2, which lack 3 fits"),
        (30, set(), r"0 of 60 fits .* candidates 0, 1, .*19, \.\.\., which lack 60 fits"),
    ],
)
def test_candidates_that_lack_fits_are_named(n_candidates, finished, message):
    trials = [
        SimpleNamespace(number=number, finished=number in finished)
        for number in range(2 * n_candidates)
    ]
    with pytest.warns(SearchInterruptedWarning, match=message):
        warn_of_missing_fits(CrossValidation([{}] * n_candidates, trials))
