"""Double machine learning beside a hybrid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from small_flux import flux_model, make_flux
from small_models import drive_two, make_model, make_table
from small_trajectories import make_oscillations, spring

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.inspection.assumptions.partially_linear import partially_linear


def two(force, flow, *, gain=1.0, slope=1.0):
    return gain * force + slope * flow


def growth(force, *, rate=0.8):
    return torch.exp(rate * force)


@pytest.fixture(scope="module")
def table_of_three():
    """A table where the missing part depends on an angle that is correlated with the force."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(-1.0, 1.0, 200)
    force = angle + 0.5 * rng.normal(size=200)
    flow = rng.normal(size=200)
    y = 2.0 * force - 1.0 * flow + 2.0 * np.sin(2.0 * angle) + 0.1 * rng.normal(size=200)
    return pd.DataFrame({"force": force, "flow": flow, "angle": angle}), y


def wrong_fit(X, y, **settings):
    """Return a fit whose parameters are wrong: it does not train them."""
    start = Physics(two, gain=Param(1.0), slope=Param(0.0))
    options = {"physics_init": "given", "physics_learning_rate": 0.0, "max_epochs": 2}
    return make_model(physics=start, **options, **settings).fit(X, y)


def test_it_finds_the_truth_from_a_wrong_fit(table_of_three):
    X, y = table_of_three
    model = wrong_fit(X, y, nn_features=["angle"])
    assert model.physics_params_ == {"gain": 1.0, "slope": 0.0}
    found = partially_linear(model, X, y)
    assert found.reasons == {}
    for name, truth in {"gain": 2.0, "slope": -1.0}.items():
        assert 0.004 < found.errors[name] < 0.05
        assert abs(found.values[name] - truth) < 4.0 * found.errors[name]


def test_units_do_not_matter(table_of_three):
    X, y = table_of_three
    found = partially_linear(wrong_fit(X, y, nn_features=["angle"]), X, y)
    other = X.assign(force=1e6 * X["force"])
    model = wrong_fit(X, y, nn_features=["angle"])
    start = Physics(two, gain=Param(1e-6), slope=Param(0.0))
    model.set_params(physics=start).fit(other, y)
    again = partially_linear(model, other, y)
    assert 1e6 * again.values["gain"] == pytest.approx(found.values["gain"], rel=1e-6)
    assert 1e6 * again.errors["gain"] == pytest.approx(found.errors["gain"], rel=1e-6)


def test_an_effect_that_the_network_sees_has_a_reason(table_of_three):
    X, y = table_of_three
    found = partially_linear(wrong_fit(X, y, nn_features=["angle", "flow"]), X, y)
    assert [*found.values] == ["gain"]
    assert "predict the effect of slope (R² = 1.000)" in found.reasons["slope"]
    assert partially_linear(wrong_fit(X, y), X, y).values == {}


def test_several_targets_with_gaps():
    X, y = make_table(200)
    targets = np.stack([y, 3.0 * y], axis=1)
    targets[::7, 1] = np.nan
    model = make_model(physics=drive_two, nn_features=["angle"], missing_targets="mask")
    found = partially_linear(model.fit(X, targets), X, targets)
    assert found.values["gain[0]"] == pytest.approx(2.0, abs=4.0 * found.errors["gain[0]"])
    assert found.values["gain[1]"] == pytest.approx(6.0, abs=4.0 * found.errors["gain[1]"])


@pytest.mark.filterwarnings("ignore")
def test_other_models_are_refused_with_a_reason(table):
    X, y = table
    few = slice(0, 30)
    assert "Fewer than 40 rows" in partially_linear(
        make_model().fit(X[few], y[few]), X[few], y[few]
    )
    model = make_model(structure="serial", max_epochs=2).fit(X, y)
    assert "not additive" in partially_linear(model, X, y)
    assert "beside a network" in partially_linear(make_model(nn=None).fit(X, y), X, y)
    first, states = make_oscillations(n=3)
    model = HybridRegressor(spring, nn=4, structure=ODE(dt=0.2), max_epochs=2).fit(first, states)
    assert "Trajectories" in partially_linear(model, first, states)


def test_a_regression_that_ignores_the_missing_part_is_biased(table_of_three):
    X, y = table_of_three
    naive, *_ = np.linalg.lstsq(X[["force", "flow"]], y, rcond=None)
    found = partially_linear(wrong_fit(X, y, nn_features=["angle"]), X, y)
    assert abs(naive[0] - 2.0) > 10.0 * abs(found.values["gain"] - 2.0)


def test_nonlinear_physics_is_linearised_again(table_of_three):
    X, _ = table_of_three
    rng = np.random.default_rng(1)
    missing = 2.0 * np.sin(2.0 * X["angle"])
    y = np.exp(1.2 * X["force"]) + missing + 0.05 * rng.normal(size=len(X))
    start = {"physics_init": "given", "physics_learning_rate": 0.0, "max_epochs": 2}
    model = make_model(physics=growth, nn_features=["angle"], **start).fit(X, y)
    assert model.physics_params_ == {"rate": 0.8}
    found = partially_linear(model, X, y)
    error = found.errors["rate"]
    assert error < 0.02
    assert abs(found.values["rate"] - 1.2) < 4.0 * error


def test_rows_of_a_group_share_their_noise(table_of_three):
    X, y = table_of_three
    model = wrong_fit(X, y, nn_features=["angle"])
    alone = partially_linear(model, X, y)
    each = np.arange(len(X))
    assert partially_linear(model, X, y, groups=each).errors == pytest.approx(alone.errors)
    copies = np.tile(each, 3)
    X, y = X.iloc[copies], y[copies]
    model = wrong_fit(X, y, nn_features=["angle"])
    grouped = partially_linear(model, X, y, groups=copies)
    assert grouped.errors["gain"] == pytest.approx(alone.errors["gain"], rel=0.1)
    naive = partially_linear(model, X, y).errors["gain"]
    assert naive < 0.9 * alone.errors["gain"]
    assert "Fewer than 8 groups" in partially_linear(model, X, y, groups=copies % 5)


def test_a_parameter_that_varies_besides():
    X, y, _ = make_flux(40)
    model = flux_model(nn=(4,), max_epochs=2, structure="additive").fit(X, y)
    assert (
        partially_linear(model, X, y) == "Learners predict a correction alone, and base may vary."
    )
