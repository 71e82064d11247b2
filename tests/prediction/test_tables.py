"""Predictions for the rows of a table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import make_model, make_table

from skhybrid import HybridRegressor
from skhybrid.exceptions import PhysicsError
from skhybrid.prediction import tables

X = np.random.default_rng(0).normal(size=(20, 1))


@pytest.fixture(scope="module")
def fitted():
    return HybridRegressor(lambda x, *, a=1.0: a * x, nn=None).fit(X, 3.0 * X[:, 0])


def outputs(model, x, coordinates, hold):
    return model.physics_part(x, coordinates), model(x, coordinates, hold=hold)


def test_every_output_has_one_value_per_row(fitted):
    physics, prediction = tables.predict_table(fitted, X, outputs)
    assert physics.shape == prediction.shape == (20,)
    assert prediction.dtype == np.float64
    np.testing.assert_allclose(physics, 3.0 * X[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(physics, prediction)


@pytest.mark.parametrize("n_rows", [1, 7, 20])
def test_chunks_do_not_change_the_predictions(fitted, monkeypatch, n_rows):
    whole = tables.predict_table(fitted, X, outputs)
    monkeypatch.setattr(tables, "PREDICTION_ROWS", n_rows)
    np.testing.assert_allclose(tables.predict_table(fitted, X, outputs), whole, rtol=1e-6)


@pytest.mark.parametrize("argument", ["times", "initial_states", "first_outputs"])
def test_arguments_for_trajectories_raise_an_error(fitted, argument):
    with pytest.raises(ValueError, match=f"{argument} is for trajectories"):
        fitted.predict(X, **{argument: [1.0]})


def test_a_number_beyond_the_dtype_is_named_with_its_column_and_row():
    X, y = make_table()
    model = make_model(dtype="float32", max_epochs=1).fit(X, y)
    bad = X.copy()
    bad.loc[3, "angle"] = -1e39
    said = r"X has the value -1e\+39 in column 'angle', row 3, beyond 3.4e\+38"
    again = make_model(dtype="float32")
    for call in (model.predict, model.predict_parts, lambda X: again.fit(X, y)):
        with pytest.raises(ValueError, match=said):
            call(bad)
    with pytest.raises(ValueError, match=r"X has the value -1e\+39 in column 1, row 3"):
        make_model(dtype="float32").fit(bad.to_numpy(), y)
    assert np.isfinite(make_model(nn=None).fit(bad, y).predict(bad)).all()


@pytest.mark.parametrize(
    ("physics", "row", "who"),
    [
        (lambda x, *, a=1.0: a * torch.exp(20.0 * x) / 100.0, 8.0, "physics '<lambda>' is not"),
        (lambda x, *, a=1.0: a * torch.sqrt(x + 4.0), -9.0, "physics '<lambda>' is not"),
    ],
)
@pytest.mark.parametrize("method", ["predict", "predict_parts"])
def test_rows_at_which_the_physics_is_not_finite_are_refused(physics, row, who, method):
    x = np.linspace(0.0, 1.0, 20)[:, None]
    model = HybridRegressor(physics, nn=(3,), max_epochs=1, random_state=0).fit(x, x[:, 0])
    with pytest.raises(PhysicsError, match=rf"{who}.*for 2 of 3 rows.*row 1, \[{row:.0f}"):
        getattr(model, method)([[0.5], [row], [row]])


def test_structures_that_are_not_finite_are_refused():
    def grown(x, physics, nn):
        return physics(x) + nn(x) * torch.exp(500.0 * torch.relu(x[:, 0] - 1.0))

    x = np.linspace(0.0, 1.0, 20)[:, None]
    law = HybridRegressor(lambda x, *, a=1.0: a * x, (3,), grown, max_epochs=1, random_state=0)
    with pytest.raises(PhysicsError, match="The model is not finite in"):
        law.fit(x, x[:, 0]).predict([[2.0]])
