"""Replicates of a bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.inspection import BootstrapDisplay


def test_every_replicate_is_drawn_with_the_estimate_and_the_interval(replicates):
    display = BootstrapDisplay.from_result(replicates, level=0.8, truth={"gain": 2.0})
    panel = display.axes_[0]
    ticks, interval, estimate, truth = (line.get_xdata() for line in panel.lines)
    assert np.array_equal(ticks, replicates.params["gain"])
    assert sum(patch.get_height() for patch in panel.patches) == replicates.n_replicates
    assert tuple(interval) == pytest.approx(replicates.interval(0.8)["gain"])
    assert estimate[0] == replicates.estimator.physics_params_["gain"]
    assert truth[0] == 2.0
    assert panel.get_xlabel() == "gain (V/N)"
    assert panel.get_legend().get_texts()[0].get_text() == "80 % of the replicates"
    assert len(display.axes_[1].lines) == 3


def test_elements_can_be_chosen(replicates):
    display = BootstrapDisplay.from_result(replicates, level=0.8, names=["offset"])
    assert [panel.get_xlabel() for panel in display.axes_] == ["offset"]
    with pytest.raises(ValueError, match=r"no element 'ofset'\. Did you mean 'offset'"):
        BootstrapDisplay.from_result(replicates, names=["ofset"])


def test_replicates_on_a_bound_are_one_bar():
    display = BootstrapDisplay({"k": np.zeros(5)}, {"k": 0.0}, {"k": (0.0, 0.0)}).plot()
    assert [patch.get_height() for patch in display.axes_[0].patches] == [5.0]
