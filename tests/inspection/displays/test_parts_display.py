"""Parts of a prediction along a feature."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from small_models import make_model
from small_swings import SWINGS

from skhybrid.inspection import PartsDisplay


def test_it_draws_data_and_parts(fitted, table):
    X, y = table
    display = PartsDisplay.from_estimator(
        fitted, X, y, feature="angle", feature_unit="rad", target_name="force", target_unit="N"
    )
    physics, network = fitted.predict_parts(X)
    data, drawn = (line.get_ydata() for line in display.axes_[0].lines[:2])
    assert np.array_equal(data, y)
    assert np.array_equal(drawn, physics)
    rest, learned = (line.get_ydata() for line in display.axes_[1].lines[:2])
    assert rest == pytest.approx(y - physics)
    assert np.array_equal(learned, network)
    assert display.axes_[1].get_xlabel() == "angle (rad)"
    assert display.axes_[0].get_ylabel() == "force (N)"


def test_data_may_be_missing(fitted, table):
    X, y = table
    gaps = np.where(np.arange(len(y)) < 5, np.nan, y)
    display = PartsDisplay.from_estimator(fitted, X, gaps, feature=1)
    assert len(display.axes_[0].lines[0].get_xdata()) == len(y) - 5
    display = PartsDisplay.from_estimator(fitted, X, feature=1)
    assert display.axes_[0].lines[0].get_label() == "physics"


def test_a_pipeline_is_drawn_along_the_features_given(table):
    X, y = table
    pipeline = make_pipeline(FunctionTransformer(lambda X: X[["force"]]), make_model())
    display = PartsDisplay.from_estimator(pipeline.fit(X, y), X, y, feature="angle")
    assert np.array_equal(display.values, X["angle"])


def test_what_is_not_there_is_named(fitted, swinging, table):
    X, y = table
    with pytest.raises(ValueError, match=r"no feature 'angel'\. Did you mean 'angle'"):
        PartsDisplay.from_estimator(fitted, X, y, feature="angel")
    with pytest.raises(ValueError, match="feature is 2, and X has 2 features"):
        PartsDisplay.from_estimator(fitted, X, y, feature=2)
    with pytest.raises(ValueError, match="target is 1, and there are 1 targets"):
        PartsDisplay.from_estimator(fitted, X, y, target=1)
    with pytest.raises(TypeError, match="Use TrajectoryDisplay"):
        PartsDisplay.from_estimator(swinging, SWINGS.data, SWINGS.target)
