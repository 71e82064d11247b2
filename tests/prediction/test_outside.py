"""Rows outside of the training range."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from small_models import make_model, make_table
from small_trajectories import DT, make_oscillations, position, spring

from skhybrid import ODE, HybridRegressor, LatentODE
from skhybrid.exceptions import DivergenceWarning
from skhybrid.inspection import bootstrap

CURVE = ODE(dt=DT, window=4)


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def model(table):
    return make_model(max_epochs=2).fit(*table)


@pytest.fixture(scope="module")
def curve():
    first, states = make_oscillations()
    return HybridRegressor(spring, nn=None, structure=CURVE).fit(first, states)


def test_how_far_and_on_which_side(table, model):
    X = table[0].iloc[[3, 1, 4]]
    low, high = table[0].min(), table[0].max()
    X.iloc[1, 0] = high["force"] + 0.5
    X.iloc[2, 1] = low["angle"] - 1.0
    prediction, outside = model.predict(X, return_outside=True)
    assert np.array_equal(prediction, model.predict(X))
    assert outside.rows.tolist() == [False, True, True]
    assert np.allclose(outside.beyond, [[0, 0], [0.5, 0], [0, -1.0]])
    frame, std = outside.frame, table[0].std(ddof=0)
    assert frame.index.tolist() == X.index.tolist()
    assert np.isclose(frame.iloc[1]["force"], 0.5 / std["force"])
    assert np.isclose(frame.iloc[2]["angle"], -1.0 / std["angle"])


def test_training_rows_are_inside(table, model):
    assert not model.predict(table[0], return_outside=True)[1].rows.any()


def test_where_the_network_is_held(table, model):
    """Between the edge and beyond, the network's part is the same."""
    edge = table[0].max().to_frame().T
    beyond = edge.assign(angle=edge["angle"] + 3.0)
    assert model.predict(beyond, return_outside=True)[1].rows.all()
    held = model.predict_parts(beyond)[1]
    assert np.allclose(held, model.predict_parts(edge)[1])


def test_it_is_used_as_a_bool_array(table, model):
    X = table[0].assign(force=np.linspace(0.5, 9.0, len(table[0])))
    prediction, outside = model.predict(X, return_outside=True)
    assert np.array_equal(np.asarray(outside), outside.rows)
    assert len(prediction[np.asarray(outside)]) == outside.rows.sum()
    assert len(outside) == len(X)
    assert "of 40 rows lie outside of the training range." in repr(outside)
    assert "force" in repr(outside) and "angle" not in repr(outside)
    assert "<table>" in outside._repr_html_()


def test_arrays_and_constant_features(table):
    X = np.column_stack([table[0]["force"], np.full(len(table[0]), 7.0)])
    physics = lambda force, other, *, gain=1.0: gain * force  # noqa: E731
    model = HybridRegressor(physics, nn=None).fit(X, table[1])
    assert not model.predict(X, return_outside=True)[1].rows.any()
    _, outside = model.predict(X + np.array([0.0, 1e-3]), return_outside=True)
    assert outside.features == ("x0", "x1")
    assert np.isposinf(outside.deviations[:, 1]).all()


def test_rows_without_weight_are_not_seen(table):
    X, y = table
    weight = (X["force"] < 2.0).to_numpy(dtype=float)
    weighted = make_model(nn=None).fit(X, y, weight)
    _, outside = weighted.predict(X, return_outside=True)
    assert outside.rows[weight == 0.0].all()
    assert not outside.rows[weight > 0.0].any()


def test_trajectories_that_start_or_go_outside(curve):
    first = make_oscillations()[0]
    assert not curve.predict(first, return_outside=True)[1].rows.any()
    moved = first.copy()
    moved[2] *= 4.0
    prediction, outside = curve.predict(moved, return_outside=True)
    assert np.array_equal(prediction, curve.predict(moved))
    assert outside.rows.tolist() == [i == 2 for i in range(6)]
    assert "trajectories leave" in str(outside)
    # A push takes the third one out of the range only after its start.
    high = curve._fitted.training_range.high
    late = np.array([[0.9 * high[0], 0.9 * high[1]]])
    assert (late < high).all()
    assert curve.predict(late, return_outside=True)[1].rows.all()


def test_inputs_over_time_and_hidden_states():
    states = make_oscillations()[1]
    inputs = np.random.default_rng(0).uniform(size=(*states.shape[:2], 1))
    ode = ODE(dt=DT, inputs="linear", observe=position, n_states=2)
    model = HybridRegressor(spring, nn=None, structure=ode).fit(inputs, states[..., :1])
    moved = inputs.copy()
    moved[1, 7] = 2.0
    given = {"initial_states": model.initial_states_}
    _, outside = model.predict([*moved], return_outside=True, **given)
    assert outside.rows.tolist() == [i == 1 for i in range(6)]
    assert outside.frame.loc[1, "input_0"] > 0.0
    first_outputs = {"first_outputs": states[:, :3, :1]}
    assert len(model.predict(inputs, return_outside=True, **first_outputs)[1]) == 6


def test_named_states_and_other_times(curve):
    first = pd.DataFrame(make_oscillations()[0], columns=["angle", "speed"])
    model = HybridRegressor(spring, nn=None, structure=CURVE).fit(first, make_oscillations()[1])
    _, outside = model.predict(first, times=[0.3, 1.0], return_outside=True)
    assert outside.frame.columns.tolist() == ["angle", "speed"]


def test_a_rollout_that_is_not_finite_is_outside():
    def growth(t, state, *, rate=-0.5):
        return rate * state + torch.where(state > 5.0, state**3, torch.zeros_like(state))

    first = np.linspace(0.5, 1.0, 6)[:, None]
    times = DT * np.arange(1, 9)
    y = first[:, None] * np.exp(-0.5 * times)[None, :, None]
    model = HybridRegressor(growth, nn=None, structure=ODE(dt=DT)).fit(first, y)
    with pytest.warns(DivergenceWarning):
        _, outside = model.predict([[0.8], [50.0]], return_outside=True)
    assert outside.rows.tolist() == [False, True]


def test_images():
    images = np.random.default_rng(0).uniform(size=(3, 9, 5, 5))
    structure = LatentODE(dt=DT, n_states=2, window=4)
    model = HybridRegressor(spring, nn=(4,), structure=structure, max_epochs=1, random_state=0)
    model.fit(images[:, :2], images[:, 2:])
    _, outside = model.predict(3.0 * images[:, :2], return_outside=True)
    assert outside.features == ("darkest pixel", "brightest pixel")
    assert outside.rows.all()


def test_a_bootstrap_flags_the_same_rows(table):
    X, y = table
    squared = FunctionTransformer(np.square, feature_names_out="one-to-one")
    model = make_pipeline(squared.set_output(transform="pandas"), make_model(nn=None))
    found = bootstrap(model, X, y, n_replicates=3, refine=True, random_state=0)
    moved = X.assign(force=X["force"] + 0.3)
    low, high = X["force"].min(), X["force"].max()
    outside = (moved["force"] < low) | (moved["force"] > high)
    assert np.array_equal(found.predict(moved).outside, outside)
    _, own = found.estimator.predict(moved, return_outside=True)
    assert np.array_equal(own.rows, outside)


def test_the_physics_is_not_needed(table):
    X, y = table
    network = make_model(physics=None, max_epochs=1).fit(X, y)
    assert network.predict(2.0 * X, return_outside=True)[1].rows.any()
