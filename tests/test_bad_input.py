"""Bad input to ``fit``: the error names the culprit, and nothing half-fitted is left behind."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.exceptions import NetworkError, PhysicsError, TrainingError

pytestmark = pytest.mark.filterwarnings(
    "ignore:Converting a tensor with requires_grad:UserWarning",
    "ignore::skhybrid.exceptions.PhysicsInitWarning",
)

N_ROWS = 24
RED = np.linspace(1.0, 2.0, N_ROWS)
GREEN = np.cos(np.arange(N_ROWS))
X = pd.DataFrame({"red": RED, "green": GREEN})
Y = 2.0 * RED + 0.3 * np.sin(3.0 * GREEN)

# What validate_data sets before anything else is looked at.
SEEN = {"n_features_in_", "feature_names_in_"}


def light(red, green, *, gain=1.0, offset=0.1):
    return gain * red + offset * green


def make_model(**settings) -> HybridRegressor:
    settings = {"physics": light, "nn": (8,), "max_epochs": 3, "random_state": 0, **settings}
    return HybridRegressor(**settings)


def fitted_attributes(model) -> dict:
    return {
        name: value
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_")
    }


def replaced(table: pd.DataFrame, value: complex) -> pd.DataFrame:
    table = table.astype(type(value))
    table.iloc[3, 1] = value
    return table


# Physics: every case is tried with a network and alone, with and without a least-squares start.


def returns_one_number(red, green, *, gain=1.0):
    return gain


def returns_a_matrix(red, green, *, gain=1.0):
    return gain * red[:, None] * green


def returns_numpy(red, green, *, gain=1.0):
    return red.numpy() * float(gain)


def returns_nothing(red, green, *, gain=1.0):
    gain * red


def returns_complex(red, green, *, gain=1.0):
    return gain * torch.sqrt(green + 0j)


def returns_nan(red, green, *, gain=1.0):
    return gain * torch.sqrt(green)


def cuts_off_gain(red, green, *, gain=1.0, offset=0.1):
    return gain.item() * red + offset * green


def cuts_off_offset(red, green, *, gain=1.0, offset=0.1):
    return gain * red + math.exp(offset) * green


def ignores_offset(red, green, *, gain=1.0, offset=0.1):
    return gain * red


def uses_numpy(red, green, *, gain=1.0):
    return np.exp(gain) * red


def changes_its_input(red, green, *, gain=1.0):
    red += 1.0
    return gain * red


def has_a_typo(reed, green, *, gain=1.0):
    return gain * reed


def wants_another_column(red, blue, *, gain=1.0):
    return gain * red * blue


def forgot_the_star(red, green, gain=1.0):
    return gain * red


def needs_a_start(red, green, *, gain):
    return gain * red


PHYSICS_CASES = {
    "one number": (
        returns_one_number,
        r"'returns_one_number' must return shape \(24,\) for 24 rows",
    ),
    "matrix": (returns_a_matrix, r"'returns_a_matrix' must return shape .* returned \(24, 24\)"),
    "numpy array": (returns_numpy, "'returns_numpy' .* returned ndarray. Use torch's functions"),
    "nothing": (returns_nothing, "'returns_nothing' .* Is a return statement missing"),
    "complex": (returns_complex, "'returns_complex' must return real numbers"),
    "nan": (returns_nan, r"'returns_nan' is not finite for \d+ of 24 .* the first has red = 1.08"),
    "cut off": (cuts_off_gain, "no gradient with respect to parameter 'gain'.*item"),
    "cut off by math": (cuts_off_offset, "no gradient with respect to parameter 'offset'.*math"),
    "not used": (ignores_offset, "parameter 'offset': it does not use it.*fixed=True"),
    "numpy function": (uses_numpy, "'uses_numpy' failed at gain=1.*Use torch's functions"),
    "in place": (changes_its_input, "'changes_its_input' changes its inputs in place"),
    "typo": (has_a_typo, r"'has_a_typo' needs a column 'reed'.*Did you mean 'red'\?"),
    "unknown column": (wants_another_column, "needs a column 'blue'.*Columns of X: red, green"),
    "no star": (forgot_the_star, "'gain' of forgot_the_star .* after a star"),
    "no start": (needs_a_start, "'gain' of needs_a_start has no initial value"),
    "class": (nn.Linear, "Pass an instance of the class"),
}


@pytest.mark.parametrize("settings", [{}, {"physics_init": "given"}, {"nn": None}], ids=str)
@pytest.mark.parametrize(("physics", "message"), PHYSICS_CASES.values(), ids=PHYSICS_CASES)
def test_physics_that_cannot_be_used(physics, message, settings):
    model = make_model(physics=physics, **settings)
    with pytest.raises(PhysicsError, match=message):
        model.fit(X, Y)
    assert set(fitted_attributes(model)) <= SEEN


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gian": 1.0}, r"no parameter named 'gian'\. Did you mean 'gain'\?"),
        ({"gain": Param(2.0, bounds=(0.0, 1.0))}, "2.0 of physics parameter 'gain' is outside"),
        ({"gain": "bright"}, "'gain' must be a number"),
        ({"gain": math.nan}, "'gain' must be finite"),
    ],
)
def test_physics_is_refused_before_there_is_an_estimator(given, message):
    with pytest.raises(PhysicsError, match=message):
        Physics(light, **given)


def test_initial_value_outside_bounds_in_the_signature():
    def physics(red, green, *, gain=Param(-1.0, bounds=(0.0, None))):  # noqa: B008
        return gain * red

    model = make_model(physics=physics)
    with pytest.raises(PhysicsError, match=r"-1\.0 of physics parameter 'gain' is outside"):
        model.fit(X, Y)
    assert not fitted_attributes(model).keys() - SEEN


def test_too_few_features_for_the_named_arguments():
    model = make_model()
    message = r"'light' reads 2 features \(red, green\), in this order; X has only 1"
    with pytest.raises(PhysicsError, match=message):
        model.fit(X[["red"]].to_numpy(), Y)
    with pytest.raises(PhysicsError, match="'light' needs a column 'green'"):
        model.fit(X[["red"]], Y)
    assert set(fitted_attributes(model)) <= SEEN


# Everything else: settings, X, y, sample_weight, error, message


def nan_answer(x, physics, nn):
    return physics(x) + nn(x) * math.nan


WEIGHTS = np.ones(N_ROWS)
MASK = {"missing_targets": "mask"}

CASES = {
    "network too wide": ({"nn": nn.Linear(2, 3)}, X, Y, None, NetworkError, r"\(24, 3\)"),
    "network input": (
        {"nn": nn.Linear(5, 1)},
        X,
        Y,
        None,
        NetworkError,
        r"nn failed on inputs of shape \(24, 2\), which are rows and 2 features",
    ),
    "network of a tuple": ({"nn": nn.LSTM(2, 1)}, X, Y, None, NetworkError, "nn must .* tuple"),
    "batch norm": (
        {"nn": nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))},
        X,
        Y,
        None,
        NetworkError,
        r"Layer '1' \(BatchNorm1d\) keeps running statistics.*LayerNorm",
    ),
    "hidden size zero": ({"nn": (8, 0)}, X, Y, None, NetworkError, r"nn must be .*\(8, 0\)"),
    "hidden size real": ({"nn": (8.5,)}, X, Y, None, NetworkError, r"nn must be .*\(8.5,\)"),
    "nothing to learn": (
        {"physics": None, "nn": nn.Linear(2, 1).requires_grad_(False)},
        X,
        Y,
        None,
        NetworkError,
        "Neither physics nor nn has a parameter",
    ),
    "nn_features typo": (
        {"nn_features": ["gren"]},
        X,
        Y,
        None,
        NetworkError,
        r"nn_features names a column 'gren'.*Did you mean 'green'\?",
    ),
    "nn_features empty": ({"nn_features": []}, X, Y, None, NetworkError, "nn_features is empty"),
    "nn_features number": (
        {"nn_features": [2]},
        X,
        Y,
        None,
        NetworkError,
        "nn_features has column 2; X has 2",
    ),
    "nothing at all": (
        {"physics": None, "nn": None},
        X,
        Y,
        None,
        ValueError,
        "physics and nn are both None",
    ),
    "structure without nn": (
        {"structure": lambda x, physics, nn: physics(x)},
        X,
        Y,
        None,
        ValueError,
        "structure never calls nn.*set nn=None",
    ),
    "structure of another shape": (
        {"structure": lambda x, physics, nn: (physics(x) + nn(x))[:5]},
        X,
        Y,
        None,
        ValueError,
        r"structure must return shape \(24,\).*returned \(5,\)",
    ),
    "structure of nan": ({"structure": nan_answer}, X, Y, None, NetworkError, "not finite"),
    "unknown structure": (
        {"structure": "aditive"},
        X,
        Y,
        None,
        ValueError,
        "'structure' parameter of HybridRegressor",
    ),
    "diverging": (
        {"rho": 1e38},
        X,
        Y,
        None,
        TrainingError,
        r"rho \(1e\+38\)",
    ),
    "NaN in X": ({}, replaced(X, math.nan), Y, None, ValueError, "X contains NaN"),
    "infinity in X": ({}, replaced(X, math.inf), Y, None, ValueError, "X contains infinity"),
    "complex X": ({}, replaced(X, 1j), Y, None, ValueError, "Complex data not supported"),
    "X beyond float32": ({}, replaced(X, 1e39), Y, None, ValueError, "X has values beyond 3.4e"),
    "NaN in y": ({}, X, np.where(RED > 1.9, np.nan, Y), None, ValueError, "y contains NaN"),
    "infinity in y": ({}, X, np.where(RED > 1.9, np.inf, Y), None, ValueError, "y contains inf"),
    "infinity in masked y": (
        MASK,
        X,
        np.where(RED > 1.9, -np.inf, Y),
        None,
        ValueError,
        "y contains inf",
    ),
    "complex y": ({}, X, Y + 1j, None, ValueError, "Complex data not supported"),
    "y beyond float32": ({}, X, Y * 1e39, None, ValueError, "y has values beyond 3.4e"),
    "y all missing": (MASK, X, Y * np.nan, None, ValueError, "Every target is missing"),
    "a target all missing": (
        {**MASK, "physics": None},
        X,
        np.column_stack([Y, Y * np.nan]),
        None,
        ValueError,
        "Target column 1 is missing in every row",
    ),
    "y missing where weighted": (
        MASK,
        X,
        np.where(RED > 1.5, np.nan, Y),
        np.where(RED > 1.5, 1.0, 0.0),
        ValueError,
        "Every target is missing",
    ),
    "negative weight": (
        {},
        X,
        Y,
        np.where(RED > 1.9, -0.5, 1.0),
        ValueError,
        "sample_weight must not be negative; its smallest is -0.5",
    ),
    "zero weights": ({}, X, Y, 0.0 * WEIGHTS, ValueError, "(?i)sample.weight.* zero|non-zero"),
    "NaN weight": ({}, X, Y, np.nan * WEIGHTS, ValueError, "sample_weight contains NaN"),
    "weights of another length": ({}, X, Y, WEIGHTS[:3], ValueError, "sample_weight.shape"),
    "y of another length": ({}, X, Y[:3], None, ValueError, "inconsistent numbers of samples"),
    "y of three dimensions": ({}, X, Y.reshape(-1, 1, 1), None, ValueError, "dim"),
    "one row to split": (
        {"early_stopping": True},
        X[:1],
        Y[:1],
        None,
        ValueError,
        "n_samples=1.*train set will be empty",
    ),
}

every_case = pytest.mark.parametrize(
    ("settings", "table", "target", "weight", "error", "message"), CASES.values(), ids=CASES
)


@every_case
def test_error_names_the_culprit_and_nothing_is_left(
    settings, table, target, weight, error, message
):
    model = make_model(**settings)
    generator, threads = torch.random.get_rng_state(), torch.get_num_threads()
    with pytest.raises(error, match=message):
        model.fit(table, target, weight)
    assert set(fitted_attributes(model)) <= SEEN
    with pytest.raises(NotFittedError):
        check_is_fitted(model, "module_")
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert torch.get_num_threads() == threads


@every_case
def test_failed_refit_leaves_the_old_fit(settings, table, target, weight, error, message):
    model = make_model().fit(X, Y)
    before, prediction = fitted_attributes(model), model.predict(X)
    weights = {name: p.clone() for name, p in model.module_.state_dict().items()}
    with pytest.raises(error, match=message):
        model.set_params(**settings).fit(table, target, weight)
    after = fitted_attributes(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before.keys() - SEEN)
    np.testing.assert_array_equal(model.predict(X), prediction)
    np.testing.assert_array_equal(sum(model.predict_parts(X)), prediction)
    assert all(torch.equal(p, weights[name]) for name, p in model.module_.state_dict().items())


@pytest.mark.parametrize(("physics", "message"), PHYSICS_CASES.values(), ids=PHYSICS_CASES)
def test_refit_with_bad_physics_leaves_the_old_fit(physics, message):
    model = make_model().fit(X, Y)
    params, prediction = dict(model.physics_params_), model.predict(X)
    with pytest.raises(PhysicsError, match=message):
        model.set_params(physics=physics).fit(X, Y)
    assert model.physics_params_ == params
    np.testing.assert_array_equal(model.predict(X), prediction)


def test_refit_that_fails_on_another_table_leaves_the_old_fit():
    model = make_model().fit(X, Y)
    prediction = model.predict(X)
    with pytest.raises(PhysicsError, match="needs a column 'green'"):
        model.fit(X[["red"]], Y)
    np.testing.assert_array_equal(model.predict(X), prediction)


def test_failed_warm_start_leaves_the_old_fit():
    model = make_model(warm_start=True).fit(X, Y)
    prediction = model.predict(X)
    with pytest.raises(PhysicsError, match="cuts it off"):
        model.set_params(physics=cuts_off_gain).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), prediction)


def test_modules_of_the_user_are_never_changed():
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
def test_bad_table_is_refused_in_prediction(value):
    model = make_model().fit(X, Y)
    with pytest.raises(ValueError, match=r"NaN|infinity|Complex"):
        model.predict(replaced(X, value))


def test_columns_in_another_order_are_refused_in_prediction():
    model = make_model().fit(X, Y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[["green", "red"]])
