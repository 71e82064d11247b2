"""The loss along a physics parameter."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.inspection import Profile, ProfileDisplay


def make_profile(**changes):
    values = np.linspace(1.0, 3.0, 5)
    settings = {
        "param": "gain",
        "unit": "V/N",
        "estimate": 2.0,
        "values": values,
        "loss": 0.1 + (values - 2.0) ** 2 / 10,
        "held_out_loss": 0.15 + (values - 2.2) ** 2 / 10,
        "least_loss": 0.1,
        "level": 0.9,
        "interval": (1.5, 2.5),
    }
    return Profile(**{**settings, **changes})


def test_it_draws_both_losses_the_estimate_and_the_interval():
    found = make_profile()
    ax = ProfileDisplay.from_result(found, truth=2.1).ax_
    training, held_out, estimate, truth = ax.lines
    assert np.array_equal(training.get_ydata(), found.loss)
    assert np.array_equal(held_out.get_ydata(), found.held_out_loss)
    assert estimate.get_xdata()[0] == 2.0
    assert truth.get_xdata()[0] == 2.1
    assert ax.patches[0].get_extents().transformed(ax.transData.inverted()).intervalx == (
        pytest.approx([1.5, 2.5])
    )
    assert ax.get_xlabel() == "gain (V/N)"


def test_an_open_interval_ends_at_the_edge_and_says_so():
    ax = ProfileDisplay.from_result(make_profile(interval=(1.5, np.inf))).ax_
    end = ax.patches[0].get_extents().transformed(ax.transData.inverted()).x1
    assert end == pytest.approx(ax.get_xlim()[1])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "90 % interval (F-test), open to the right" in texts


def test_a_hybrid_has_no_interval_and_failed_fits_are_left_out():
    loss = np.array([0.1, np.nan, 0.2, 0.3, 5.0])
    ax = ProfileDisplay(make_profile(loss=loss, held_out_loss=None, interval=None)).plot().ax_
    assert not ax.patches
    assert ax.lines[0].get_ydata().tolist() == [0.1, 0.2, 0.3, 5.0]
    assert ax.get_yscale() == "log"
