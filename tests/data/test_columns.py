"""Columns that the physics and the network read."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import BaggingRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skhybrid import HybridRegressor, HybridSearchCV
from skhybrid.batching import auto_parameters
from skhybrid.data.columns import bind_columns, network_columns
from skhybrid.exceptions import ColumnBindingWarning, NetworkError, PhysicsError


@pytest.mark.parametrize(
    ("names", "feature_names", "expected"),
    [
        (("a", "b", "c"), None, [0, 1, 2]),
        ((), None, []),
        (("b", "a"), ["a", "other", "b"], [2, 0]),
        (("b", "a"), np.array(["a", "other", "b"], dtype=object), [2, 0]),
        (("X",), None, None),
        (("X",), ["a", "b"], None),
    ],
)
def test_arguments_are_bound_by_name_or_by_order(names, feature_names, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ColumnBindingWarning)
        assert bind_columns(names, feature_names, 3, "malus") == expected


def test_a_binding_by_position_that_leaves_columns_is_told():
    with pytest.warns(ColumnBindingWarning, match="a is column 0, b is column 1") as found:
        assert bind_columns(("a", "b"), None, 3, "malus") == [0, 1]
    assert "'malus'" in str(found[0].message) and "3 columns" in str(found[0].message)


def bound_by_position(action) -> list[str]:
    """Return the warnings about columns that an action gives."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        action()
    return [str(each.message) for each in found if each.category is ColumnBindingWarning]


RNG = np.random.default_rng(2)
TABLE = pd.DataFrame(RNG.uniform(0.5, 2.0, (60, 3)), columns=["wind", "height", "mass"])
WEIGHT = 9.0 * TABLE["mass"] + 2.0 * TABLE["height"]


def weight(mass, height, *, g=5.0, b=1.0):
    return g * mass + b * height


def model(**settings):
    settings = {"nn": (3,), "max_epochs": 2, "random_state": 0, **settings}
    return HybridRegressor(weight, **settings)


ESTIMATORS = {
    "fit": model(),
    "physics alone": model(nn=None),
    "auto": model(rho="auto", l2="auto"),
    "bagging": BaggingRegressor(model(), n_estimators=4, random_state=0),
    "grid search": GridSearchCV(model(), {"rho": [0.0, 0.1]}, cv=3),
    "search": HybridSearchCV(model(), {"rho": [0.0, 0.1]}, cv=3),
    "search of physics alone": HybridSearchCV(model(), {"nn": [None, (2,)]}, cv=3),
    "pipeline": make_pipeline(StandardScaler(), model()),
    "search of pipelines": HybridSearchCV(
        make_pipeline(StandardScaler(), model()), {"hybridregressor__l2": [0.0, 0.1]}, cv=2
    ),
}


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_it_is_told_once_in_a_call(estimator, monkeypatch):
    monkeypatch.setattr(auto_parameters, "RADII", (0.0, 0.1))
    monkeypatch.setattr(auto_parameters, "PENALTIES", {"l2": (0.0, 0.1)})
    x = TABLE if "pipeline" in str(estimator) else TABLE.to_numpy()
    (said,) = bound_by_position(lambda: estimator.fit(x, WEIGHT))
    assert "mass is column 0, height is column 1" in said
    assert len(bound_by_position(lambda: estimator.fit(x, WEIGHT))) == 1


def test_names_give_the_truth():
    def said_and_g(estimator, x, last=lambda fitted: fitted):
        said = bound_by_position(lambda: estimator.fit(x, WEIGHT))
        return said, last(estimator).physics_params_["g"]

    assert said_and_g(model(nn=None), TABLE) == ([], pytest.approx(9.0))
    exact = TABLE[["mass", "height"]].to_numpy()
    assert said_and_g(model(nn=None), exact) == ([], pytest.approx(9.0))
    scaler = StandardScaler(with_mean=False, with_std=False).set_output(transform="pandas")
    pipeline = make_pipeline(scaler, model(nn=None))
    found = said_and_g(pipeline, TABLE, lambda fitted: fitted[-1])
    assert found == ([], pytest.approx(9.0))


@pytest.mark.parametrize(
    ("names", "feature_names", "message"),
    [
        (
            ("pol1",),
            ["pol_1", "red"],
            r"'malus' needs a column 'pol1'.*Did you mean 'pol_1'\?.*red",
        ),
        (("Red",), ["pol_1", "red"], r"Did you mean 'red'\?"),
        (("a", "gain"), ["a", "b"], r"'malus' needs a column 'gain'.*a, b\..*after a star"),
        (("a", "b", "c", "d"), None, r"reads 4 features \(a, b, c, d\).* only 3.*after a star"),
    ],
)
def test_error_names_missing_columns(names, feature_names, message):
    with pytest.raises(PhysicsError, match=message):
        bind_columns(names, feature_names, 3, "malus")


@pytest.mark.parametrize(
    ("nn_features", "expected"),
    [
        (None, None),
        ([0, 2], [0, 2]),
        ([-1, 0], [2, 0]),
        (np.array([1, 2]), [1, 2]),
        (["b", 0], [1, 0]),
        (np.array(["c", "a"]), [2, 0]),
    ],
)
def test_network_columns_by_name_or_number(nn_features, expected):
    assert network_columns(nn_features, ["a", "b", "c"], 3) == expected


@pytest.mark.parametrize(
    ("nn_features", "feature_names", "message"),
    [
        ([], ["a", "b"], "nn_features is empty.*nn=None"),
        (["aa"], ["a", "b"], r"nn_features names a column 'aa'.*Did you mean 'a'\?.*a, b"),
        (["a"], None, "nn_features names 'a', but X has no column names"),
        ([2], None, "nn_features has column 2; X has 2 columns"),
        ([-3], None, "nn_features has column -3; X has 2 columns"),
        ([0.5], None, "nn_features must hold column names or column numbers; it has 0.5"),
        ([True, False], None, "nn_features must hold .* it has True"),
        (np.array([False, True]), None, "nn_features must hold"),
    ],
)
def test_error_names_wrong_network_columns(nn_features, feature_names, message):
    with pytest.raises(NetworkError, match=message):
        network_columns(nn_features, feature_names, 2)
