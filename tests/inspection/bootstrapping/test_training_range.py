"""Rows outside of the range of the training rows."""

from __future__ import annotations

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from small_models import make_model, make_table
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE, HybridRegressor
from skhybrid.inspection.bootstrapping.series import Series
from skhybrid.inspection.bootstrapping.training_range import TrainingRange


def range_of(model, X, y, used=None):
    series = Series.of(model, y)
    used = np.ones(series.n_samples, dtype=bool) if used is None else used
    return TrainingRange.of(model, X, series, used)


def test_a_feature_beyond_its_range_is_outside():
    X, y = make_table()
    used = (X["force"] < 2.0).to_numpy()
    model = make_pipeline(FunctionTransformer(np.square), make_model(max_epochs=2)).fit(X, y)
    found = range_of(model, X, y, used).outside(model, X, model.predict(X))
    assert found[X["force"] > 2.0].all()
    assert not found[used].any()


def test_a_trajectory_is_outside_if_it_starts_or_goes_there():
    first, states = make_oscillations()
    ode = ODE(dt=DT, window=4)
    model = HybridRegressor(spring, nn=None, structure=ode).fit(first, states)
    training = range_of(model, first, states)
    assert not training.outside(model, first, model.predict(first)).any()
    assert training.outside(model, 3.0 * first, model.predict(first)).any()
    assert training.outside(model, first, 3.0 * model.predict(first)).any()
    gone = model.predict(first)
    gone[2, 5] = np.nan
    assert training.outside(model, first, gone).tolist() == [i == 2 for i in range(6)]


def test_inputs_over_time_have_a_range():
    inputs = np.random.default_rng(0).uniform(size=(6, 12, 1))
    states = make_oscillations()[1]
    ode = ODE(dt=DT, window=4, inputs="linear")
    model = HybridRegressor(spring, nn=None, structure=ode).fit(inputs, states)
    training = range_of(model, inputs, states)
    moved = inputs.copy()
    moved[1, 7] = 1.5
    found = training.outside(model, moved, states)
    assert found.tolist() == [i == 1 for i in range(6)]
