import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from small_flux import Q10, flux_model, make_flux, respiration
from torch import nn

from skhybrid import ODE, HybridRegressor, HybridSearchCV, LatentODE, Param, Physics
from skhybrid.exceptions import NetworkError, PhysicsError, StructureError


def test_a_number_and_a_function_are_found():
    X, y, base = make_flux()
    model = flux_model(max_epochs=60).fit(X, y)
    assert set(model.physics_params_) == {"q10"}
    assert abs(model.physics_params_["q10"] / Q10 - 1.0) < 0.03
    found = model.predict_params(X)
    np.testing.assert_array_equal(found["q10"], np.full(len(X), model.physics_params_["q10"]))
    assert 1.0 - np.mean((found["base"] - base) ** 2) / base.var() > 0.95
    # The prediction is the physics with these values.
    expected = respiration(X["temperature"].to_numpy(), **found)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)


def test_values_outside_the_training_range_are_held():
    X, y, _ = make_flux(60)
    model = flux_model(max_epochs=2).fit(X, y)
    edge, beyond = X[:2].assign(moisture=X["moisture"].max()), X[:2].assign(moisture=9.0)
    held = model.predict_params(beyond)["base"]
    np.testing.assert_allclose(held, model.predict_params(edge)["base"], rtol=1e-6)


def test_parts_are_the_mean_parameter_and_the_rest():
    X, y, _ = make_flux(60)
    model = flux_model(max_epochs=2).fit(X, y)
    physics, network = model.predict_parts(X)
    np.testing.assert_allclose(physics + network, model.predict(X), rtol=1e-6)
    growth = model.physics_params_["q10"] ** ((X["temperature"] - 15.0) / 10.0)
    mean = model.predict_params(X)["base"].mean()
    np.testing.assert_allclose(physics / growth, mean, rtol=1e-5)
    share = np.var(physics) / (np.var(physics) + np.var(network))
    assert model.physics_share_ == pytest.approx(share, rel=1e-4)


def test_without_a_network_it_is_a_number():
    X, y, _ = make_flux(60)
    model = flux_model(nn=None).fit(X, y)
    assert set(model.physics_params_) == {"base", "q10"}
    np.testing.assert_array_equal(
        model.predict_params(X)["base"], np.full(60, model.physics_params_["base"])
    )


def test_a_correction_besides():
    X, y, _ = make_flux(60)
    model = flux_model(structure="additive", max_epochs=2).fit(X, y)
    assert model.module_.parts.correction == (0, 1)
    alone = flux_model(max_epochs=2).fit(X, y)
    assert alone.module_.parts.correction is None
    seen = flux_model(structure="additive", nn_features=["temperature"], max_epochs=2).fit(X, y)
    assert seen.module_.parts.correction == (0,)


def test_an_array_varies_element_by_element():
    X, y, _ = make_flux(60)

    def both(temperature, *, level=(1.0, 0.1)):
        return level[0] + level[1] * temperature

    physics = Physics(both, level=Param((1.0, 0.1), depends_on=["moisture"]))
    model = HybridRegressor(physics, nn=(4,), max_epochs=2, random_state=0).fit(X, y)
    found = model.predict_params(X)["level"]
    assert found.shape == (60, 2) and np.ptp(found, axis=0).min() > 0.0
    expected = found[:, 0] + found[:, 1] * X["temperature"]
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)


def test_restarts_and_searches_train_together_as_alone():
    X, y, _ = make_flux(60)
    grid = {"rho": [0.0, 0.05]}
    model = flux_model(nn=(4,), max_epochs=3)
    together = HybridSearchCV(model, grid, cv=3).fit(X, y)
    alone = GridSearchCV(model, grid, cv=3).fit(X, y)
    np.testing.assert_allclose(
        together.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], rtol=1e-5
    )
    restarted = flux_model(nn=(4,), max_epochs=3, n_restarts=2).fit(X, y)
    assert len(restarted.restarts_) == 2 and "base" not in restarted.restarts_[0]["physics_params"]


