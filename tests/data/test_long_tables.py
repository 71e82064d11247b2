"""Long tables as X and y of an ODE, and fits to them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score
from small_doses import TRUE, in_blood, infused, make_infusions
from small_tables import make_table

from skhybrid import ODE, HybridRegressor, trajectories_from_frame

DOSES = {"run": "subject", "time": "hour", "outputs": "concentration", "inputs": "rate"}


def read_infusions(**options):
    table, events = make_infusions()
    data = trajectories_from_frame(
        table, **DOSES, events=events, initial_states={"blood": 0.0}, **options
    )
    return table, data


def make_infused_model(data, **options) -> HybridRegressor:
    structure = ODE(**data.ode, observe=in_blood)
    return HybridRegressor(
        infused, nn=None, structure=structure, random_state=0, **data.regressor, **options
    )


def test_two_doses_between_observations_agree_with_the_exact_solution():
    table, data = read_infusions()
    model = make_infused_model(data).fit(data.X, data.y)
    for name in ("elimination", "volume"):
        assert model.physics_params_[name] == pytest.approx(TRUE[name], rel=2e-3)
    frame = data.to_frame(model.predict(data.X))
    joined = table.join(frame[["concentration"]].add_suffix("_predicted"))
    error = joined["concentration_predicted"] - joined["concentration"]
    assert np.abs(error).max() < 2e-3 * table["concentration"].max()
    assert model.score(data.X, data.y) > 0.9999


def test_records_go_through_cross_validation():
    _, data = read_infusions()
    scores = cross_val_score(
        make_infused_model(data), data.X, data.y, cv=GroupKFold(2), groups=data.groups
    )
    assert scores.min() > 0.999


def test_doses_in_new_tables_are_predicted():
    table, data = read_infusions()
    model = make_infused_model(data).fit(data.X, data.y)
    _, events = make_infusions()
    twice = events.assign(rate=2.0 * events["rate"])
    options = {**DOSES, "outputs": None, "initial_states": {"blood": 0.0}}
    new = trajectories_from_frame(table[["subject", "hour"]], events=twice, **options)
    for each, other in zip(model.predict(new.X), model.predict(data.X), strict=True):
        np.testing.assert_allclose(each, 2.0 * other, rtol=1e-4, atol=1e-4)


def decay(t, level, *, rate=0.5):
    return -rate * level


@pytest.mark.parametrize("nn", [None, (3,)])
def test_states_with_irregular_dates_and_gaps(nn):
    rng = np.random.default_rng(0)
    hours = [np.cumsum(rng.uniform(0.1, 0.4, 20 + i)) for i in range(3)]
    rows = [
        (tank, pd.Timestamp("2024-03-01 07:00", tz="UTC") + pd.Timedelta(t, "h"), 5 * np.exp(-t))
        for tank, times in enumerate(hours)
        for t in times
    ]
    df = pd.DataFrame(rows, columns=["tank", "date", "level"]).sample(frac=1.0, random_state=0)
    df.loc[3, "level"] = np.nan
    data = trajectories_from_frame(
        df, "tank", "date", states="level", time_unit="h", segments="gaps"
    )
    assert data.regressor == {"missing_targets": "mask"}
    assert sorted(set(data.groups)) == [0, 1, 2]
    model = HybridRegressor(
        decay, nn, ODE(**data.ode), max_epochs=2, random_state=0, **data.regressor
    )
    model.fit(data.X, data.y)
    if nn is None:
        assert model.physics_params_["rate"] == pytest.approx(1.0, rel=1e-3)
    assert model._fitted.trajectory_info.component_names == ("level", "time")
    frame = data.to_frame(model.predict(data.X))
    assert frame["level"].notna().all()
    assert frame["date"].dtype == df["date"].dtype
    assert np.isfinite(model.score(data.X, data.y))


def test_noisy_states_are_learned_as_in_the_other_layout():
    t = 0.2 * np.arange(40)
    noise = np.random.default_rng(0).normal(size=(3, 40))
    df = pd.DataFrame(
        {
            "run": np.repeat([0, 1, 2], 40),
            "time": np.tile(t, 3),
            "level": (5 * np.exp(-0.5 * t) + noise).ravel(),
        }
    )
    data = trajectories_from_frame(df, "run", states="level")
    model = HybridRegressor(decay, None, ODE(**data.ode)).fit(data.X, data.y)
    assert model.initial_states_.shape == (3, 1)
    assert np.abs(model.initial_states_ - 5.0).max() < 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run": "rum"}, "run names 'rum', a column .* mean 'run'"),
        ({"time": "t"}, "time names 't'"),
        ({"states": "X"}, "states names 'X'.* mean 'x'"),
        ({"outputs": "x"}, "states and outputs are both given"),
        ({"inputs": "x"}, "'x' is both in states and in inputs"),
        ({"inputs": ["flow"]}, "inputs names 'flow'"),
        ({"run": None}, "The table has the time 0.0 more than once .*index 0 and 1.*run=..."),
        ({"initial_states": 0.0}, "must be a dict"),
        ({"initial_states": {"y": 0.0}}, "has 'y', which is not in states"),
        ({"states": None, "initial_states": {"y": None}}, "has no known value"),
        ({"states": None, "initial_states": {"y": "dose"}}, "names 'dose', a column"),
        ({"states": None, "initial_states": {"y": [1]}}, r"is \[1\]; it must be a column"),
        ({"segments": 1}, "two rows at least"),
        ({"time_unit": "h"}, "time_unit is for dates"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        trajectories_from_frame(make_table(), **{"run": "run", "states": "x", **options})


def test_a_time_twice_is_named():
    df = pd.concat([make_table(), make_table().iloc[[2]]])
    message = r"Run 'b' has the time 2.0 more than once \(1 repeated in all.*groupby"
    with pytest.raises(ValueError, match=message):
        trajectories_from_frame(df, "run", states="x")


def test_initial_states_of_outputs_are_columns_or_numbers():
    df = make_table(dose=[7, 8, None, None, None, None])
    data = trajectories_from_frame(
        df, "run", outputs="x", initial_states={"depot": "dose", "blood": 0.0, "other": None}
    )
    names = ["initial depot", "initial blood", "initial other"]
    assert data.ode["initial_state"] == names
    assert data.state_names == ["depot", "blood", "other"]
    first = [each[names].iloc[0].tolist() for each in data.X]
    np.testing.assert_array_equal(first, [[7.0, 0.0, np.nan], [8.0, 0.0, np.nan]])
    data = trajectories_from_frame(df, "run", states="x", initial_states={"x": 9.0})
    assert [each["initial x"].iloc[0] for each in data.X] == [9.0, 9.0]
