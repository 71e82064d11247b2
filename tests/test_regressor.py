"""The estimator: its parameters, what it keeps, and what it predicts."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from small_models import (
    ForceModule,
    drive,
    drive_two,
    make_model,
    make_table,
    same_fit,
)

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.datasets import make_pendulum_acceleration, pendulum_acceleration
from skhybrid.exceptions import CollapseWarning, ColumnBindingWarning
from skhybrid.training import compiled_step

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()
NEW_X, _ = make_table(15, seed=1)


# The same seed gives the same fit, and a fit changes nothing else.


@pytest.mark.parametrize("n_restarts", [1, 2])
def test_random_state_decides_on_the_fit(n_restarts):
    settings = {"max_epochs": 3, "batch_size": 8, "refine_rho": 0.0, "dtype": "float32"}
    model = make_model(n_restarts=n_restarts, **settings)
    first, again = (copy.copy(model).fit(X, Y) for _ in range(2))
    other = copy.copy(model).set_params(random_state=1).fit(X, Y)
    assert same_fit(first, again, NEW_X)
    assert not np.array_equal(first.predict(X), other.predict(X))
    assert same_fit(first, first.fit(X, Y), NEW_X)


@pytest.mark.parametrize("random_state", [0, np.random.RandomState(0)], ids=["int", "generator"])
@pytest.mark.parametrize("n_threads", [None, 2])
def test_global_state_does_not_change(n_threads, random_state):
    def state():
        return torch.random.get_rng_state().tolist(), repr(np.random.get_state())  # noqa: NPY002

    before, threads, dtype = state(), torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(3)
    try:
        model = make_model(n_threads=n_threads, random_state=random_state, refine_rho=0.0)
        model.fit(X, Y).predict(X)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert state() == before
    assert torch.get_default_dtype() is dtype
    assert torch.is_grad_enabled()


def test_without_a_random_state_fits_vary():
    model = make_model(random_state=None)
    assert not np.array_equal(model.fit(X, Y).predict(X), model.fit(X, Y).predict(X))


def test_arguments_do_not_change():
    table, target, weight = X.copy(), Y.copy(), np.ones(len(Y))
    network = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    physics = ForceModule()
    modules = network, physics
    before = [copy.deepcopy(module.state_dict()) for module in modules]
    model = make_model(physics=physics, nn=network).fit(table, target, weight)
    for module, state in zip(modules, before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
        assert all(p.grad is None and p.requires_grad for p in module.parameters())
        assert module.training
    assert model.physics is physics
    assert model.nn is network
    assert model.module_ is not network
    assert same_fit(model, copy.copy(model).fit(table, target, weight), NEW_X)
    pd.testing.assert_frame_equal(table, X)
    np.testing.assert_array_equal(target, Y)


def test_module_and_function_are_the_same_physics():
    by_function = make_model().fit(X, Y)
    by_module = make_model(physics=ForceModule()).fit(X, Y)
    np.testing.assert_allclose(by_module.predict(X), by_function.predict(X), atol=1e-6)


# Fits that fail.


@pytest.mark.parametrize("nn", [(6,), None])
def test_failed_fit_leaves_the_estimator_as_it_was(nn):
    model = make_model(nn=nn)
    unfitted = dict(vars(model))
    with pytest.raises(ValueError, match="needs a column 'force'"):
        model.fit(X.rename(columns={"force": "farce"}), Y)
    assert vars(model) == unfitted
    with pytest.raises(NotFittedError):
        model.predict(X)
    prediction, fitted = model.fit(X, Y).predict(X), dict(vars(model))
    with pytest.raises(ValueError, match="needs a column 'force'"):
        model.fit(X[["angle"]], Y)
    assert vars(model) == fitted
    np.testing.assert_array_equal(model.predict(X), prediction)


# Data.


def test_columns_are_found_by_name_in_any_order():
    model, turned = make_model(nn=None).fit(X, Y), make_model(nn=None).fit(X[["angle", "force"]], Y)
    assert turned.physics_params_ == pytest.approx(model.physics_params_, rel=1e-9)
    # The columns of this table run backwards in memory.
    np.testing.assert_allclose(turned.predict(X[["angle", "force"]]), model.predict(X), rtol=1e-9)
    with pytest.warns(ColumnBindingWarning, match="force is column 0"):
        by_position = make_model(nn=None).fit(X.to_numpy(), Y)
    assert by_position.physics_params_ == model.physics_params_
    with pytest.raises(ValueError, match="feature names should match those that were passed"):
        model.predict(X[["angle", "force"]])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X.to_numpy())


@pytest.mark.parametrize("method", ["predict", "predict_parts"])
def test_prediction_needs_a_fit_and_its_features(method):
    model = make_model()
    with pytest.raises(NotFittedError):
        getattr(model, method)(X)
    model.fit(X.to_numpy(), Y)
    with pytest.raises(ValueError, match="X has 1 features, but HybridRegressor is expecting 2"):
        getattr(model, method)(X.to_numpy()[:, :1])
    with pytest.raises(ValueError, match="contains NaN"):
        getattr(model, method)(np.full((2, 2), np.nan))


@pytest.mark.parametrize("nn", [(6,), None])
def test_prediction_has_the_shape_of_the_target(nn):
    model = make_model(nn=nn)
    flat = model.fit(X, Y).predict(X)
    assert flat.shape == Y.shape
    column = model.fit(X, Y[:, None]).predict(X)
    assert column.shape == (len(Y), 1)
    np.testing.assert_allclose(column[:, 0], flat, rtol=1e-9)
    for target in (pd.Series(Y, name="y"), Y.tolist(), Y.astype(np.float32).astype(float)):
        np.testing.assert_allclose(model.fit(X, target).predict(X), flat, atol=1e-5)
    assert model.fit(X, pd.DataFrame({"y": Y})).predict(X).shape == (len(Y), 1)


@pytest.mark.parametrize("nn", [(6,), None])
def test_two_targets(nn):
    model = make_model(physics=drive_two, nn=nn)
    targets = pd.DataFrame({"first": Y, "second": 3.0 * Y})
    model.fit(X, targets)
    assert model.predict(X).shape == (len(Y), 2)
    assert [part.shape for part in model.predict_parts(X)] == [(len(Y), 2)] * 2
    gain = model.physics_params_["gain"]
    assert gain.shape == (2,)
    assert gain[1] == pytest.approx(3.0 * gain[0], rel=0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("nn", [(6,), None])
def test_dtype_of_the_prediction(dtype, nn):
    model = make_model(nn=nn, dtype=dtype).fit(X.astype(np.float32), Y)
    # Most regressors of scikit-learn predict float64 too.
    assert model.predict(X).dtype == np.float64
    assert all(part.dtype == np.float64 for part in model.predict_parts(X))
    if nn is not None:
        assert {p.dtype for p in model.module_.parameters()} == {getattr(torch, dtype)}
    assert isinstance(model.physics_params_["gain"], float)


def test_many_rows_are_predicted_in_chunks(monkeypatch):
    model = make_model().fit(X, Y)
    at_once = model.predict(X)
    monkeypatch.setattr("skhybrid.prediction.tables.PREDICTION_ROWS", 7)
    np.testing.assert_allclose(model.predict(X), at_once, rtol=1e-12)


# Physics parameters.


@pytest.mark.parametrize("nn", [(6,), None])
def test_fixed_parameter_keeps_its_value(nn):
    physics = Physics(drive, gain=Param(1.7, fixed=True), offset=0.0)
    model = make_model(physics=physics, nn=nn).fit(X, Y)
    assert model.physics_params_["gain"] == 1.7
    assert model.physics_params_["offset"] != 0.0
    assert list(model.physics_params_) == ["gain", "offset"]


@pytest.mark.parametrize("physics_init", ["least_squares", "given"])
@pytest.mark.parametrize("nn", [(6,), None])
def test_bounds_hold(nn, physics_init):
    bounds = {"gain": (0.0, 1.5), "offset": (None, 0.2)}
    physics = Physics(drive, gain=Param(1.0, (0.0, 1.5)), offset=Param(0.1, (None, 0.2)))
    settings = {"learning_rate": 0.1, "physics_init": physics_init, "max_epochs": 60}
    model = make_model(physics=physics, nn=nn, **settings).fit(X, Y)
    assert 1.3 < model.physics_params_["gain"] <= bounds["gain"][1]
    assert model.physics_params_["offset"] <= bounds["offset"][1]


# Attributes and warnings of a finished fit.


@pytest.mark.parametrize(("refine_rho", "n_phases"), [(None, 1), (0.0, 2), (0.01, 2)])
def test_loss_curve_covers_all_epochs(refine_rho, n_phases):
    model = make_model(refine_rho=refine_rho, max_epochs=12).fit(X, Y)
    assert model.n_iter_ == len(model.loss_curve_) == 12 * n_phases
    assert all(isinstance(loss, float) for loss in model.loss_curve_)
    residual = (Y - model.predict(X)) / Y.std()
    assert model.loss_ == pytest.approx(np.mean(residual**2), rel=1e-9)
    assert model.restarts_[0]["n_iter"] == 12


def test_attributes_of_physics_alone():
    model = make_model(nn=None, nn_extrapolation="free", nn_features=[1], n_restarts=2).fit(X, Y)
    assert model.n_iter_ == len(model.loss_curve_) > 1
    residual = (Y - model.predict(X)) / Y.std()
    assert model.loss_ == pytest.approx(np.mean(residual**2), rel=1e-9)
    assert min(model.loss_curve_) == pytest.approx(model.loss_)
    assert len(model.restarts_) == 1
    slope, offset = np.polyfit(X["force"], Y, 1)
    assert model.physics_params_ == pytest.approx({"gain": slope, "offset": offset}, rel=1e-6)


def test_best_restart_is_kept():
    model = make_model(n_restarts=3, max_epochs=15).fit(X, Y)
    keys = {"start", "loss", "validation_loss", "physics_params", "status", "n_iter"}
    assert [set(restart) for restart in model.restarts_] == [keys] * 3
    losses = [restart["loss"] for restart in model.restarts_]
    assert len(set(losses)) == 3
    best = model.restarts_[int(np.argmin(losses))]
    assert model.loss_ == best["loss"]
    assert model.physics_params_ == best["physics_params"]
    residual = (Y - model.predict(X)) / Y.std()
    assert model.loss_ == pytest.approx(np.mean(residual**2), rel=1e-9)
    assert all(restart["validation_loss"] is None for restart in model.restarts_)
    alone = make_model(max_epochs=15).fit(X, Y)
    assert alone.loss_ == pytest.approx(losses[0], rel=1e-6)


def test_early_stopping():
    stopping = {"early_stopping": True, "n_iter_no_change": 5, "max_epochs": 100}
    # Only the first improvement is large enough to count.
    model = make_model(tol=1e3, **stopping).fit(X, Y)
    assert model.n_iter_ == 6
    assert model.restarts_[0]["validation_loss"] > 0.0
    assert make_model(tol=0.0, **{**stopping, "n_iter_no_change": 200}).fit(X, Y).n_iter_ == 100
    weighted = make_model(tol=1e3, **stopping).fit(X, Y, np.linspace(1.0, 2.0, len(Y)))
    assert weighted.n_iter_ == 6


def test_warning_points_to_the_line_that_called_fit():
    weak = Physics(drive, gain=Param(1e-3, bounds=(0.0, 2e-3)))
    with pytest.warns(CollapseWarning, match="The physics' part vanished") as caught:
        make_model(physics=weak).fit(X, Y)
    ours = {w.filename for w in caught if issubclass(w.category, CollapseWarning)}
    assert ours == {__file__}


@pytest.mark.parametrize("refine_rho", [None, 0.0])
def test_a_network_that_vanished_is_reported_even_after_a_refinement(refine_rho):
    data = make_pendulum_acceleration(200, missing="wiggly", random_state=0)
    model = HybridRegressor(
        pendulum_acceleration,
        nn=(16, 16),
        rho=3.0,
        perturbation="global",
        refine_rho=refine_rho,
        max_epochs=100,
        random_state=0,
    )
    with pytest.warns(CollapseWarning, match=r"network's part vanished .* tenth of rho \(rho=3.0"):
        model.fit(data.data, data.target)
    _, network = model.predict_parts(data.data)
    if refine_rho is None:
        assert network.std() < 1e-3 * data.target.std()
    else:
        assert network.std() > 0.05 * data.target.std()


def test_a_missing_device_is_named():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="device='cuda' cannot be used on this computer"):
        make_model(device="cuda").fit(X, Y)


@pytest.fixture
def quick_compiler(monkeypatch):
    """Let torch.compile write code that g++ compiles fast: without vector instructions."""
    options = {"cpp_wrapper": False, "cpp.simdlen": 1, "compile_threads": 1}
    monkeypatch.setattr(compiled_step, "OPTIONS", options)


@pytest.mark.skipif(not compiled_step.has_compiler(), reason="there is no C++ compiler")
def test_a_compiled_fit_takes_the_same_steps(quick_compiler):
    settings = {"max_epochs": 10, "optimizer": "adam"}  # one pass compiles in half the time
    plain = make_model(**settings).fit(X, Y)
    compiled = make_model(compile=True, **settings).fit(X, Y)
    assert compiled.compiled_
    assert not plain.compiled_
    np.testing.assert_allclose(compiled.loss_curve_, plain.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(compiled.predict(X), plain.predict(X), rtol=1e-9)