def test_a_structure_may_give_the_value():
    X, y, _ = make_flux(60)

    def structure(x, physics, nn):
        return physics(x, base=2.0 + nn(x, scale=1.0))

    model = HybridRegressor(respiration, nn=(4,), structure=structure, max_epochs=2).fit(X, y)
    assert model.predict(X).shape == (60,)
    with pytest.raises(StructureError, match=r"no parameter 'bas'. Did you mean 'base'"):
        model.set_params(structure=lambda x, physics, nn: physics(x, bas=nn(x))).fit(X, y)


@pytest.mark.parametrize("search", [False, True])
def test_a_structure_that_gives_the_correction_more_inputs(search):
    X, y, _ = make_flux(60)
    model = flux_model(nn=(4,), structure="serial", max_epochs=2)
    if search:
        grid = {"rho": [0.0, 0.05]}
        together = HybridSearchCV(model, grid, cv=3).fit(X, y)
        alone = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, y)
        np.testing.assert_allclose(
            together.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], rtol=1e-5
        )
        return
    model.fit(X, y)
    network = model.module_
    assert network.correction[0].in_features == 3 and network.groups[0][0].in_features == 1
    held = model.predict_params(X.assign(moisture=9.0))["base"]
    edge = model.predict_params(X.assign(moisture=X["moisture"].max()))["base"]
    np.testing.assert_allclose(held, edge, rtol=1e-6)


def test_a_join_that_gives_the_correction_more_inputs():
    def join(t, state, physics, nn):
        return physics(t, state) + nn(t, state, state[:, :1] ** 2)

    physics = Physics(sir, beta=Param(0.3, bounds=(0.0, None), depends_on=["I"]))
    first = np.array([[0.9, 0.1], [0.8, 0.2]])
    y = np.linspace(0.0, 0.1, 6)[None, :, None] * np.array([-1.0, 1.0]) + first[:, None]
    ode = ODE(dt=1.0, state_names=["S", "I"], join=join)
    model = HybridRegressor(physics, nn=(4,), structure=ode, max_epochs=2, random_state=0)
    model.fit(first, y)
    assert model.module_.correction[0].in_features == 3
    assert np.ptp(model.predict_params(first)["beta"]) > 0.0


def test_the_summary_shows_mean_and_range():
    X, y, _ = make_flux(60)
    model = flux_model(max_epochs=2).fit(X, y)
    text, values = str(model.summary()), model.predict_params(X)["base"]
    assert "structure none" in text and "by moisture" in text
    assert "%, with base at its mean" in text
    assert model.summary().frame.loc["base", "value"] == pytest.approx(values.mean(), rel=1e-5)


def spreading(t, state, *, rate=(0.1, 0.2)):
    return torch.stack([-rate[0] * state[:, 0], rate[1] * (state[:, 0] - state[:, 1])], dim=1)


def test_values_at_the_points_of_a_field():
    random = np.random.default_rng(0)
    first = random.uniform(0.5, 1.5, (2, 2, 3, 4))
    y = first[:, None] * (1.0 - 0.1 * np.arange(1, 5)[:, None, None, None])
    physics = Physics(spreading, rate=Param((0.1, 0.2), depends_on=[0]))
    model = HybridRegressor(physics, nn=(4,), structure=ODE(dt=1.0), max_epochs=2, random_state=0)
    model.fit(first, y)
    assert model.predict_params(first)["rate"].shape == (2, 4, 2, 3, 4)
    frame = model.summary().frame
    assert list(frame.index) == ["rate[0]", "rate[1]"]
    assert np.isfinite(frame["value"]).all() and "by 0" in str(model.summary())


def sir(t, state, *, beta=0.3, gamma=0.1):
    susceptible, infected = state.unbind(-1)
    new = beta * susceptible * infected
    return torch.stack([-new, new - gamma * infected], dim=-1)


