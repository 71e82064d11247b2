"""Effects of the physics parameters at a fitted model."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from small_flux import flux_model, make_flux
from small_models import drive_two, make_model
from small_trajectories import make_oscillations, position, spring

from skhybrid import HybridRegressor, LatentODE, Physics
from skhybrid.datasets import make_pendulum_images
from skhybrid.inspection.effects import effects
from skhybrid.model.ode import ODE

STEP = 1e-4


@pytest.fixture(scope="module")
def fitted(table):
    return make_model().fit(*table)


def test_they_are_those_of_the_fitted_model(fitted, table):
    X, y = table
    found = effects(fitted, X, y)
    physics, network = fitted.predict_parts(X)
    assert found.names == ["gain", "offset"]
    assert found.values == pytest.approx([*fitted.physics_params_.values()])
    assert found.prediction == pytest.approx(physics + network)
    assert found.network == pytest.approx(network)
    assert found.residuals == pytest.approx(y - fitted.predict(X))
    assert found.sensitivities[:, 0] == pytest.approx(X["force"].to_numpy())
    assert found.sensitivities[:, 1] == pytest.approx(np.ones(len(X)))
    assert found.inputs == pytest.approx(X.to_numpy())
    assert found.rows.tolist() == [*range(len(X))]


@pytest.mark.parametrize("structure", ["none", "additive"])
def test_what_functions_add_is_no_correction(structure):
    X, y, _ = make_flux(40)
    model = flux_model(nn=(4,), max_epochs=2, structure=structure).fit(X, y)
    growth = model.physics_params_["q10"] ** ((X["temperature"] - 15.0) / 10.0)
    physics = model.predict_params(X)["base"] * growth
    found = effects(model, X, y)
    assert found.network == pytest.approx(model.predict(X) - physics, abs=1e-5)
    assert np.any(found.network) == (structure == "additive")


@pytest.mark.parametrize("structure", ["additive", "multiplicative", "serial"])
def test_weights_and_residuals_give_the_loss(structure, table):
    X, y = table
    weight = np.linspace(0.0, 2.0, len(y))
    model = make_model(structure=structure).fit(X, y, weight)
    found = effects(model, X, y, weight)
    assert np.mean(found.weights * found.residuals**2) == pytest.approx(model.loss_)
    assert found.rows.tolist() == [*range(1, len(y))], "the first row has no weight"


def test_the_network_is_held_in_a_serial_structure(table):
    X, y = table
    model = make_model(structure="serial", nn_extrapolation="free").fit(X, y)
    found = effects(model, X, y).sensitivities[:, 0]
    fitted, before = model._fitted, model.predict(X)
    scale = fitted.hybrid.space.scales["gain"]
    fitted.coordinates["gain"] += STEP / scale
    change = (model.predict(X) - before) / STEP
    assert np.abs(found - X["force"]).max() > 1e-3, "the network reads the physics"
    assert found == pytest.approx(change, abs=1e-3)


def test_several_targets_with_gaps_and_columns_of_a_pipeline(table):
    X, y = table
    targets = np.stack([y, 10.0 * y], axis=1)
    targets[3, 1] = np.nan
    model = make_model(physics=drive_two, nn_features=["angle"], missing_targets="mask")
    pipeline = make_pipeline(FunctionTransformer(lambda X: 2.0 * X), model).fit(X, targets)
    found = effects(pipeline, X, targets)
    assert found.names == ["gain[0]", "gain[1]"]
    first, second = (found.sensitivities[found.targets == target] for target in (0, 1))
    assert first[:, 0] == pytest.approx(2.0 * X["force"].to_numpy())
    assert second[:, 0] == pytest.approx(np.zeros(len(X)))
    assert found.inputs[::2, 0] == pytest.approx(2.0 * X["angle"].to_numpy())
    assert found.weights[7] == found.residuals[7] == 0.0
    assert np.mean(found.weights * found.residuals**2) == pytest.approx(model.loss_)


def test_the_physics_alone_has_effects_and_no_network(table):
    X, y = table
    found = effects(make_model(nn=None).fit(X, y), X, y)
    assert found.names == ["gain", "offset"]
    assert np.all(found.network == 0.0)
    assert found.inputs is None


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.FreeRunWarning")
@pytest.mark.parametrize("how", ["observed", "learned", "stiff"])
def test_effects_on_windows(how):
    X, y = make_oscillations(n=3)
    options = {"window": 3}
    physics = Physics(spring)
    if how == "learned":
        options |= {"observe": position, "initial_state": "learned"}
        y = y[..., :1]
    if how == "stiff":
        options |= {"window": 2, "method": "bdf", "rtol": 1e-6, "atol": 1e-7}
        X, y = X[:2], y[:2, :2]
    model = HybridRegressor(
        physics, nn=4, structure=ODE(dt=0.2, **options), max_epochs=2, dtype="float64"
    )
    model = model.set_params(random_state=0, refine_rho=None, batch_size=None).fit(X, y)
    found = effects(model, X, y)
    assert found.names == ["stiffness", "damping[0]", "damping[1]"]
    assert set(found.rows) == set(range(len(X)))
    loss = np.mean(found.weights * found.residuals**2)
    if how == "learned":  # the loss of the fit has the gaps between windows, too
        assert 0.3 * model.loss_ < loss < model.loss_
    else:
        assert loss == pytest.approx(model.loss_, rel=1e-2)
    fitted = model._fitted
    scale = fitted.hybrid.space.scales["stiffness"]
    fitted.coordinates["stiffness"] += STEP / scale
    change = (effects(model, X, y).prediction - found.prediction) / STEP
    assert found.sensitivities[:, 0] == pytest.approx(change, abs=2e-3)


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.PoorFitWarning")
def test_images_are_thinned():
    film = make_pendulum_images(6, n_times=8, size=8, random_state=0)
    structure = LatentODE(encoder=8, decoder=8, n_states=2, dt=film.dt, window=4)
    model = HybridRegressor(film.physics, nn=4, structure=structure, max_epochs=2, random_state=0)
    model.fit(film.data, film.target)
    found = effects(model, film.data, film.target, max_values=500)
    assert found.sensitivities.shape == (500, 1)
    assert np.abs(found.sensitivities).max() > 0.0
    assert found.targets.max() < 64


def test_learned_states_are_those_of_the_fit():
    X, y = make_oscillations(n=3)
    structure = ODE(dt=0.2, window=3, observe=position, initial_state="learned")
    model = HybridRegressor(spring, nn=None, structure=structure).fit(X, y[..., :1])
    found = effects(model, X, y[..., :1])
    assert np.mean(found.weights * found.residuals**2) == pytest.approx(model.loss_, rel=1e-3)
    with pytest.raises(ValueError, match="Give the X and y of its fit"):
        effects(model, X[:2], y[:2, :, :1])


def test_other_columns_are_refused(fitted, table):
    X, y = table
    with pytest.raises(ValueError, match="the model was fitted with"):
        effects(fitted, X[["angle", "force"]], y)
