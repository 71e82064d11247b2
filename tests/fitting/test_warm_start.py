"""Continuing from an earlier fit."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from small_models import drive, drive_squared, drive_two, make_model, make_table, twice_corrected

from skhybrid import Param, Physics

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()
TWO = np.column_stack([Y, 3.0 * Y])


@pytest.mark.parametrize("structure", ["additive", "serial"])
@pytest.mark.parametrize("refine_rho", [None, 0.0])
def test_the_loss_continues_from_its_last_value(structure, refine_rho):
    settings = {"structure": structure, "refine_rho": refine_rho, "rho": 0.01}
    model = make_model(warm_start=True, max_epochs=300, **settings).fit(X, Y)
    first = model.loss_
    second = model.set_params(max_epochs=100).fit(X, Y).loss_
    assert second <= 1.05 * first
    assert model.loss_curve_[0] <= 1.05 * first
    assert len(model.loss_curve_) == model.n_iter_ == 100 * (1 if refine_rho is None else 2)
    anew = model.set_params(warm_start=False).fit(X, Y)
    assert anew.loss_ > second


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_parameters_and_network_start_at_their_last_values(dtype):
    physics = Physics(drive, gain=Param(1.0, bounds=(0.0, 5.0)), offset=Param(0.1, (None, 2.0)))
    model = make_model(warm_start=True, physics=physics, max_epochs=60).fit(X, Y)
    params, prediction = model.physics_params_, model.predict(X)
    tiny = {"learning_rate": 1e-12, "physics_learning_rate": 0.0, "max_epochs": 1}
    model.set_params(dtype=dtype, random_state=1, **tiny).fit(X, Y)
    assert model.physics_params_ == pytest.approx(params, rel=1e-5)
    np.testing.assert_allclose(model.predict(X), prediction, rtol=1e-5)
    assert {str(weight.dtype) for weight in model.module_.parameters()} == {f"torch.{dtype}"}


def varying(**settings):
    gain = Param(1.0, bounds=(0.0, 5.0), depends_on=settings.pop("depends_on", ["angle"]))
    offset = Param(0.1, depends_on=settings.pop("offset", None))
    physics = Physics(drive, gain=gain, offset=offset)
    return make_model(warm_start=True, physics=physics, **settings)


def test_parameters_that_are_functions_start_at_their_last_values():
    model = varying(max_epochs=60).fit(X, Y)
    gain = model.predict_params(X)["gain"]
    tiny = {"learning_rate": 1e-12, "physics_learning_rate": 0.0, "max_epochs": 1}
    model.set_params(random_state=1, **tiny).fit(X, Y)
    np.testing.assert_allclose(model.predict_params(X)["gain"], gain, rtol=1e-5)


@pytest.mark.parametrize("offset", [None, ["angle"]])
def test_functions_of_other_features_cannot_continue(offset):
    model = varying(offset=["force"], max_epochs=1).fit(X, Y)
    model.set_params(physics=varying(depends_on=["force"], offset=offset).physics)
    with pytest.raises(ValueError, match=r"but depends_on changed since: now \{'gain': \[\d\]"):
        model.fit(X, Y)


def test_a_new_initial_value_does_not_move_the_start_but_a_known_value_holds():
    physics = Physics(drive, offset=Param(0.3, fixed=True))
    model = make_model(warm_start=True, physics=physics, max_epochs=60).fit(X, Y)
    gain = model.physics_params_["gain"]
    model.set_params(physics__gain=9.0, physics__offset=0.4)
    model.set_params(learning_rate=1e-12, physics_learning_rate=0.0, max_epochs=1).fit(X, Y)
    assert model.physics_params_ == pytest.approx({"gain": gain, "offset": 0.4}, rel=1e-5)


def test_the_next_fit_may_have_other_rows():
    model = make_model(warm_start=True, max_epochs=50).fit(X, Y)
    more, target = make_table(70, seed=3)
    model.fit(more, target, np.linspace(1.0, 2.0, 70))
    assert model.score(more, target) > 0.9
    with pytest.raises(ValueError, match="feature names should match"):
        model.fit(X[["angle", "force"]], Y)


@pytest.mark.parametrize("nn", [(6,), None])
def test_a_parameter_may_be_fixed_or_freed_in_between(nn):
    model = make_model(warm_start=True, nn=nn).fit(X, Y)
    fixed = Physics(drive, gain=Param(1.7, fixed=True))
    assert model.set_params(physics=fixed).fit(X, Y).physics_params_["gain"] == 1.7
    free = model.set_params(physics=drive, physics_learning_rate=0.0).fit(X, Y)
    if nn is None:
        assert free.physics_params_["gain"] != 1.7
    else:
        assert free.physics_params_["gain"] == pytest.approx(1.7)


def test_physics_alone_starts_at_its_last_values():
    model = make_model(warm_start=True, nn=None).fit(X, Y)
    first = model.n_iter_
    assert model.fit(X, Y).n_iter_ < first


def test_other_restarts_start_elsewhere():
    model = make_model(warm_start=True, n_restarts=2, max_epochs=100).fit(X, Y)
    first, second = model.fit(X, Y).restarts_
    assert first["loss"] < second["loss"]


@pytest.mark.parametrize(
    ("settings", "target", "what"),
    [
        ({"nn": (7,)}, Y, "nn"),
        ({"nn": (6, 6)}, Y, "nn"),
        ({"nn": None}, Y, "nn"),
        ({"nn_features": [0]}, Y, "nn_features"),
        ({"structure": "multiplicative"}, Y, "structure"),
        ({"structure": twice_corrected}, Y, "structure"),
        ({"physics": drive_squared}, Y, "the physics parameters"),
        ({"physics": drive_two}, TWO, "the physics parameters"),
        ({"physics": None}, Y, "the physics parameters"),
        ({}, Y[:, None], "the shape of one target"),
    ],
    ids=lambda value: str(value)[:25],
)
def test_another_model_cannot_continue(settings, target, what):
    model = make_model(warm_start=True, nn_features=[1]).fit(X, Y)
    attributes, prediction = dict(vars(model)), model.predict(X)
    before = model.get_params()
    with pytest.raises(ValueError, match=f"but {what} changed since: now .*, then .*start anew"):
        model.set_params(**settings).fit(X, target)
    model.set_params(**before)
    assert vars(model) == attributes
    np.testing.assert_array_equal(model.predict(X), prediction)
    model.set_params(warm_start=False, **settings).fit(X, target)


def test_physics_alone_cannot_continue_with_a_network():
    model = make_model(warm_start=True, nn=None).fit(X, Y)
    with pytest.raises(ValueError, match="but nn changed since"):
        model.set_params(nn=(6,)).fit(X, Y)


def test_the_earlier_fit_does_not_change():
    model = make_model(warm_start=True, structure="serial").fit(X, Y)
    earlier, prediction = copy.copy(model), model.predict(X)
    model.fit(*make_table(50, seed=5))
    np.testing.assert_array_equal(earlier.predict(X), prediction)
    assert not np.array_equal(model.predict(X), prediction)
