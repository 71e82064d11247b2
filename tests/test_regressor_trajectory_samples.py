"""Trajectories as samples of an estimator: weights, restarts, searches, callbacks, files."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold
from small_models import Recorder, StopAfter
from small_swings import DT, SWINGS, fitted_omega2, make_swing_model, undriven_pendulum

from skhybrid import ODE
from skhybrid.data.rows import Rows
from skhybrid.datasets import pendulum
from skhybrid.exceptions import SerialMembersWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning",
    "ignore:`torch.jit:DeprecationWarning",
)

X, Y = SWINGS.data, SWINGS.target


# Weights, missing values, restarts, held-out trajectories.


def test_a_weight_of_zero_leaves_a_trajectory_out():
    weight = np.ones(len(X))
    weight[[1, 4]] = 0.0
    spoilt = Y.copy()
    spoilt[[1, 4]] = 1e3
    weighted = make_swing_model().fit(X, spoilt, weight)
    without = make_swing_model().fit(X[weight > 0], Y[weight > 0])
    assert weighted.physics_params_ == pytest.approx(without.physics_params_)
    np.testing.assert_allclose(weighted.predict(X), without.predict(X), rtol=1e-8, atol=1e-10)


def test_missing_values_do_not_matter():
    holes = Y.copy()
    holes[np.random.default_rng(0).uniform(size=Y.shape) < 0.2] = np.nan
    model = make_swing_model(nn=None, missing_targets="mask", structure=ODE(dt=DT, window=None))
    full = make_swing_model(nn=None, structure=ODE(dt=DT, window=None)).fit(X, Y)
    assert fitted_omega2(model.fit(X, holes)) == pytest.approx(fitted_omega2(full), rel=0.05)
    hybrid = make_swing_model(missing_targets="mask").fit(X, holes)
    assert np.isfinite(hybrid.predict(X)).all()


@pytest.mark.parametrize("initial_state", ["given", "learned"])
def test_restarts_in_one_batch_equal_restarts_one_by_one(initial_state):
    def branching(t, state, *, omega2=1.0):
        if float(omega2.detach() if hasattr(omega2, "detach") else omega2) > 1e9:
            raise RuntimeError("never")
        return pendulum(t, state, omega2=omega2)

    ode = ODE(dt=DT, initial_state=initial_state)
    together = make_swing_model(n_restarts=3, structure=ode).fit(X, Y)
    with pytest.warns(SerialMembersWarning):
        serial = make_swing_model(branching, n_restarts=3, structure=ode).fit(X, Y)
    for one, other in zip(together.restarts_, serial.restarts_, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-7)
        assert one["physics_params"] == pytest.approx(other["physics_params"], rel=1e-7)
    alone = make_swing_model(structure=ode).fit(X, Y)
    assert together.restarts_[0]["loss"] == pytest.approx(alone.restarts_[0]["loss"], rel=1e-7)


def test_refinement_and_early_stopping_hold_out_trajectories():
    model = make_swing_model(refine_rho=0.0).fit(X, Y)
    assert model.n_iter_ == 12
    model = make_swing_model(early_stopping=True, validation_fraction=0.25).fit(X, Y)
    assert model.restarts_[0]["validation_loss"] is not None


def test_early_stopping_holds_the_same_trajectories_out_of_all_stages(monkeypatch):
    seen = []
    original = Rows.without

    def watched(rows, groups):
        seen.append((set(groups), set(original(rows, groups).groups)))
        return original(rows, groups)

    monkeypatch.setattr(Rows, "without", watched)
    make_swing_model(structure=ODE(dt=DT, window=(2, 4)), early_stopping=True, max_epochs=4).fit(
        X, Y
    )
    ((held_out, kept),) = seen
    assert held_out and kept and not held_out & kept


# Initial states.


def test_learned_initial_states_are_in_the_order_of_the_trajectories():
    weight = np.ones(len(X))
    weight[[2, 5]] = 0.0
    structure = ODE(dt=DT, window=5, initial_state="learned")
    model = make_swing_model(structure=structure, max_epochs=2).fit(X, Y, sample_weight=weight)
    assert model.initial_states_.shape == X.shape
    assert np.isnan(model.initial_states_[[2, 5]]).all()
    kept = np.flatnonzero(weight)
    np.testing.assert_allclose(model.initial_states_[kept], X[kept], atol=0.2)
    early = make_swing_model(structure=structure, max_epochs=2, early_stopping=True).fit(X, Y)
    held_out = np.isnan(early.initial_states_).any(axis=1)
    assert 0 < held_out.sum() < len(X)
    np.testing.assert_allclose(early.initial_states_[~held_out], X[~held_out], atol=0.2)


def test_many_first_states_are_estimated_together():
    records = np.zeros((6, 16, 1))
    whole = np.concatenate([X[:6, None], Y[:6]], axis=1)[..., :1]
    structure = ODE(dt=DT, inputs="hold", observe=lambda state: state[:, :1], n_states=2, window=5)
    model = make_swing_model(undriven_pendulum, structure=structure, nn=None).fit(records, whole)
    together = model.predict(records, first_outputs=whole[:, :6])
    one = model.predict(records[3:4], first_outputs=whole[3:4, :6])
    np.testing.assert_allclose(together[3:4], one, atol=1e-4)


# As an estimator.


def test_a_search_with_groups_and_without():
    grid = {"rho": [0.0, 0.05]}
    groups = np.arange(len(X)) // 3
    model = make_swing_model(max_epochs=3)
    search = GridSearchCV(model, grid, cv=GroupKFold(2), error_score="raise")
    search.fit(X, Y, groups=groups)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, Y)
    assert search.best_estimator_.predict(X).shape == Y.shape


def test_names_of_states():
    frame = pd.DataFrame(X, columns=["angle", "velocity"])
    model = make_swing_model(nn_features=["velocity"]).fit(frame, Y)
    by_number = make_swing_model(nn_features=[1]).fit(X, Y)
    np.testing.assert_allclose(model.predict(frame), by_number.predict(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"angle": "tilt"}))


def test_a_fit_continues_from_the_last():
    ode = ODE(dt=DT)
    model = make_swing_model(structure=ode, warm_start=True, max_epochs=20).fit(X, Y)
    loss = model.loss_
    model.fit(X, Y)
    assert model.loss_curve_[0] == pytest.approx(loss, rel=0.5)
    assert model.loss_ < loss


def test_pickled_models_predict_the_same():
    for structure in (ODE(dt=DT), ODE(dt=DT, method="dopri5"), ODE(dt=DT, initial_state="learned")):
        model = make_swing_model(structure=structure, max_epochs=2).fit(X, Y)
        copied = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(copied.predict(X), model.predict(X))


def test_the_same_seed_gives_the_same_fit():
    first, second = (make_swing_model(batch_size=16).fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


def test_callbacks_and_verbose(capsys):
    recorder = Recorder()
    model = make_swing_model(max_epochs=3, verbose=1).set_callbacks(recorder).fit(X, Y)
    assert recorder.n_set_up == recorder.n_torn_down == 1
    assert len(recorder.ended) >= 3
    assert recorder.models[0].predict(X).shape == Y.shape
    assert capsys.readouterr().out
    assert len(model.loss_curve_) == 3


def test_a_callback_that_stops_in_an_early_stage_stops_the_fit():
    model = make_swing_model(structure=ODE(dt=DT, window=(2, 4)), max_epochs=10)
    model.set_callbacks(StopAfter(2)).fit(X, Y)
    assert model.n_iter_ == 2


def test_parameters_of_the_structure_that_change_later_do_not_change_the_fit():
    model = make_swing_model(max_epochs=2).fit(X, Y)
    before = model.predict(X)
    model.set_params(structure__method="euler")
    np.testing.assert_array_equal(model.predict(X), before)
