"""The same fitted model with other physics parameters."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from small_models import drive, drive_two, make_model, make_table
from small_trajectories import DT, make_oscillations, position, spring

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.exceptions import PhysicsError, PoorFitWarning
from skhybrid.inspection import identifiability_report, overlap_sensitivity

BOUNDED = Physics(drive, gain=Param(1.0, bounds=(0.0, 5.0), unit="N"))


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def hybrid(table):
    return make_model(physics=BOUNDED, dtype="float32").fit(*table)


@pytest.fixture(scope="module")
def alone(table):
    return make_model(physics=BOUNDED, nn=None).fit(*table)


@pytest.mark.parametrize("kind", ["hybrid", "alone"])
def test_only_the_physics_changes(kind, table, request):
    model, X = request.getfixturevalue(kind), table[0]
    before, (physics, network) = dict(model.physics_params_), model.predict_parts(X)
    other = model.with_params(gain=0.0)
    assert other.physics_params_ == {**before, "gain": 0.0}
    changed, same = other.predict_parts(X)
    assert np.allclose(changed, before["offset"], atol=1e-6)
    assert np.allclose(same, network, atol=1e-5)
    assert model.physics_params_ == before
    assert np.array_equal(model.predict_parts(X)[0], physics)


def test_values_are_as_given_and_add_up(hybrid):
    other = hybrid.with_params(gain=0.3).with_params(offset=0.7)
    assert other.physics_params_ == {"gain": 0.3, "offset": 0.7}
    assert hybrid.with_params().physics_params_ == hybrid.physics_params_


def test_the_network_is_a_copy(hybrid, table):
    other = hybrid.with_params(gain=1.5)
    before = hybrid.predict(table[0])
    for parameter in other.module_.parameters():
        parameter.data.zero_()
    assert np.array_equal(hybrid.predict(table[0]), before)


def test_the_summary_marks_what_was_set(alone):
    summary = alone.with_params(gain=1.0).summary()
    assert summary.frame["given"].tolist() == [True, False]
    assert "set by with_params, not estimated" in str(summary)
    assert "±" not in str(summary).splitlines()[2]
    assert summary.frame["std"].isna().all()
    assert not alone.summary().frame["given"].any()


def test_there_are_no_standard_errors_and_no_reports(alone, hybrid, table):
    other = alone.with_params(gain=1.0)
    for name in ("physics_params_std_", "physics_params_correlation_"):
        with pytest.raises(AttributeError, match="with_params has set gain"):
            getattr(other, name)
    for inspect in (overlap_sensitivity, identifiability_report):
        with pytest.raises(ValueError, match="what-if"):
            inspect(hybrid.with_params(gain=1.0), *table)


def test_a_fit_estimates_anew_and_a_clone_is_not_fitted(alone, table):
    other = alone.with_params(gain=1.0)
    assert other.get_params(deep=False).keys() == alone.get_params(deep=False).keys()
    with pytest.raises(NotFittedError):
        clone(other).predict(table[0])
    again = copy.copy(other).fit(*table)
    assert again.physics_params_ == alone.physics_params_
    assert "with_params" not in str(again.summary())
    assert again.physics_params_std_


def test_a_warm_start_begins_at_the_given_values(hybrid, table):
    other = hybrid.with_params(gain=4.0).set_params(warm_start=True, max_epochs=1)
    with pytest.warns(PoorFitWarning):  # four is far from the data
        other.fit(*table)
    assert abs(other.physics_params_["gain"] - 4.0) < abs(hybrid.physics_params_["gain"] - 4.0)
    assert not hybrid.warm_start


@pytest.mark.parametrize(
    "given, message",
    [
        ({"gian": 1.0}, "Did you mean 'gain'"),
        ({"physics__gain": 1.0}, "Did you mean 'gain'"),
        ({"gain": -0.1}, r"outside the bounds \(0.0, 5.0\) N"),
        ({"gain": np.nan}, "finite"),
        ({"gain": [1.0, 2.0]}, r"shape \(2,\)"),
        ({"gain": "one"}, "must be a number"),
        ({"gain": None}, "must be finite"),
        ({"offset": 1e300}, "dtype='float64'"),
    ],
)
def test_what_cannot_be_set(hybrid, given, message):
    with pytest.raises(PhysicsError, match=message):
        hybrid.with_params(**given)


def test_models_that_have_nothing_to_set(table):
    with pytest.raises(NotFittedError):
        make_model().with_params(gain=1.0)
    network = make_model(physics=None, max_epochs=1).fit(*table)
    with pytest.raises(PhysicsError, match="none"):
        network.with_params(gain=1.0)


def test_arrays_and_fixed_parameters(table):
    X, y = table
    physics = Physics(drive_two, gain=Param((1.0, 2.0), fixed=True))
    model = make_model(physics=physics, max_epochs=1).fit(X, np.stack([y, y], axis=1))
    other = model.with_params(gain=(0.5, 0.0))
    assert other.physics_params_["gain"].tolist() == [0.5, 0.0]
    assert (other.predict_parts(X)[0][:, 1] == 0.0).all()


def test_it_can_be_pickled(hybrid, table):
    other = pickle.loads(pickle.dumps(hybrid.with_params(gain=0.3)))
    assert other.physics_params_["gain"] == 0.3
    assert np.isfinite(other.predict(table[0])).all()


def test_trajectories_and_the_steps_of_their_solver():
    first, states = make_oscillations()
    ode = ODE(dt=DT, window=4)
    model = HybridRegressor(spring, nn=None, structure=ode).fit(first, states)
    stiff = {"stiffness": 900.0, "damping": (0.0, 0.0)}
    found = model.with_params(**stiff).predict(first)
    omega, t = 30.0, DT * np.arange(1, states.shape[1] + 1)
    exact = first[:, :1] * np.cos(omega * t) + first[:, 1:] / omega * np.sin(omega * t)
    assert np.abs(found[..., 0] - exact).max() < 0.05
    assert model.substeps_ < 5  # those of the fit would not do


def test_learned_states_stay():
    states = make_oscillations()[1]
    ode = ODE(dt=DT, inputs="linear", observe=position, n_states=2)
    inputs = np.zeros((*states.shape[:2], 1))
    model = HybridRegressor(spring, nn=None, structure=ode).fit(inputs, states[..., :1])
    other = model.with_params(stiffness=2.0)
    assert np.array_equal(other.initial_states_, model.initial_states_)
    starts = model.initial_states_
    moved, before = (each.predict(inputs, initial_states=starts) for each in (other, model))
    assert np.abs(moved - before).max() > 0.01
