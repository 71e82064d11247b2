"""Parameters of the estimator: their constraints, their documentation, how they are shown."""

from __future__ import annotations

import re

import pytest
import torch
from sklearn.base import is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils._param_validation import InvalidParameterError
from small_models import ForceModule, drive, make_model, make_table

from skhybrid import HybridRegressor, HybridSearchCV, Param, Physics
from skhybrid.exceptions import NetworkError, PhysicsError

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()

BAD = {
    "physics": ["malus", 3.0],
    "nn": ["64", 0, -8, 2.5],
    "structure": ["parallel", 1],
    "loss": ["huberr", None],
    "huber_delta": [0.0, -1.0, "large", None],
    "optimizer": ["adamw", None],
    "rho": [-0.1, "big", float("nan"), float("inf"), None],
    "rho_schedule": ["cosine", None],
    "perturbation": ["layers", None],
    "perturb": ["physics", None],
    "refine_rho": [-0.1, "small", float("nan")],
    "l2": [-1e-4, "none", None],
    "functional_norm": [-1.0, None],
    "orthogonality": [-1.0, None],
    "learning_rate": [0.0, -1e-3, "fast"],
    "physics_learning_rate": [-1e-3, "fast"],
    "max_epochs": [0, 1.5, "long", None],
    "batch_size": [0, 1.5, "half"],
    "n_restarts": [0, 1.5, None],
    "early_stopping": ["yes", None],
    "validation_fraction": [0.0, 1.0, 1.5, None],
    "n_iter_no_change": [0, 2.5, None],
    "tol": [-1e-4, None],
    "nn_features": ["force", 0],
    "nn_extrapolation": ["clamp", None],
    "physics_init": ["ols", None],
    "missing_targets": ["drop", None],
    "warm_start": ["yes", None],
    "checkpoint": [3, 1.5],
    "dtype": ["float16", torch.float64, None],
    "device": ["gpu", 0, None],
    "n_threads": [0, 1.5],
    "compile": ["yes", None],
    "random_state": ["seed", -1],
    "verbose": [-1, "loud"],
}


def test_every_parameter_has_bad_values():
    assert BAD.keys() == HybridRegressor().get_params().keys()


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_bad_parameter(name, value):
    model = make_model(**{name: value})
    with pytest.raises(InvalidParameterError, match=f"The {name!r} parameter of HybridRegressor"):
        model.fit(X, Y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize("nn", [(8, 0), (8, 2.5), [8, "8"]])
def test_bad_hidden_sizes(nn):
    with pytest.raises(NetworkError, match="nn must be hidden sizes"):
        make_model(nn=nn).fit(X, Y)


def test_nothing_to_fit():
    with pytest.raises(ValueError, match="physics and nn are both None"):
        HybridRegressor(nn=None).fit(X, Y)


def test_parameters_round_trip():
    model = make_model(structure="serial", nn=(3, 3))
    parameters = model.get_params()
    other = HybridRegressor()
    assert other.set_params(**parameters) is other
    assert other.get_params() == parameters
    with pytest.raises(ValueError, match="Invalid parameter 'roh'"):
        model.set_params(roh=0.1)


def test_unknowns_of_the_physics_are_parameters():
    model = make_model(physics=Physics(drive, gain=Param(1.0, bounds=(0.0, 4.0))))
    nested = {name for name in model.get_params() if "__" in name}
    assert nested == {"physics__gain", "physics__offset"}
    assert "physics__gain" not in model.get_params(deep=False)
    assert model.set_params(physics__gain=0.3, rho=0.1) is model
    assert repr(model.get_params()["physics__gain"]) == "Param(0.3, bounds=(0.0, 4.0))"
    for name, value in model.get_params().items():
        model.set_params(**{name: value})
        assert model.get_params()[name] is value
    model.set_params(physics__offset=0.2, physics=Physics(drive, gain=2.0))
    assert repr(model.physics) == "Physics(drive, gain=Param(2.0), offset=Param(0.2))"


@pytest.mark.parametrize(
    ("physics", "name", "message"),
    [
        (Physics(drive), "physics__gian", "no parameter named 'gian'. Did you mean 'gain'"),
        (Physics(drive), "physics__gain__unit", "no parameter named 'gain__unit'"),
        (drive, "physics__gain", r"'drive' is not wrapped in Physics.*physics=Physics\(drive\)"),
        (ForceModule(), "physics__gain", "'ForceModule' is not wrapped in Physics"),
        (None, "physics__gain", "because physics is None"),
    ],
)
def test_an_unknown_that_cannot_be_set_is_named(physics, name, message):
    model = make_model(physics=physics)
    with pytest.raises(PhysicsError, match=message):
        model.set_params(**{name: 2.0})
    with pytest.raises(PhysicsError, match=message):
        GridSearchCV(model, {name: [2.0]}, cv=2).fit(X, Y)
    with pytest.raises(PhysicsError, match=message):
        HybridSearchCV(model, {name: [2.0]}, cv=2).fit(X, Y)


def test_a_fitted_model_keeps_its_physics():
    model = make_model(physics=Physics(drive, offset=Param(0.3, fixed=True)), max_epochs=3)
    before = model.fit(X, Y).predict(X)
    model.set_params(physics__gain=9.0, physics__offset=Param(5.0))
    assert model.physics_params_["offset"] == pytest.approx(0.3)
    assert (model.predict(X) == before).all()


def test_every_parameter_is_documented():
    text = HybridRegressor.__doc__.split("Attributes\n    ---")[0]
    documented = [
        name.strip()
        for names in re.findall(r"^    (\w[\w, ]*) : ", text, flags=re.MULTILINE)
        for name in names.split(",")
    ]
    assert documented == list(HybridRegressor._parameter_constraints)


def test_tags():
    model = make_model()
    assert is_regressor(model)
    assert get_tags(model).target_tags.multi_output
    assert not get_tags(model).input_tags.allow_nan


def test_text_and_html_show_the_physics():
    physics = Physics(drive, gain=Param(1.5, bounds=(0.0, None), unit="N"))
    model = make_model(physics=physics, rho=0.2)
    shown = "Physics(drive, gain=Param(1.5, bounds=(0.0, None), unit='N'), offset=Param(0.1))"
    assert repr(physics) == shown
    assert shown in " ".join(repr(model).split())
    assert "rho=0.2" in repr(model)
    assert "n_restarts" not in repr(model)
    for estimator in (model, make_model(), model.fit(X, Y)):
        html = estimator_html_repr(estimator)
        assert "HybridRegressor" in html
        assert "drive" in html
