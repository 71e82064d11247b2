"""Bad settings and data: the error names the culprit, and nothing half-fitted is left."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from small_light import N_ROWS, RED, SEEN, X, Y, fitted_attributes, make_model
from torch import nn

from skhybrid import HybridRegressor
from skhybrid.exceptions import NetworkError, TrainingError

WEIGHT = np.ones(N_ROWS)
LARGE = RED > 1.9


@pytest.fixture(scope="module")
def fitted_once() -> HybridRegressor:
    return make_model().fit(X, Y)


@pytest.fixture
def fitted(fitted_once) -> HybridRegressor:
    """A fitted model for one test."""
    return copy.deepcopy(fitted_once)


def replaced(table: pd.DataFrame, value: complex) -> pd.DataFrame:
    table = table.astype(type(value))
    table.iloc[3, 1] = value
    return table


def nan_answer(x, physics, nn):
    return physics(x) + nn(x) * math.nan


class Case(NamedTuple):
    """A mistake: what the error says about it, and the settings that cause it."""

    message: str
    settings: dict[str, Any]
    x: pd.DataFrame
    y: np.ndarray
    weight: np.ndarray | None
    error: type[Exception]


def case(message, *, x=X, y=Y, weight=None, error=ValueError, **settings) -> Case:
    return Case(message, settings, x, y, weight, error)


def network_case(message, nn, **settings) -> Case:
    return case(message, nn=nn, error=NetworkError, **settings)


def features_case(message, nn_features) -> Case:
    return case(message, nn_features=nn_features, error=NetworkError)


def masked_case(message, **options) -> Case:
    return case(message, missing_targets="mask", **options)


with_batch_norm = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
frozen = nn.Linear(2, 1).requires_grad_(False)

CASES = {
    "network too wide": network_case(r"\(24, 3\)", nn.Linear(2, 3)),
    "network input": network_case(
        r"nn failed on inputs of shape \(24, 2\), which are rows and 2 features", nn.Linear(5, 1)
    ),
    "network of a tuple": network_case("nn must .* tuple", nn.LSTM(2, 1)),
    "batch norm": network_case(
        r"Layer '1' \(BatchNorm1d\) keeps running statistics.*LayerNorm", with_batch_norm
    ),
    "hidden size zero": network_case(r"nn must be .*\(8, 0\)", (8, 0)),
    "hidden size real": network_case(r"nn must be .*\(8.5,\)", (8.5,)),
    "nothing to learn": network_case(
        "Neither physics nor nn has a parameter", frozen, physics=None
    ),
    "nn_features typo": features_case(
        r"nn_features names a column 'gren'.*Did you mean 'green'\?", ["gren"]
    ),
    "nn_features empty": features_case("nn_features is empty", []),
    "nn_features number": features_case("nn_features has column 2; X has 2", [2]),
    "nothing at all": case("physics and nn are both None", physics=None, nn=None),
    "structure without nn": case(
        "structure never calls nn.*set nn=None", structure=lambda x, physics, nn: physics(x)
    ),
    "structure of another shape": case(
        r"structure must return shape \(24,\).*returned \(5,\)",
        structure=lambda x, physics, nn: (physics(x) + nn(x))[:5],
    ),
    "structure of nan": case("not finite", structure=nan_answer, error=NetworkError),
    "unknown structure": case("'structure' parameter of HybridRegressor", structure="aditive"),
    "diverging": case(r"rho \(1e\+38\)", rho=1e38, error=TrainingError),
    "NaN in X": case("X contains NaN", x=replaced(X, math.nan)),
    "infinity in X": case("X contains infinity", x=replaced(X, math.inf)),
    "complex X": case("Complex data not supported", x=replaced(X, 1j)),
    "X beyond float32": case("X has the value .* beyond 3.4e", x=replaced(X, 1e39)),
    "NaN in y": case("y contains NaN", y=np.where(LARGE, np.nan, Y)),
    "infinity in y": case("y contains inf", y=np.where(LARGE, np.inf, Y)),
    "infinity in masked y": masked_case("y contains inf", y=np.where(LARGE, -np.inf, Y)),
    "complex y": case("Complex data not supported", y=Y + 1j),
    "y beyond float32": case("y has the value .* beyond 3.4e", y=Y * 1e39),
    "y all missing": masked_case("Every target is missing", y=Y * np.nan),
    "a target all missing": masked_case(
        "Target column 1 is missing in every row", y=np.column_stack([Y, Y * np.nan]), physics=None
    ),
    "y missing where weighted": masked_case(
        "Every target is missing",
        y=np.where(RED > 1.5, np.nan, Y),
        weight=np.where(RED > 1.5, 1.0, 0.0),
    ),
    "negative weight": case(
        "sample_weight must not be negative; its smallest is -0.5",
        weight=np.where(LARGE, -0.5, 1.0),
    ),
    "zero weights": case("(?i)sample.weight.* zero|non-zero", weight=0.0 * WEIGHT),
    "NaN weight": case("sample_weight contains NaN", weight=np.nan * WEIGHT),
    "weights of another length": case("sample_weight.shape", weight=WEIGHT[:3]),
    "y of another length": case("inconsistent numbers of samples", y=Y[:3]),
    "y of three dimensions": case("dim", y=Y.reshape(-1, 1, 1)),
    "one row to split": case(
        "n_samples=1.*train set will be empty", x=X[:1], y=Y[:1], early_stopping=True
    ),
}

every_case = pytest.mark.parametrize("wrong", CASES.values(), ids=CASES)


@every_case
def test_error_names_the_culprit_and_nothing_is_left(wrong):
    model = make_model(**wrong.settings)
    generator, threads = torch.random.get_rng_state(), torch.get_num_threads()
    with pytest.raises(wrong.error, match=wrong.message):
        model.fit(wrong.x, wrong.y, wrong.weight)
    assert set(fitted_attributes(model)) <= SEEN
    with pytest.raises(NotFittedError):
        check_is_fitted(model, "module_")
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert torch.get_num_threads() == threads


@every_case
def test_failed_refit_leaves_the_old_fit(wrong, fitted):
    before, prediction = fitted_attributes(fitted), fitted.predict(X)
    weights = {name: p.clone() for name, p in fitted.module_.state_dict().items()}
    with pytest.raises(wrong.error, match=wrong.message):
        fitted.set_params(**wrong.settings).fit(wrong.x, wrong.y, wrong.weight)
    after = fitted_attributes(fitted)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before.keys() - SEEN)
    np.testing.assert_array_equal(fitted.predict(X), prediction)
    np.testing.assert_array_equal(sum(fitted.predict_parts(X)), prediction)
    assert all(torch.equal(p, weights[name]) for name, p in fitted.module_.state_dict().items())


def test_modules_of_the_user_do_not_change():
    class Gain(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(1.0))

        def forward(self, red):
            return self.gain * red

    physics, network = Gain(), nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    before = [p.detach().clone() for p in [*physics.parameters(), *network.parameters()]]
    model = make_model(physics=physics, nn=network).fit(X, Y)
    assert model.module_ is not network
    assert model.physics_params_["gain"] != 1.0
    after = [*physics.parameters(), *network.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert all(p.grad is None and p.requires_grad for p in after)
    clone(model).fit(X, Y)


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")
@pytest.mark.parametrize("n_rows", [1, 2])
@pytest.mark.parametrize(
    "settings", [{}, {"physics": None}, {"nn": None}, {"structure": "serial"}], ids=str
)
def test_one_or_two_rows_are_enough(n_rows, settings):
    model = make_model(**settings).fit(X[:n_rows], Y[:n_rows])
    prediction = model.predict(X)
    assert prediction.shape == (N_ROWS,)
    assert np.isfinite(prediction).all()
    assert np.isfinite(model.loss_)
    np.testing.assert_allclose(model.predict(X[:n_rows]), Y[:n_rows], atol=1.0)


def test_zero_rows_are_refused():
    with pytest.raises(ValueError, match="0 sample"):
        make_model().fit(X[:0], Y[:0])


@pytest.mark.parametrize("value", [math.nan, math.inf, 1j])
def test_bad_table_is_refused_in_prediction(value, fitted):
    with pytest.raises(ValueError, match=r"NaN|infinity|Complex"):
        fitted.predict(replaced(X, value))


def test_columns_in_another_order_are_refused_in_prediction(fitted):
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(X[["green", "red"]])
