"""Predictions against measurements."""

from __future__ import annotations

import numpy as np
import pytest
from small_swings import SWINGS

from skhybrid.inspection import FitDisplay
from skhybrid.inspection.displays import fit_display


def test_it_draws_predictions_and_residuals(fitted, table):
    X, y = table
    display = FitDisplay.from_estimator(fitted, X, y, target_unit="V")
    left, right = display.axes_
    assert np.array_equal(left.lines[0].get_ydata(), y)
    assert np.array_equal(left.lines[0].get_xdata(), fitted.predict(X))
    assert right.lines[0].get_ydata() == pytest.approx(y - fitted.predict(X))
    assert left.get_ylabel() == "measured (V)"


def test_rows_without_a_target_are_left_out(fitted, table):
    X, y = table
    gaps = np.where(np.arange(len(y)) < 5, np.nan, y)
    assert len(FitDisplay.from_estimator(fitted, X, gaps).measured) == len(y) - 5


def test_many_values_are_counted_in_cells(fitted, table, monkeypatch):
    monkeypatch.setattr(fit_display, "MAX_POINTS", 10)
    display = FitDisplay.from_estimator(fitted, *table)
    for panel in display.axes_:
        assert panel.collections[0].get_array().sum() == len(table[1])


def test_a_component_of_trajectories(swinging):
    display = FitDisplay.from_estimator(swinging, SWINGS.data, SWINGS.target, target=1)
    assert np.array_equal(display.measured, SWINGS.target[..., 1].ravel())
    assert np.array_equal(display.predicted, swinging.predict(SWINGS.data)[..., 1].ravel())
    with pytest.raises(ValueError, match="target is 2, and y has 2 targets"):
        FitDisplay.from_estimator(swinging, SWINGS.data, SWINGS.target, target=2)
