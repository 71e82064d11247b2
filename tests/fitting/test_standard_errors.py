"""Standard errors as the user reads them: certified values, intervals, names of what is unknown."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from nist_problems import PROBLEMS, load
from numpy.testing import assert_allclose
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from small_models import drive, make_table

from skhybrid import HybridRegressor, Param, Physics

X, Y = make_table()


def fit(physics, x=X, y=Y, **fit_parameters):
    return HybridRegressor(physics, nn=None).fit(x, y, **fit_parameters)


@pytest.mark.parametrize("name", PROBLEMS)
def test_certified_standard_deviations_to_six_digits(name):
    problem = load(name)
    initial = {f"b{i}": value for i, value in enumerate(problem.starts[1], start=1)}
    model = fit(Physics(problem.model, **initial), problem.x[:, None], problem.y)
    found = np.array([model.physics_params_std_[name] for name in initial])
    assert_allclose(found, problem.standard_deviation, rtol=1e-6)


def test_correlations_are_those_of_a_straight_line():
    model = fit(Physics(drive))
    columns = np.stack([X["force"], np.ones(len(X))], axis=1)
    inverse = np.linalg.inv(columns.T @ columns)
    residual = Y - model.predict(X)
    expected = inverse * np.sum(residual**2) / (len(Y) - 2)
    std = np.sqrt(np.diagonal(expected))
    assert_allclose([*model.physics_params_std_.values()], std, rtol=1e-6)
    frame = model.physics_params_correlation_
    assert [*frame.columns] == [*frame.index] == ["gain", "offset"]
    assert_allclose(frame, expected / np.outer(std, std), rtol=1e-6)


def test_intervals_have_quantiles_of_student_and_end_at_bounds():
    free = fit(Physics(drive))
    bound = free.physics_params_["gain"] - 0.1 * free.physics_params_std_["gain"]
    model = fit(Physics(drive, gain=Param(bound + 1.0, bounds=(bound, None))))
    errors = model._fitted.standard_errors
    intervals = errors.interval(0.9)
    half = student_t.ppf(0.95, len(Y) - 2) * model.physics_params_std_["offset"]
    value = model.physics_params_["offset"]
    assert intervals["offset"] == pytest.approx((value - half, value + half))
    assert intervals["gain"][0] == bound
    with pytest.raises(ValueError, match=r"between 0 and 1.*got 95"):
        errors.interval(95)


def test_arrays_keep_their_shape():
    def polynomial(force, *, coefficients=((1.0, 0.5),)):
        return coefficients[0][0] + coefficients[0][1] * force

    def two(force, *, a=1.0, b=0.5):
        return a + b * force

    arrays, numbers = (fit(each, X[["force"]]) for each in (polynomial, two))
    expected = [[*numbers.physics_params_std_.values()]]
    assert_allclose(arrays.physics_params_std_["coefficients"], expected)
    names = ["coefficients[0, 0]", "coefficients[0, 1]"]
    assert [*arrays.physics_params_correlation_.index] == names
    low, high = arrays._fitted.standard_errors.interval()["coefficients"]
    assert low.shape == high.shape == (1, 2)


def test_a_hybrid_says_what_to_do_instead():
    model = HybridRegressor(drive, nn=(4,), max_epochs=1).fit(X, Y)
    for name in ("physics_params_std_", "physics_params_correlation_"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=r"need refits: use .*confidence_intervals"):
            getattr(model, name)


def test_an_unfitted_model_says_so():
    with pytest.raises(NotFittedError):
        _ = clone(HybridRegressor(drive, nn=None)).physics_params_std_


def test_standard_errors_survive_pickle():
    model = fit(Physics(drive))
    assert pickle.loads(pickle.dumps(model)).physics_params_std_ == model.physics_params_std_
