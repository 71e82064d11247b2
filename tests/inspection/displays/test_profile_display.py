"""Profiles."""

from __future__ import annotations

import numpy as np

from skhybrid.inspection import Profile, ProfileDisplay

VALUES = np.array([1.0, 2.0, 3.0])
LOSS = np.array([0.3, 0.1, 0.4])


def draw(interval, held_out=None, **options):
    found = Profile("gain[0]", "V/N", 2.1, VALUES, LOSS, held_out, 0.1, 0.95, interval)
    return ProfileDisplay.from_result(found, **options).ax_


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_profile_has_its_losses_and_its_interval():
    ax = draw((1.5, 2.5), held_out=LOSS + 0.1, truth=2.0)
    assert ax.get_xlabel() == "gain[0] (V/N)"
    assert labels(ax) == [
        "95 % interval (F-test)",
        "training rows",
        "rows held out",
        "fitted",
        "truth",
    ]
    assert ax.lines[0].get_ydata().tolist() == LOSS.tolist()
    assert ax.patches[0].get_x() == 1.5


def test_a_hybrid_has_no_interval():
    assert labels(draw(None)) == ["training rows", "fitted"]


def test_an_interval_that_does_not_end_is_not_drawn():
    assert labels(draw((1.5, np.inf))) == ["training rows", "fitted"]
