"""Segments of runs: at gaps, and by length."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.data.frame_segments import check_segments, cut_run

TIMES = np.array([0.0, 1.0, 2.0, 7.5, 8.5, 9.5, 14.4])


def test_a_gap_is_longer_than_five_median_intervals():
    assert cut_run(TIMES, "gaps", None).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert cut_run(TIMES, "gaps", 4.0).tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert cut_run(TIMES[:1], "gaps", None).tolist() == [0]


def test_a_last_single_row_goes_to_the_segment_before():
    assert cut_run(TIMES, 3, None).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert cut_run(TIMES, 4, None).tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert cut_run(TIMES, None, None).tolist() == [0] * 7


@pytest.mark.parametrize(
    ("segments", "gap", "message"),
    [
        (1, None, "two rows at least"),
        ("gap", None, "segments='gap' must be 'gaps', a number"),
        (2.5, None, "segments=2.5"),
        (True, None, "segments=True"),
        (None, 1.0, "gap=1.0 is for segments='gaps'"),
        ("gaps", 0, "positive number"),
        ("gaps", "1 h", "positive number"),
    ],
)
def test_wrong_rules_are_named(segments, gap, message):
    with pytest.raises(ValueError, match=message):
        check_segments(segments, gap)
