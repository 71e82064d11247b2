"""Is the physics used, and is it needed?"""

from __future__ import annotations

import numpy as np
import pytest
from small_flux import flux_model, make_flux
from small_models import drive, make_model, make_table
from small_trajectories import make_oscillations, spring

from skhybrid import ODE, HybridRegressor, LatentODE, Param, Physics
from skhybrid.datasets import make_pendulum_images
from skhybrid.inspection import physics_usage

QUIET = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def usage():
    X, y = make_table(60)
    return physics_usage(make_model(max_epochs=60), X, y, cv=3)


def test_models_are_compared_on_the_same_folds(usage):
    X, y = make_table(60)
    test = np.arange(20)
    train = np.arange(20, 60)
    model = make_model(max_epochs=60).fit(X.iloc[train], y[train])
    loss = np.mean((model.predict(X.iloc[test]) - y[test]) ** 2) / y.var()
    assert usage.losses["all"]["hybrid"][0] == pytest.approx(loss)
    alone = make_model(nn=None).fit(X.iloc[train], y[train])
    loss = np.mean((alone.predict(X.iloc[test]) - y[test]) ** 2) / y.var()
    assert usage.losses["all"]["physics alone"][0] == pytest.approx(loss)
    assert usage.share["training"][0] == pytest.approx(model.physics_share_)
    physics, network = (part.var() for part in model.predict_parts(X.iloc[test]))
    assert usage.share["held out"][0] == pytest.approx(physics / (physics + network), rel=1e-3)


def test_functions_of_features_have_their_mean_in_the_physics_part():
    X, y, _ = make_flux(40)
    options = {"nn": (4,), "max_epochs": 2, "nn_extrapolation": "free"}
    found = physics_usage(flux_model(**options), X, y, cv=2, moves=False)
    assert found.sentences()[0].startswith("The physics, with base at its mean, explains")
    model = flux_model(**options).fit(X[20:], y[20:])
    physics, network = (part.var() for part in model.predict_parts(X[:20]))
    assert found.share["held out"][0] == pytest.approx(physics / (physics + network), rel=1e-3)


def test_differences_are_paired(usage):
    losses = usage.losses["all"]
    paired = losses["network alone"] - losses["hybrid"]
    mean, error = usage.difference("network alone")
    assert mean == pytest.approx(paired.mean())
    assert error == pytest.approx(paired.std(ddof=1) / np.sqrt(3))
    assert usage.frame.loc["network alone", "all, more than hybrid"] == mean
    assert set(usage.losses) == {"all", "inside", "edge"}


def test_a_moved_parameter_costs_more_with_the_network_held(usage):
    for move in usage.moves["gain"]:
        assert abs(move.moved / move.value) == pytest.approx(
            1.0 + np.sign(move.moved - move.value) * 0.1
        )
        assert move.held > 0.0
        assert move.again < move.held
    fitted = usage.estimator
    X, y = make_table(60)
    physics, network = fitted.predict_parts(X)
    moved = physics + network + 0.1 * fitted.physics_params_["gain"] * X["force"]
    loss = np.mean((moved - y) ** 2) / y.var() - fitted.loss_
    assert usage.moves["gain"][1].held == pytest.approx(loss)


def test_it_says_what_it_found(usage):
    text = str(usage)
    assert "The physics explains" in text
    assert "network alone" in text
    assert "than the hybrid on rows held out: its loss is" in text
    assert "at the edge of the training range" in text
    assert f"gain = {usage.moves['gain'][0].moved:.4g}" in text
    assert "<table" in usage._repr_html_()
    assert len(usage.moves_frame) == 4


@QUIET
def test_trajectories_are_placed_by_their_initial_states():
    X, y = make_oscillations(n=6)
    physics = Physics(spring, damping=Param((0.1, 0.2), fixed=True))
    model = HybridRegressor(physics, nn=4, structure=ODE(dt=0.2), max_epochs=2, random_state=0)
    found = physics_usage(model, X, y, cv=2, sample_weight=np.ones(6))
    assert np.isfinite(found.losses["all"]["network alone"]).all()
    assert "edge" in found.losses
    assert [*found.moves] == ["stiffness"]
    assert np.isfinite(found.share["held out"]).all()


@QUIET
def test_what_cannot_be_had_has_a_reason():
    X, y = make_table(40)
    y = np.stack([y, y], axis=1)
    y[3, 1] = np.nan
    physics = Physics(two_gains, gain=Param((0.0, 2.0), bounds=(None, 2.1)))
    model = make_model(physics=physics, max_epochs=3, missing_targets="mask", physics_init="given")
    model.set_params(physics_learning_rate=0.0)
    X = (X > 1.5).astype(float)
    found = physics_usage(model, X, y, cv=2)
    assert "no column of X has more than two values" in found.reasons["edge"]
    assert "gain[0] is zero" in found.reasons["gain[0]"]
    assert found.moves["gain[1]"][1].moved == pytest.approx(2.1), "stopped by its bound"
    assert [*found.losses] == ["all"]


@QUIET
def test_images_have_no_physics_alone_and_no_edge():
    film = make_pendulum_images(6, n_times=6, size=6, random_state=0)
    structure = LatentODE(encoder=4, decoder=4, n_states=2, dt=film.dt, window=3)
    model = HybridRegressor(film.physics, nn=4, structure=structure, max_epochs=1, random_state=0)
    found = physics_usage(model, film.data, film.target, cv=2, moves=False)
    assert "images need an encoder" in found.reasons["physics alone"]
    assert np.isnan(found.losses["all"]["physics alone"]).all()
    assert np.isfinite(found.losses["all"]["network alone"]).all()
    assert [*found.losses] == ["all"]


@QUIET
def test_a_hybrid_that_cannot_be_fitted_is_an_error(table):
    with pytest.raises(ValueError, match=r"The fit of the hybrid failed: .*l2"):
        physics_usage(make_model(l2=-1.0), *table)


def two_gains(force, *, gain=(1.0, 1.0)):
    return gain * force[:, None]


def test_a_model_without_parts_is_refused(table):
    with pytest.raises(ValueError, match="nn is None"):
        physics_usage(make_model(nn=None), *table)
    with pytest.raises(ValueError, match="physics is None"):
        physics_usage(make_model(physics=None), *table)
    assert drive is make_model().physics


@QUIET
def test_groups_are_held_out_together_and_number_the_folds(table, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "skhybrid.inspection.usage.usage._losses",
        lambda estimator, data, splits, models: (seen.extend(splits), ({}, None))[1],
    )
    groups = np.arange(len(table[0])) % 3
    physics_usage(make_model(max_epochs=1), *table, groups=groups, moves=False)
    assert len(seen) == 3
    for train, test in seen:
        assert not set(groups[train]) & set(groups[test])


@QUIET
@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.PoorFitWarning")
def test_a_constant_target_is_named(table):
    with pytest.raises(ValueError, match="y is constant"):
        physics_usage(make_model(max_epochs=1), table[0], np.full(len(table[0]), 3.0), moves=False)
