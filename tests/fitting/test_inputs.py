"""Reading what the user gave to fit: tables and trajectories."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import make_model, make_settings, make_table
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE
from skhybrid.fitting.inputs import read_inputs

X, Y = make_table()
FIRST, TRAJECTORIES = make_oscillations()


def read(x, y, weight=None, *, estimator=None, **settings):
    return read_inputs(make_settings(**settings), estimator or make_model(), x, y, weight)


# Tables.


def test_a_table_becomes_rows():
    model = make_model()
    inputs = read(X, Y, estimator=model)
    np.testing.assert_array_equal(inputs.rows.x, X.to_numpy())
    np.testing.assert_array_equal(inputs.rows.y, Y)
    assert inputs.rows.weight is None
    assert list(inputs.feature_names) == list(model.feature_names_in_) == ["force", "angle"]
    assert inputs.earlier == ()
    assert inputs.trajectory_info is None


def test_an_array_has_no_names():
    inputs = read(X.to_numpy().astype(np.float32).tolist(), Y.astype(int))
    assert inputs.feature_names is None
    assert inputs.rows.x.dtype == inputs.rows.y.dtype == np.float64


def test_weights_have_mean_one_and_rows_of_weight_zero_are_left_out():
    weight = np.linspace(0.0, 4.0, len(Y))
    rows = read(X, Y, weight).rows
    assert len(rows) == len(Y) - 1
    np.testing.assert_allclose(rows.weight, weight[1:] / weight[1:].mean())


def test_missing_targets_have_no_weight():
    targets = np.column_stack([Y, 3.0 * Y])
    targets[2, 0] = targets[5] = np.nan
    rows = read(X, targets, missing_targets="mask").rows
    assert len(rows) == len(Y) - 1
    assert np.flatnonzero((rows.weight == 0.0).any(axis=1)).tolist() == [2]
    with pytest.raises(ValueError, match="y contains NaN"):
        read(X, targets)


@pytest.mark.parametrize("missing_targets", ["error", "mask"])
@pytest.mark.parametrize(
    ("x", "y", "weight", "message"),
    [
        (X, Y[:3], None, "inconsistent numbers of samples"),
        (X, Y.reshape(-1, 1, 1), None, "dim"),
        (X, np.where(Y > 3.0, np.inf, Y), None, "y contains inf"),
        (X * np.nan, Y, None, "X contains NaN"),
        (X, Y, np.ones(3), "sample_weight.shape"),
        (X, Y, np.full(len(Y), np.nan), "sample_weight contains NaN"),
    ],
    ids=["length", "dimensions", "infinity", "NaN in X", "weights", "NaN weight"],
)
def test_a_table_that_cannot_be_used_is_refused(x, y, weight, message, missing_targets):
    with pytest.raises(ValueError, match=message):
        read(x, y, weight, missing_targets=missing_targets)


@pytest.mark.parametrize("warm_start", [False, True])
def test_features_are_compared_only_if_the_fit_continues(warm_start):
    model = make_model(warm_start=warm_start).fit(X, Y)
    turned = X[["angle", "force"]]
    if warm_start:
        with pytest.raises(ValueError, match="feature names should match"):
            read(turned, Y, estimator=model, warm_start=True)
    else:
        assert list(read(turned, Y, estimator=model).feature_names) == ["angle", "force"]


# Trajectories.


def read_windows(window, **options):
    structure = ODE(dt=DT, window=window, **options)
    return read(FIRST, TRAJECTORIES, physics=spring, structure=structure)


def test_trajectories_become_windows():
    inputs = read_windows(4, initial_state="given")
    n_trajectories, n_times, _ = TRAJECTORIES.shape
    # A window of four steps begins at every observed state but the last four.
    assert inputs.rows.y.shape == (n_trajectories * (n_times + 1 - 4), 4, 2)
    np.testing.assert_array_equal(np.unique(inputs.rows.groups), np.arange(n_trajectories))
    assert inputs.feature_names is None
    assert inputs.earlier == ()
    info = inputs.trajectory_info
    assert info.layout.output_shape == (2,)
    np.testing.assert_allclose(info.times, DT * np.arange(n_times + 1))
    np.testing.assert_array_equal(info.initial_states, FIRST)
    assert info.n_first_states == 0
    assert info.first_indices is None


def test_first_states_are_counted_if_they_are_learned():
    inputs = read_windows(4, initial_state="learned")
    info = inputs.trajectory_info
    n_trajectories = len(FIRST)
    assert info.n_first_states == len(inputs.rows) == 3 * n_trajectories
    assert inputs.rows.x.index.max() + 1 == info.n_first_states
    begins = np.flatnonzero(inputs.rows.x.first_time == 0.0)
    np.testing.assert_array_equal(np.sort(info.first_indices), inputs.rows.x.index[begins])


def test_windows_of_several_lengths_are_stages():
    inputs = read_windows([2, 3, 6])
    assert [rows.y.shape[1] for rows in (*inputs.earlier, inputs.rows)] == [2, 3, 6]
    assert all(set(rows.groups) == set(inputs.rows.groups) for rows in inputs.earlier)


def test_orthogonality_needs_fixed_steps():
    ode = ODE(dt=DT, method="dopri5")
    message = "orthogonality takes derivatives that method='dopri5' does not give.*rk4"
    with pytest.raises(ValueError, match=message):
        read(FIRST, TRAJECTORIES, physics=spring, structure=ode, orthogonality=0.1)
    assert len(read(FIRST, TRAJECTORIES, physics=spring, structure=ode).rows)
