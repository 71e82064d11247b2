"""The loss along training."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from small_models import make_model

from skhybrid.inspection import LossCurveDisplay


def test_it_draws_the_loss_and_marks_both_phases(fitted):
    display = LossCurveDisplay.from_estimator(fitted)
    (panel,) = display.axes_
    assert panel.lines[0].get_ydata() == pytest.approx(fitted.loss_curve_)
    assert fitted.restarts_[0]["n_iter"] < fitted.n_iter_
    assert panel.lines[1].get_xdata()[0] == fitted.restarts_[0]["n_iter"] + 0.5
    assert [text.get_text().partition(":")[0] for text in panel.texts] == [
        "first phase",
        "second phase",
    ]


def test_one_phase_is_marked_as_one(table):
    model = make_model(max_epochs=3).fit(*table)
    (panel,) = LossCurveDisplay.from_estimator(model).axes_
    assert [text.get_text() for text in panel.texts] == ["first phase: θ and the network"]
    assert len(panel.lines) == 1


def test_the_physics_alone_has_evaluations(table):
    model = make_model(nn=None).fit(*table)
    (panel,) = LossCurveDisplay.from_estimator(model).axes_
    assert panel.get_xlabel() == "evaluation of the physics"
    assert len(panel.lines[0].get_xdata()) == model.n_iter_
    assert not panel.texts


def test_a_watched_fit_shows_theta_and_has_the_same_results(fitted, table):
    display = LossCurveDisplay.from_fit(clone(fitted), *table)
    assert display.loss_curve == fitted.loss_curve_
    assert display.axes_[1].get_ylabel() == "gain (V/N)"
    gain = display.axes_[1].lines[0].get_ydata()
    assert len(gain) == fitted.restarts_[0]["n_iter"]
    assert len(np.unique(gain)) > 1
    for name, panel in zip(("gain", "offset"), display.axes_[1:], strict=True):
        dot = panel.lines[2].get_ydata()[0]
        assert dot == pytest.approx(fitted.physics_params_[name])
