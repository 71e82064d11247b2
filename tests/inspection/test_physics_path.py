"""The path of θ along a parameter."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import drive, make_model

from skhybrid import HybridRegressor, Physics
from skhybrid.datasets import make_pendulum_acceleration
from skhybrid.exceptions import PhysicsError
from skhybrid.inspection import PhysicsPathDisplay, physics_path
from skhybrid.model_selection.fold_statistics import about_as_stable


def test_it_has_a_row_for_each_value_and_a_column_for_each_fold(path):
    assert path.param_name == "rho"
    assert path.param_range.tolist() == [0.0, 0.05, 0.3]
    assert set(path.physics_params) == {"gain", "offset"}
    for values in (path.score, path.physics_share, *path.physics_params.values()):
        assert values.shape == (3, 3)
    assert path.plateau.shape == path.spread["gain"].shape == (3,)


def test_the_spread_is_that_of_folds_and_restarts(path):
    theta, restarts = path.physics_params["gain"], path.restart_spread["gain"]
    expected = np.sqrt(theta.var(axis=1, ddof=1) + (restarts**2).mean(axis=1))
    assert path.spread["gain"] == pytest.approx(expected)
    values, among = (
        np.stack([each[name] for name in ("gain", "offset")], axis=-1)
        for each in (path.physics_params, path.restart_spread)
    )
    assert path.plateau.tolist() == about_as_stable(values, among).tolist()


def test_every_point_is_the_fit_that_one_would_make(path, table):
    X, y = table
    train, test = np.arange(14, 40), np.arange(14)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    model = make_model(rho=0.05, n_restarts=2, random_state=int(seed)).fit(X.iloc[train], y[train])
    assert path.physics_params["gain"][1, 0] == pytest.approx(model.physics_params_["gain"])
    assert path.score[1, 0] == pytest.approx(model.score(X.iloc[test], y[test]))
    assert path.physics_share[1, 0] == pytest.approx(model.physics_share_)


def test_the_estimator_is_left_alone(table):
    model = make_model()
    before = repr(model)
    physics_path(model, *table, param_range=[0.1], cv=2, n_restarts=1)
    assert repr(model) == before
    assert not hasattr(model, "physics_params_")


def test_other_parameters_groups_and_weights(table):
    X, y = table
    path = physics_path(
        make_model(max_epochs=100),
        X,
        y,
        param_name="functional_norm",
        param_range=[0.0, 100.0],
        cv=GroupKFold(4),
        groups=np.arange(40) % 4,
        sample_weight=np.ones(40),
        n_restarts=1,
    )
    assert path.score.shape == (2, 4)
    share = path.physics_share.mean(axis=1)
    assert share[1] > share[0], "a network that must be small explains less"


def test_where_the_network_has_vanished_there_is_no_plateau():
    data = make_pendulum_acceleration(200, missing="wiggly", random_state=0)
    model = HybridRegressor(
        data.physics, nn=(16, 16), perturbation="global", max_epochs=100, random_state=0
    )
    path = physics_path(model, data.data, data.target, param_range=[0.05, 3.0], cv=3, n_restarts=1)
    assert path.physics_share[1].min() > 1 - 1e-6
    assert path.plateau.tolist() == [True, False]


def test_an_initial_value_is_a_parameter_too(table):
    model = make_model(physics=Physics(drive), physics_init="given", max_epochs=2)
    path = physics_path(model, *table, param_name="physics__gain", param_range=[0.5, 5.0], cv=2)
    gains = path.physics_params["gain"]
    assert (gains[0] < 1.0).all()
    assert (gains[1] > 4.0).all()
    with pytest.raises(ValueError, match=r"'physics__gian'\. Did you mean 'physics__gain'"):
        physics_path(model, *table, param_name="physics__gian")
    with pytest.raises(PhysicsError, match=r"Wrap it: physics=Physics\(drive\)"):
        physics_path(make_model(), *table, param_name="physics__gain")


def test_a_typo_and_an_empty_range_are_refused(table):
    with pytest.raises(ValueError, match="no parameter 'rhoo'"):
        physics_path(make_model(), *table, param_name="rhoo")
    with pytest.raises(ValueError, match="param_range is empty"):
        physics_path(make_model(), *table, param_range=[])


def test_a_pipeline_is_refused(table):
    pipeline = make_pipeline(StandardScaler(), make_model())
    for function in (physics_path, PhysicsPathDisplay.from_estimator):
        with pytest.raises(TypeError, match=r"got a Pipeline.*physics_path\(pipeline\[-1\]"):
            function(pipeline, *table)


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")
def test_missing_targets_are_left_out_of_fits_and_scores(table):
    X, y = table
    gaps = np.where(np.arange(len(y)) % 4 == 0, np.nan, y)
    model = make_model(missing_targets="mask", max_epochs=5)
    path = physics_path(model, X, gaps, param_range=[0.0, 0.05], cv=3, n_restarts=1)
    assert np.isfinite(path.score).all()
    assert np.isfinite(path.spread["gain"]).all()
    gaps[:14] = np.nan
    with pytest.warns(UndefinedMetricWarning, match="The score is NaN"):
        path = physics_path(model, X, gaps, param_range=[0.0, 0.05], cv=3, n_restarts=1)
    assert np.isnan(path.score[:, 0]).all()
    assert np.isfinite(path.score[:, 1:]).all()
    assert np.isfinite(path.physics_params["gain"]).all()
