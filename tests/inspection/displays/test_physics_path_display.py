"""The figure of a physics path."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from small_models import drive

from skhybrid import HybridRegressor, Physics
from skhybrid.inspection import PhysicsPathDisplay


def test_the_figure_has_a_panel_for_each_parameter_and_two_more(path):
    display = PhysicsPathDisplay(path, units={"gain": "V/N"}).plot(truth={"gain": 2.0})
    assert [panel.get_xlabel() for panel in display.axes_] == ["rho"] * 4
    assert display.axes_[0].get_ylabel() == "gain (V/N)"
    assert len(display.axes_[0].patches) == path.plateau.sum()
    points = display.axes_[0].lines[0].get_ydata()
    assert np.isin(path.physics_params["gain"][:, 0], points).all()
    plt.close(display.figure_)


def test_the_figure_may_be_drawn_into_axes_of_ones_own(path):
    figure, axes = plt.subplots(2, 2)
    display = PhysicsPathDisplay(path).plot(ax=axes)
    assert display.figure_ is figure
    with pytest.raises(ValueError, match="ax must be one axes or 4 axes; got 2"):
        PhysicsPathDisplay(path).plot(ax=axes[0])
    plt.close(figure)


def test_from_an_estimator_it_knows_the_units(table):
    model = HybridRegressor(Physics(drive), nn=(4,), max_epochs=2, batch_size=None, random_state=0)
    model.physics.params["gain"] = model.physics.params["gain"].__class__(1.0, unit="m")
    display = PhysicsPathDisplay.from_estimator(
        model, *table, param_range=[0.1], cv=2, n_restarts=1
    )
    assert display.axes_[0].get_ylabel() == "gain (m)"
    plt.close(display.figure_)


def test_error_bars_end_at_the_bounds(path):
    middle = path.physics_params["gain"].mean(axis=1)
    low = float((middle - 0.5 * path.spread["gain"]).max())
    figure, (left, right) = plt.subplots(1, 2)
    free = PhysicsPathDisplay(path).plot(ax=left)
    bounded = PhysicsPathDisplay(path, bounds={"gain": (low, np.inf)}).plot(ax=right)
    ends = [
        min(segment[:, 1].min() for segment in each.axes_[0].collections[-1].get_segments())
        for each in (free, bounded)
    ]
    assert ends[0] < low
    assert ends[1] >= min(low, middle.min()) - 1e-9
    plt.close(figure)


def test_the_legend_says_what_is_shaded(path):
    display = PhysicsPathDisplay(path).plot(truth={"gain": 2.0})
    texts = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert texts == ["plateau: θ is reproducible", "truth"]
    plt.close(display.figure_)
