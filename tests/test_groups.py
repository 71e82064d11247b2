"""Parameters with a value for each group of rows, from data to reports."""

import pickle

import numpy as np
import pandas as pd
import pytest
from group_fits import KM, VALUES, make_decays, make_model, make_rates, positive, rate
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skhybrid import ODE, HybridSearchCV, Param, Physics
from skhybrid.exceptions import PhysicsError, UnknownGroupWarning
from skhybrid.inspection import bootstrap, physics_usage, profile


@pytest.fixture(scope="module")
def fitted():
    return make_model().fit(*make_rates())


def test_values_of_groups_and_the_common_value(fitted):
    values = fitted.group_params_["vmax"]
    assert values.index.name == "site"
    assert values.to_dict() == pytest.approx(VALUES, rel=0.04)
    assert fitted.physics_params_["vmax"] == pytest.approx(values.mean(), rel=1e-3)
    assert fitted.physics_params_["km"] == pytest.approx(KM, rel=0.05)
    text = str(fitted.summary())
    assert "over 4 groups, per site" in text
    assert "%, with vmax at its common value" in text
    assert "network" not in text.splitlines()[0]


def test_rows_get_the_values_of_their_groups(fitted):
    X, y = make_rates()
    params = fitted.predict_params(X)
    values = fitted.group_params_["vmax"]
    assert params["vmax"] == pytest.approx(values.loc[X["site"]].to_numpy())
    assert fitted.score(X, y) > 0.99
    known = rate(X["substrate"].to_numpy(), vmax=params["vmax"], km=params["km"])
    assert fitted.predict(X) == pytest.approx(known, rel=1e-4)


def test_a_new_group_gets_the_common_value(fitted):
    X = pd.DataFrame({"substrate": [1.0, 2.0], "site": ["new", "b"]})
    with pytest.warns(UnknownGroupWarning, match="'new'"):
        found = fitted.predict_params(X)["vmax"]
    assert found[0] == pytest.approx(fitted.physics_params_["vmax"])
    assert found[1] == pytest.approx(fitted.group_params_["vmax"]["b"])


def test_with_a_correction_the_network_does_not_read_the_groups():
    X, y = make_rates()
    y = y + 0.3 * np.sin(3.0 * X["substrate"])
    model = make_model(structure="auto", nn=(8,)).fit(X, y)
    assert model.module_.correction[0].weight.shape == (8, 1)
    differences = model.group_params_["vmax"].diff().dropna()
    assert differences.to_numpy() == pytest.approx(1.0, abs=0.12)


def test_physics_of_a_whole_table_does_not_get_the_groups():
    def whole(X, *, vmax=1.0, km=1.0):
        assert X.shape[-1] == 1
        return vmax * X[:, 0] / (km + X[:, 0])

    physics = Physics(whole, vmax=positive(1.0, per="site"), km=positive(1.0))
    model = make_model(physics).fit(*make_rates())
    assert model.group_params_["vmax"].to_dict() == pytest.approx(VALUES, rel=0.04)


def test_clones_and_pickles(fitted):
    X, y = make_rates()
    expected = fitted.predict(X)
    assert pickle.loads(pickle.dumps(fitted)).predict(X) == pytest.approx(expected, abs=0.0)
    assert clone(fitted).fit(X, y).predict(X) == pytest.approx(expected, abs=0.0)


def test_a_search_equals_a_grid_search_also_if_folds_miss_a_group():
    X, y = make_rates()
    cv = [*KFold(2, shuffle=True, random_state=0).split(X), (np.r_[15:60], np.r_[10:20])]
    model = make_model(structure="auto", max_epochs=20)
    grid = {"rho": [0.0, 0.1]}
    with pytest.warns(UnknownGroupWarning, match="'a'"):
        ours = HybridSearchCV(model, grid, cv=cv, refit=False).fit(X, y)
    with pytest.warns(UnknownGroupWarning, match="'a'"):
        theirs = GridSearchCV(model, grid, cv=cv, refit=False).fit(X, y)
    scores = [each.cv_results_["mean_test_score"] for each in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


def test_a_fit_goes_on_with_the_same_groups_only():
    X, y = make_rates()
    model = make_model(warm_start=True, max_epochs=30).fit(X, y)
    before = model.group_params_["vmax"].to_dict()
    assert model.fit(X, y).group_params_["vmax"].to_dict() == pytest.approx(before, rel=0.05)
    with pytest.raises(ValueError, match="the groups of rows changed"):
        model.fit(X.iloc[:45], y[:45])


def test_profiles_cannot_hold_a_common_value(fitted):
    with pytest.raises(ValueError, match="common value cannot be held"):
        profile(fitted, *make_rates(), "vmax")


def test_the_physics_alone_is_left_out_of_its_usage(fitted):
    found = physics_usage(clone(fitted).set_params(max_epochs=5), *make_rates(), cv=2, moves=False)
    assert "Give nn hidden sizes" in found.reasons["physics alone"]


def test_a_hint_for_physics_that_mixes_rows():
    def mixes(t, state, inputs, *, rate=0.5):
        return -rate * state

    X, y, dt = make_decays()
    ode = ODE(dt=dt, inputs="hold", input_names=["subject"])
    with pytest.raises(PhysicsError, match="'rate' has a value for each row"):
        make_model(Physics(mixes, rate=Param(0.5, per="subject")), structure=ode).fit(X, y)


def test_a_bootstrap_reads_texts(fitted):
    X, y = make_rates()
    found = bootstrap(clone(fitted).set_params(max_epochs=30), X, y, n_replicates=2)
    assert np.isfinite(found.frame.to_numpy()).all()


def test_with_groups_alone_an_ode_keeps_its_correction():
    def decays(t, state, inputs, *, rate=0.5):
        return -rate[..., None] * state

    X, y, dt = make_decays()
    physics = Physics(decays, rate=Param(0.5, per="subject"))
    rates = []
    for join in ("auto", "add"):
        ode = ODE(dt=dt, inputs="hold", input_names=["subject"], join=join)
        model = make_model(physics, structure=ode, nn=(4,), max_epochs=2).fit(X, y)
        states, inputs = np.ones((2, 1)), np.zeros((2, 1))
        rates.append(model.predict_rates(states, inputs=inputs)[1])
    assert np.abs(rates[0]).max() > 1e-3
    np.testing.assert_array_equal(*rates)
