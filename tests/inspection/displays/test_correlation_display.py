"""Correlations of physics parameters."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import make_model

from skhybrid.inspection import CorrelationDisplay


def test_the_physics_alone_has_correlations(table):
    model = make_model(nn=None).fit(*table)
    display = CorrelationDisplay.from_estimator(model)
    expected = model.physics_params_correlation_
    assert np.array_equal(display.ax_.images[0].get_array(), expected.to_numpy())
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == [*expected.index]
    numbers = [text.get_text() for text in display.ax_.texts]
    assert numbers[1] == f"{expected.loc['gain', 'offset']:.2f}".replace("-", "−")


def test_so_have_replicates(replicates):
    display = CorrelationDisplay.from_result(replicates)
    assert np.array_equal(display.correlation, replicates.correlation.to_numpy())
    assert "9 replicates" in display.ax_.get_title()


def test_elements_without_an_error_have_a_dash():
    correlation = np.array([[1.0, np.nan], [np.nan, np.nan]])
    display = CorrelationDisplay(correlation, ["a", "b"]).plot()
    assert [text.get_text() for text in display.ax_.texts] == ["1.00", "–", "–", "–"]


def test_a_hybrid_needs_replicates(fitted):
    with pytest.raises(ValueError, match="come from replicates"):
        CorrelationDisplay.from_estimator(fitted)
    with pytest.raises(ValueError, match="no free physics parameters"):
        CorrelationDisplay(np.zeros((0, 0)), []).plot()
