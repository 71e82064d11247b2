"""Parameters with a value for each group of rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skhybrid import ODE, HybridRegressor, HybridSearchCV, Param, Physics
from skhybrid.exceptions import NetworkError, PhysicsError, UnknownGroupWarning
from skhybrid.inspection import physics_usage, profile

VALUES = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
KM = 0.8


def rate(substrate, *, vmax=1.0, km=1.0):
    """Return the rate of an enzyme."""
    return vmax * substrate / (km + substrate)


def positive(start, **options):
    """Return a positive parameter."""
    return Param(start, bounds=(0.0, None), **options)


def kinetics(per="site", **options):
    """Return the physics with a maximal rate for each group."""
    return Physics(rate, vmax=positive(1.0, per=per, **options), km=positive(1.0))


def make_rates(n_rows=15, noise=0.05, seed=0):
    """Return rates of four enzymes."""
    rng = np.random.default_rng(seed)
    site = np.repeat([*VALUES], n_rows)
    substrate = rng.uniform(0.1, 5.0, len(site))
    value = np.array([VALUES[each] for each in site])
    y = value * substrate / (KM + substrate) + noise * rng.normal(size=len(site))
    return pd.DataFrame({"substrate": substrate, "site": site}), y


def make_model(physics=None, **options):
    """Return a small model without a correction."""
    given = {"nn": (4,), "structure": "none", "max_epochs": 150, "random_state": 0, **options}
    return HybridRegressor(physics or kinetics(), **given)


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


def test_a_small_group_stays_close_to_the_others():
    """Against all of its rows, one row of a group says little."""
    X, y = make_rates(noise=0.5)
    few = np.r_[0:46]
    whole, shrunk = (make_model().fit(X.iloc[rows], y[rows]) for rows in (np.r_[0:60], few))
    common = shrunk.physics_params_["vmax"]
    assert abs(shrunk.group_params_["vmax"]["d"] - common) < abs(
        whole.group_params_["vmax"]["d"] - whole.physics_params_["vmax"]
    )
    tight = make_model(kinetics(per_std=1e-3)).fit(X, y)
    assert np.ptp(tight.group_params_["vmax"]) < 0.01


def test_with_a_correction_the_network_does_not_read_the_groups():
    X, y = make_rates()
    y = y + 0.3 * np.sin(3.0 * X["substrate"])
    model = make_model(structure="auto", nn=(8,)).fit(X, y)
    assert model.module_.correction[0].weight.shape == (8, 1)
    differences = model.group_params_["vmax"].diff().dropna()
    assert differences.to_numpy() == pytest.approx(1.0, abs=0.12)


def test_arrays_of_groups():
    def line(x, *, slopes=(1.0, 1.0)):
        return slopes[0] * x + slopes[1]

    X, _ = make_rates()
    x, site = X["substrate"].to_numpy(), X["site"].map({each: i for i, each in enumerate("abcd")})
    site = site.to_numpy()
    physics = Physics(line, slopes=Param([1.0, 0.0], per=1))
    model = make_model(physics).fit(np.c_[x, 5 * site], (1 + site) * x - site)
    values = model.group_params_["slopes"]
    assert values.columns.tolist() == ["slopes[0]", "slopes[1]"]
    assert values.index.tolist() == [0.0, 5.0, 10.0, 15.0]
    expected = np.c_[1.0 + np.arange(4), -np.arange(4)]
    assert values.to_numpy() == pytest.approx(expected, abs=0.05)


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


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"nn": None}, PhysicsError, "'vmax' has a value for each group .* Give nn hidden sizes"),
        ({"structure": "additive", "nn_features": ["site"]}, NetworkError, "'site', which holds"),
        ({"physics": kinetics(per="sit")}, NetworkError, "Did you mean 'site'"),
    ],
)
def test_errors(options, error, message):
    with pytest.raises(error, match=message):
        make_model(**options).fit(*make_rates())


def test_physics_cannot_read_the_groups():
    def reads(substrate, site, *, vmax=1.0):
        return vmax * substrate

    with pytest.raises(PhysicsError, match="reads column 'site', which holds groups"):
        make_model(Physics(reads, vmax=Param(1.0, per="site"))).fit(*make_rates())


def test_a_model_without_groups_has_no_table():
    model = HybridRegressor(rate, nn=None).fit(
        *(each[:20] for each in (np.ones((60, 1)), VALUES_Y))
    )
    with pytest.raises(AttributeError, match="no parameter has a value for each group"):
        _ = model.group_params_


VALUES_Y = np.linspace(0.0, 1.0, 60)


def test_profiles_cannot_hold_a_common_value(fitted):
    with pytest.raises(ValueError, match="common value cannot be held"):
        profile(fitted, *make_rates(), "vmax")


def test_the_physics_alone_is_left_out_of_its_usage(fitted):
    found = physics_usage(clone(fitted).set_params(max_epochs=5), *make_rates(), cv=2, moves=False)
    assert "Give nn hidden sizes" in found.reasons["physics alone"]


def decay(t, state, inputs, *, rate=0.5):
    """Return the rate of a decay."""
    return (-rate * state[:, 0])[:, None]


def make_decays():
    """Return two decays of each of three subjects, and the codes of the subjects."""
    times, rng = np.linspace(0.0, 3.0, 9), np.random.default_rng(0)
    codes = np.array([1.0, 2.0, 7.0, 1.0, 2.0, 7.0])
    rates = np.select([codes == 1.0, codes == 2.0], [0.3, 0.6], 1.2)
    y = rng.uniform(1.0, 3.0, 6)[:, None] * np.exp(-rates[:, None] * times)
    return np.tile(codes[:, None, None], (1, 9, 1)), y[..., None], times[1]


def test_subjects_of_trajectories():
    X, y, dt = make_decays()
    physics = Physics(decay, rate=positive(0.5, per="subject"))
    ode = ODE(dt=dt, inputs="hold", input_names=["subject"], join="none")
    model = make_model(physics, structure=ode, max_epochs=60).fit(X, y)
    expected = {1.0: 0.3, 2.0: 0.6, 7.0: 1.2}
    assert model.group_params_["rate"].to_dict() == pytest.approx(expected, rel=0.03)
    new = X.copy()
    new[0] = 3.0
    found = model.predict_params(new, first_outputs=y[:, :1])["rate"]
    assert found[0] == pytest.approx(model.physics_params_["rate"])
    assert found[1] == pytest.approx(0.6, rel=0.03)


@pytest.mark.parametrize(
    ("per", "message"),
    [("time", "'time', which is no input"), ("subjects", "Did you mean 'subject'")],
)
def test_subjects_are_inputs(per, message):
    X, y, dt = make_decays()
    ode = ODE(dt=dt, inputs="hold", input_names=["subject"])
    with pytest.raises((PhysicsError, NetworkError), match=message):
        make_model(Physics(decay, rate=Param(0.5, per=per)), structure=ode).fit(X, y)


def test_an_input_that_changes_all_the_time_is_no_group():
    X, y, dt = make_decays()
    X = X + np.random.default_rng(0).uniform(size=X.shape)
    ode = ODE(dt=dt, inputs="hold", input_names=["load"])
    with pytest.raises(PhysicsError, match="different values in .* windows"):
        make_model(Physics(decay, rate=Param(0.5, per="load")), structure=ode).fit(X, y)


def test_a_hint_for_physics_that_mixes_rows():
    def mixes(t, state, inputs, *, rate=0.5):
        return -rate * state

    X, y, dt = make_decays()
    ode = ODE(dt=dt, inputs="hold", input_names=["subject"])
    with pytest.raises(PhysicsError, match="'rate' has a value for each row"):
        make_model(Physics(mixes, rate=Param(0.5, per="subject")), structure=ode).fit(X, y)


def test_the_prior_has_the_weight_that_the_noise_gives_it():
    """λ = σ²/(N s²), with the true noise in place of the estimated one."""
    X, y = make_rates(n_rows=60, noise=0.2)
    hybrid = make_model(max_epochs=1).fit(X, y)._fitted.hybrid
    assert hybrid.group_penalty == pytest.approx(0.2**2 / y.var() / len(y), rel=0.2)
    spread = float(hybrid.space.variations["vmax"].constants["scale"])
    assert spread == pytest.approx(np.std([*VALUES.values()], ddof=1), rel=0.2)
    given = make_model(kinetics(per_std=0.7), max_epochs=1).fit(X, y)._fitted.hybrid
    assert float(given.space.variations["vmax"].constants["scale"]) == pytest.approx(0.7)


def test_values_of_groups_are_not_perturbed(fitted):
    blocks = {name for name, _ in fitted.module_.named_parameters()}
    assert blocks == {"tables.0.values"}
    assert fitted.module_.is_group("tables.0.values")
    assert torch.isfinite(fitted.module_.tables[0].values).all()