def test_a_rate_that_depends_on_time_or_a_state():
    physics = Physics(sir, beta=Param(0.3, bounds=(0.0, None), depends_on=["time", "I"]))
    first = np.array([[0.9, 0.1], [0.8, 0.2]])
    y = np.linspace(0.0, 0.1, 6)[None, :, None] * np.array([-1.0, 1.0]) + first[:, None]
    ode = ODE(dt=1.0, state_names=["S", "I"])
    model = HybridRegressor(physics, nn=(4,), structure=ode, max_epochs=2, random_state=0)
    model.fit(first, y)
    values = model.predict_params(first)
    assert values["beta"].shape == values["gamma"].shape == (2, 6)
    assert np.ptp(values["beta"]) > 0.0 and np.ptp(values["gamma"]) == 0.0
    physics_rate, network_rate = model.predict_rates(first)
    assert np.abs(network_rate).max() > 0.0
    mean = model.summary().frame.loc["beta", "value"]
    np.testing.assert_allclose(physics_rate[:, 0], -mean * first.prod(axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        (physics_rate + network_rate).sum(axis=1), -values["gamma"][0, 0] * first[:, 1], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("depends_on", "error", "message"),
    [
        (["moistur"], NetworkError, "depends_on of 'base' names a column 'moistur'.*'moisture'"),
        ([7], NetworkError, "depends_on of 'base' has column 7; X has 2 columns"),
        ("moisture", PhysicsError, r"write depends_on=\['moisture'\]"),
        ([], PhysicsError, "empty"),
    ],
)
def test_wrong_features(depends_on, error, message):
    X, y, _ = make_flux(30)
    with pytest.raises(error, match=message):
        HybridRegressor(Physics(respiration, base=Param(2.0, depends_on=depends_on))).fit(X, y)


def test_what_cannot_vary_is_refused():
    X, y, _ = make_flux(30)
    with pytest.raises(PhysicsError, match="fixed=True"):
        Physics(respiration, base=Param(2.0, fixed=True, depends_on=["moisture"]))
    with pytest.raises(NetworkError, match="give nn as hidden sizes"):
        flux_model(nn=nn.Linear(1, 1)).fit(X, y)
    with pytest.raises(NetworkError, match=r"leaves no feature to the parameters.*base"):
        flux_model(nn_features=["temperature"]).fit(X, y)
    with pytest.raises(NetworkError, match="no parameter has depends_on"):
        HybridRegressor(respiration, structure="none").fit(X, y)
    ode = ODE(dt=1.0, observe=lambda state, *, gamma: gamma * state[:, :1], n_states=2)
    varying = Physics(sir, gamma=Param(0.1, depends_on=[0]))
    with pytest.raises(PhysicsError, match="observe reads 'gamma'"):
        HybridRegressor(varying, structure=ode).fit(np.ones((2, 2)), np.ones((2, 5, 1)))
    with pytest.raises(PhysicsError, match="LatentODE"):
        images = np.random.default_rng(0).normal(size=(2, 9, 4, 4))
        HybridRegressor(varying, structure=LatentODE(n_states=2, dt=1.0)).fit(images[:, :4], images)


def test_other_parameters_keep_the_function():
    X, y, _ = make_flux(60)
    model = flux_model(max_epochs=2).fit(X, y)
    other = model.with_params(q10=3.0)
    np.testing.assert_allclose(
        other.predict_params(X)["base"], model.predict_params(X)["base"], rtol=1e-6
    )
    assert other.physics_params_ == {"q10": 3.0}
    with pytest.raises(PhysicsError, match="'base' is a function of moisture"):
        model.with_params(base=1.0)


def test_the_features_that_count_are_chosen():
    X, y, _ = make_flux(150)
    X = X.assign(noise=np.random.default_rng(1).normal(size=150))
    model = flux_model(depends_on=["moisture", "noise"], nn_features="auto", max_epochs=30)
    model.fit(X, y)
    assert model.nn_features_ == ["moisture"]
    assert model.module_.parts.n_inputs == 1


def test_a_parameter_without_features_is_a_number():
    X, y, _ = make_flux(60)
    physics = Physics(
        respiration,
        base=Param(2.0, depends_on=["moisture"]),
        q10=Param(1.5, depends_on=["temperature"]),
    )
    model = HybridRegressor(physics, nn=(4,), nn_features=["moisture"], max_epochs=2).fit(X, y)
    assert set(model.physics_params_) == {"q10"}
    assert "by moisture" in str(model.summary())
