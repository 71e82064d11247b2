"""A trajectory with its parts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from small_swings import DT, SWINGS, make_swing_model

from skhybrid import ODE
from skhybrid.inspection import TrajectoryDisplay, bootstrap


def test_it_draws_data_prediction_and_physics(swinging):
    display = TrajectoryDisplay.from_estimator(
        swinging,
        SWINGS.data,
        SWINGS.target,
        index=3,
        names=["angle", "velocity"],
        units=["rad", None],
        time_unit="s",
    )
    assert display.times == pytest.approx(DT * np.arange(1, 16))
    for number, panel in enumerate(display.axes_):
        physics, prediction, data = (line.get_ydata() for line in panel.lines)
        assert np.array_equal(data, SWINGS.target[3, :, number])
        assert prediction == pytest.approx(swinging.predict(SWINGS.data)[3, :, number])
        assert physics == pytest.approx(swinging.predict_parts(SWINGS.data)[0][3, :, number])
    assert [panel.get_ylabel() for panel in display.axes_] == ["angle (rad)", "velocity"]
    assert display.axes_[1].get_xlabel() == "time (s)"


def test_replicates_give_an_interval():
    X, y = SWINGS.data[:6], SWINGS.target[:6, :8]
    result = bootstrap(make_swing_model(max_epochs=2), X, y, n_replicates=4, random_state=0)
    display = TrajectoryDisplay.from_estimator(
        result.estimator, X, y, index=2, components=[1], bootstrap=result, interval=0.5
    )
    (panel,) = display.axes_
    found = result.predict(X[2:3], 0.5)
    drawn = panel.collections[0].get_paths()[0].vertices[:, 1]
    assert np.isin(found.low[0, :, 1], drawn).all()
    assert np.isin(found.high[0, :, 1], drawn).all()
    assert panel.get_legend().get_texts()[0].get_text() == "50 % of replicates"


def test_trajectories_with_times_of_their_own():
    times = [DT * np.arange(1, 1 + n) for n in (9, 12, 15)]
    y = [SWINGS.target[i, : len(each)] for i, each in enumerate(times)]
    X = SWINGS.data[:3]
    model = make_swing_model(structure=ODE(times=times), max_epochs=2).fit(X, y)
    display = TrajectoryDisplay.from_estimator(model, X, y, index=1)
    assert display.times == pytest.approx(times[1])
    assert display.prediction == pytest.approx(model.predict(X)[1])


def test_physics_that_runs_away_does_not_set_the_axis(swinging):
    far = np.linspace(0.0, 1e6, 15)[:, None]
    near = np.linspace(0.0, 1.0, 15)[:, None]
    display = TrajectoryDisplay(np.arange(15.0), near, far, near, names=["x"]).plot()
    assert display.axes_[0].get_ylim() == (-0.5, 1.5)


def test_what_cannot_be_drawn_is_refused(swinging, fitted, table):
    data = SWINGS.data, SWINGS.target
    with pytest.raises(TypeError, match="Use PartsDisplay"):
        TrajectoryDisplay.from_estimator(fitted, *table)
    with pytest.raises(TypeError, match="needs the model itself, without a pipeline"):
        TrajectoryDisplay.from_estimator(make_pipeline("passthrough", swinging), *data)
    with pytest.raises(ValueError, match="index is 12, and y has 12 trajectories"):
        TrajectoryDisplay.from_estimator(swinging, *data, index=12)
    with pytest.raises(ValueError, match="components has 2, and y has 2 components"):
        TrajectoryDisplay.from_estimator(swinging, *data, components=[2])
    with pytest.raises(ValueError, match="units has 1 entries, and y has 2 components"):
        TrajectoryDisplay.from_estimator(swinging, *data, units=["rad"])
