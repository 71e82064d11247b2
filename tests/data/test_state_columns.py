"""Initial states in columns of X: known doses give the volume, learned ones do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from small_arrays import HOLD, INPUTS, OUTPUTS, as_frames, check_data_raise
from small_doses import TRUE, concentration, drug, make_dose_model, make_doses

from skhybrid import ODE
from skhybrid.data.state_columns import find_state_columns, first_values

X, Y = make_doses()
BAD = {
    "unknown column": (["dos", None], "names 'dos', a column that X does not have.*mean 'dose'"),
    "column number": ([7, None], "has column 7, but X has 3 columns"),
    "too few": (["dose"], r"has 1 entries, but a state has shape \(2,\)"),
    "the column of times": (["hour", None], "both in times and in initial_state"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_columns_are_named(case):
    columns, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make_dose_model(columns).fit(X, Y)


@pytest.mark.parametrize("nn", [None, (3,)])
def test_only_initial_values_may_be_missing(nn):
    frames = as_frames(("push", "start", "time"))[1]
    frames[1].loc[2, "push"] = np.nan
    options = {"times": "time", "inputs": "hold", "initial_state": ["start", None]}
    message = r"X\[1\] contains NaN in column 'push', row 2.*NaN is for unknown values"
    check_data_raise((ODE(**options), frames, OUTPUTS, message), nn)


def test_columns_are_found_by_name_and_number():
    ode = ODE(**HOLD, initial_state=["b", None, -1])
    assert find_state_columns(ode, ("a", "b", "c"), 3) == (1, None, 2)
    assert find_state_columns(ODE(**HOLD), ("a", "b", "c"), 3) is None


def test_first_row_counts():
    np.testing.assert_array_equal(
        first_values([*INPUTS], (2, None)),
        np.stack([INPUTS[:, 0, 2], np.full(len(INPUTS), np.nan)], axis=1),
    )


def test_known_doses_give_theta():
    model = make_dose_model().fit(X, Y)
    for name, value in TRUE.items():
        assert model.physics_params_[name] == pytest.approx(value, rel=3e-3)
    np.testing.assert_array_equal(
        model.initial_states_, [[each["dose"].iloc[0], 0.0] for each in X]
    )
    assert model.score(X, Y) > 0.9999
    arrays = [each.to_numpy() for each in X]
    for each, other in zip(model.predict(arrays), model.predict(X), strict=True):
        np.testing.assert_array_equal(each, other)
    with pytest.raises(ValueError, match=r"X has 2 inputs, but .* fitted with 3"):
        model.predict([each[:, :2] for each in arrays])
    assert list(model.feature_names_in_) == ["dose", "hour", "nothing"]


def test_unknown_values_are_learned_and_estimated():
    some = [each.copy() for each in X]
    some[1]["dose"] = np.nan
    model = make_dose_model().fit(some, Y)
    assert model.initial_states_[1, 0] == pytest.approx(75.0, rel=0.01)
    assert model.physics_params_["volume"] == pytest.approx(TRUE["volume"], rel=0.01)
    first = np.stack([each[:5] for each in Y])
    predicted = model.predict(some, first_outputs=first)
    np.testing.assert_allclose(predicted[1], Y[1], atol=0.02 * np.max(Y[1]))
    given = model.predict(X, first_outputs=np.zeros_like(first))
    for each, other in zip(given, model.predict(X), strict=True):
        np.testing.assert_array_equal(each, other)
    other = model.predict(X, initial_states=np.zeros((4, 2)))
    assert max(np.abs(each).max() for each in other) == 0.0


def test_values_may_differ_after_the_first_row():
    changed = [each.assign(dose=each["dose"].where(each.index == 0)) for each in X]
    model, other = make_dose_model().fit(X, Y), make_dose_model().fit(changed, Y)
    assert model.physics_params_ == other.physics_params_


def test_columns_go_along_in_cross_validation_and_search():
    scores = cross_val_score(make_dose_model(), X, Y, cv=2)
    assert scores.min() > 0.99
    grid = {"physics__volume": [15.0, 30.0]}
    search = GridSearchCV(make_dose_model(), grid, cv=2).fit(X, Y)
    assert search.best_score_ > 0.99


def test_network_does_not_see_initial_values():
    model = make_dose_model(nn=(3,), max_epochs=1).fit(X, Y)
    assert model._fitted.trajectory_info.component_names == ("state_0", "state_1", "time")
    assert clone(model).structure.initial_state == ["dose", "nothing"]


def test_states_that_are_observed_start_from_columns():
    """Missing first observations do not matter, and first outputs do not count in the score."""
    frames, y = [], []
    for i, record in enumerate(X):
        t = record["hour"].to_numpy()
        depot = record["dose"] * np.exp(-TRUE["absorption"] * t)
        blood = TRUE["volume"] * Y[i][:, 0]
        y.append(np.stack([depot, blood], axis=1))
        frames.append(pd.DataFrame({"hour": t, "dose": y[i][0, 0], "nothing": 0.0}))
        y[i][0] = np.nan
    model = make_dose_model(missing_targets="mask")
    model.set_params(
        physics=drug_of_two, structure=model.structure.set_params(observe=None, n_states=None)
    )
    model.fit(frames, y)
    assert model.physics_params_["elimination"] == pytest.approx(TRUE["elimination"], rel=1e-3)
    assert model.predict(frames)[2][0, 0] == frames[2]["dose"].iloc[0]
    assert model.score(frames, y) > 0.9999


def drug_of_two(t, state, *, absorption=0.8, elimination=0.2):
    return drug(t, state, absorption=absorption, elimination=elimination, volume=1.0)


def test_number_of_states_follows_from_the_list():
    ode = ODE(times="hour", inputs="hold", observe=concentration, initial_state=["dose", None])
    model = make_dose_model().set_params(structure=ode).fit(X, Y)
    assert model.initial_states_.shape == (4, 2)
