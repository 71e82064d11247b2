"""Parameters of the estimator: their constraints, their documentation, how they are shown."""

from __future__ import annotations

import re

import pytest
import torch
from sklearn.base import is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils._param_validation import InvalidParameterError
from small_models import drive, make_model, make_table

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.exceptions import NetworkError

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()

BAD = {
    "physics": ["malus", 3.0],
    "nn": ["64", 0, -8, 2.5],
    "structure": ["parallel", 1],
    "optimizer": ["adamw", None],
    "rho": [-0.1, "big", float("nan"), float("inf"), None],
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
