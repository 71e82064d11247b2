"""Targets as series, and predictions in the same form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_models import drive_two, make_model, make_table
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE, HybridRegressor
from skhybrid.inspection.bootstrapping.series import Series, predicted

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.FreeRunWarning")

X, Y = make_table()
FIRST, STATES = make_oscillations(4, 8)


def oscillator(**structure):
    ode = ODE(**{"dt": DT, "window": 4, **structure})
    return HybridRegressor(spring, nn=(4,), structure=ode, max_epochs=2, random_state=0)


def test_a_table_is_one_series():
    for y in (Y, Y[:, None], np.stack([Y, Y], axis=1), pd.DataFrame({"a": Y})):
        series = Series.of(make_model(), y)
        assert len(series.values) == 1
        assert series.n_samples == len(Y)
        assert np.array_equal(series.as_given(series.values), np.asarray(y))


def test_missing_targets_are_not_observed():
    gaps = np.array([[1.0, np.nan], [np.nan, np.nan]])
    assert Series.of(make_model(), gaps).observed.tolist() == [True, False]


def test_each_trajectory_is_a_series_in_its_form():
    stacked = Series.of(oscillator(), STATES)
    assert np.array_equal(stacked.as_given(stacked.values), STATES)
    lists = [each[: 8 - i] for i, each in enumerate(STATES)]
    ragged = Series.of(oscillator(), lists)
    again = ragged.as_given(ragged.values)
    assert all(np.array_equal(a, b) for a, b in zip(again, lists, strict=True))
    assert [len(each) for each in ragged.weights_of_rows(np.arange(4.0))] == [8, 7, 6, 5]
    scalar = Series.of(oscillator(), STATES[..., 0])
    assert scalar.as_given(scalar.values).shape == (4, 8)


def test_predictions_have_the_form_of_what_was_observed():
    y = np.stack([Y, 2.0 * Y], axis=1)
    model = make_model(physics=drive_two, max_epochs=2).fit(X, y)
    assert np.array_equal(predicted(model, X, Series.of(model, y))[0], model.predict(X))
    lists = [each[: 8 - i] for i, each in enumerate(STATES)]
    model = oscillator().fit(FIRST, lists)
    found = predicted(model, FIRST, Series.of(model, lists))
    assert [each.shape for each in found] == [(8 - i, 2) for i in range(4)]
    assert np.array_equal(found[0], model.predict(FIRST)[0])


def test_first_outputs_are_used_up_unless_the_states_were_learned():
    inputs = np.random.default_rng(0).normal(size=(4, 8, 1))
    model = oscillator(inputs="linear", n_initial=3).fit(inputs, STATES)
    series = Series.of(model, STATES)
    new = predicted(model, inputs, series)
    assert np.isnan(new[0][:3]).all()
    assert np.isfinite(new[0][3:]).all()
    own = predicted(model, inputs, series, in_sample=True)
    assert own[1][0] == pytest.approx(STATES[1, 0], rel=1e-5), "where the trajectory was seen to be"
