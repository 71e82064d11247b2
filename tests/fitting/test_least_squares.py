"""Least squares for the physics alone: certified problems, bounds, weights and derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from nist_problems import PROBLEMS, load
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning
from small_fits import make_hybrid
from small_trajectories import SmallTrajectories, make_oscillations, position

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.fitting import least_squares
from skhybrid.fitting import residuals as residuals_module
from skhybrid.fitting.least_squares import fit_least_squares
from skhybrid.fitting.residuals import Residuals
from skhybrid.model.batch import Batch
from skhybrid.model.layout import FIRST_STATES


def fit(physics, x, y, **parameters):
    return HybridRegressor(physics=physics, nn=None, **parameters).fit(np.reshape(x, (-1, 1)), y)


def found(model) -> np.ndarray:
    return np.array(list(model.physics_params_.values()))


# The certified problems


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("start", [0, 1], ids=["far", "near"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_certified_parameters_are_found_to_six_digits(name, start):
    problem = load(name)
    initial = {f"b{i}": value for i, value in enumerate(problem.starts[start], start=1)}
    model = fit(Physics(problem.model, **initial), problem.x, problem.y)
    assert list(model.physics_params_) == list(initial)
    error = np.abs(found(model) - problem.certified) / np.abs(problem.certified)
    assert -np.log10(error.max() + 1e-16) >= 6
    residual = np.sum((model.predict(problem.x[:, None]) - problem.y) ** 2)
    assert residual == pytest.approx(problem.residual_sum_of_squares, rel=1e-6)
    expected = problem.residual_sum_of_squares / len(problem.y) / problem.y.var()
    assert model.loss_ == pytest.approx(expected, rel=1e-6)


# Bounds


def line(x, *, level=0.0, slope=0.0):
    return level + slope * x


X = np.linspace(0.0, 1.0, 21)
FALLING = 1.0 - 0.5 * X


@pytest.mark.parametrize(
    ("slope", "on_bound"),
    [
        (Param(1.0, bounds=(0.0, None)), 0.0),
        (Param(1.0, bounds=(0.0, 10.0)), 0.0),
        (Param(0.0, bounds=(0.0, None)), 0.0),
        (Param(0.3, bounds=(0.3, 5.0)), 0.3),
        (Param(0.7, bounds=(0.1, 5.0)), 0.1),
        (Param(-3.0, bounds=(None, -0.9)), -0.9),
        (Param(-3.0, bounds=(-7.0, -0.9)), -0.9),
    ],
    ids=repr,
)
def test_a_fit_may_end_exactly_on_a_bound(slope, on_bound):
    model = fit(Physics(line, slope=slope), X, FALLING)
    assert model.physics_params_["slope"] == on_bound
    # The other parameter is the best one for this bound.
    assert model.physics_params_["level"] == pytest.approx(0.75 - 0.5 * on_bound, rel=1e-7)
    assert_allclose(
        model.predict(X[:, None]), model.physics_params_["level"] + on_bound * X, rtol=1e-12
    )


def test_inactive_bounds_change_nothing():
    slope, level = Param(-2.0, bounds=(-3.0, 0.0)), Param(3.0, bounds=(None, 4.0))
    model = fit(Physics(line, slope=slope, level=level), X, FALLING)
    assert model.physics_params_ == pytest.approx({"level": 1.0, "slope": -0.5}, rel=1e-9)


def test_bounds_of_array_elements():
    def polynomial(x, *, coefficients):
        return sum(c * x**power for power, c in enumerate(coefficients))

    low = np.array([-np.inf, 0.0, -np.inf])
    coefficients = Param([0.5, 0.5, 0.5], bounds=(low, None))
    y = 1.0 - 2.0 * X + 3.0 * X**2
    model = fit(Physics(polynomial, coefficients=coefficients), X, y)
    columns = np.stack([np.ones(21), X**2], axis=1)
    level, square = np.linalg.lstsq(columns, y, rcond=None)[0]
    assert model.physics_params_["coefficients"][1] == 0.0
    assert_allclose(model.physics_params_["coefficients"], [level, 0.0, square], rtol=1e-7)


def test_fixed_parameters_do_not_change():
    level = Param(2.0, fixed=True)
    model = fit(Physics(line, level=level), X, FALLING)
    assert model.physics_params_["level"] == 2.0
    slope = np.sum(X * (FALLING - 2.0)) / np.sum(X**2)
    assert model.physics_params_["slope"] == pytest.approx(slope, rel=1e-9)


def test_without_free_parameters_the_start_is_the_result():
    model = fit(Physics(line, level=Param(2.0, fixed=True), slope=Param(0.0, fixed=True)), X, X)
    assert model.physics_params_ == {"level": 2.0, "slope": 0.0}
    assert model.loss_ == pytest.approx(np.mean((2.0 - X) ** 2) / X.var())
    assert model.loss_curve_ == [model.loss_]


# Weights and targets


def test_weights():
    rng = np.random.default_rng(0)
    y, weight = rng.normal(size=21), rng.uniform(size=21)
    weight[3] = 0.0
    model = HybridRegressor(physics=line, nn=None).fit(X[:, None], y, sample_weight=weight)
    slope, level = np.polyfit(X, y, 1, w=np.sqrt(weight))
    assert found(model) == pytest.approx([level, slope], rel=1e-9)
    unweighted = fit(line, X, y)
    assert abs(unweighted.physics_params_["slope"] - slope) > 0.01
    mean = np.average(y, weights=weight)
    error = np.average((level + slope * X - y) ** 2, weights=weight)
    expected = error / np.average((y - mean) ** 2, weights=weight)
    assert model.loss_ == pytest.approx(expected, rel=1e-9)


def pair(x, *, shared=1.0, own=(1.0, 1.0)):
    return torch.stack([shared * x + own[0], 100.0 * shared * x + own[1]], dim=-1)


def test_two_targets_count_in_units_of_their_standard_deviation():
    rng = np.random.default_rng(1)
    y = np.stack([X, 300.0 * X], axis=1) + rng.normal(size=(21, 2)) * [0.1, 30.0]
    model = fit(pair, X, y)
    scale = y.std(axis=0)
    rows = [
        np.stack([factor * X, np.ones(21) * (target == 0), np.ones(21) * (target == 1)], axis=1)
        / scale[target]
        for target, factor in enumerate([1.0, 100.0])
    ]
    targets = (y / scale).T.reshape(-1)
    shared, *own = np.linalg.lstsq(np.concatenate(rows), targets, rcond=None)[0]
    assert model.physics_params_["shared"] == pytest.approx(shared, rel=1e-9)
    assert_allclose(model.physics_params_["own"], own, rtol=1e-8)
    assert model.predict(X[:, None]).shape == (21, 2)


def test_missing_targets_have_no_influence():
    y = np.stack([2.0 * X + 0.5, 200.0 * X + 3.0], axis=1)
    y[4:9, 0] = np.nan
    y[7, 1] = np.nan
    model = fit(pair, X, y, missing_targets="mask")
    assert model.physics_params_["shared"] == pytest.approx(2.0, rel=1e-9)
    assert_allclose(model.physics_params_["own"], [0.5, 3.0], rtol=1e-9)
    assert model.loss_ == pytest.approx(0.0, abs=1e-20)


# Derivatives


class Exponential(torch.autograd.Function):
    """An operation that has only a backward derivative."""

    n_backward = 0

    @staticmethod
    def forward(ctx, value):
        result = torch.exp(value)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, gradient):
        Exponential.n_backward += 1
        (result,) = ctx.saved_tensors
        return gradient * result


def falling(x, *, level=1.0, rate=1.0):
    return level * torch.exp(-rate * x)


def falling_backward_only(x, *, level=1.0, rate=1.0):
    return level * Exponential.apply(-rate * x)


def test_an_operation_without_a_forward_derivative_is_differentiated_backwards():
    rng = np.random.default_rng(2)
    y = 2.0 * np.exp(-3.0 * X) + 0.05 * rng.normal(size=21)
    Exponential.n_backward = 0
    backward_only = fit(falling_backward_only, X, y)
    assert Exponential.n_backward > 0
    assert_allclose(found(backward_only), found(fit(falling, X, y)), rtol=1e-8)


def test_the_jacobian_equals_finite_differences(monkeypatch):
    jacobians = []
    solve = least_squares.scipy.optimize.least_squares

    def spy(residuals, start, *, jac, **options):
        jacobians.append((residuals, jac))
        return solve(residuals, start, jac=jac, **options)

    monkeypatch.setattr(least_squares.scipy.optimize, "least_squares", spy)
    for physics in (falling, falling_backward_only):
        fit(physics, X, FALLING)
    for residuals, jacobian in jacobians:
        at = np.array([1.3, 0.4])
        step = 1e-6
        numeric = [
            (residuals(at + step * side) - residuals(at - step * side)) / (2 * step)
            for side in np.eye(2)
        ]
        assert_allclose(jacobian(at), np.stack(numeric, axis=1), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_units_of_the_parameters_make_no_difference(unit):
    def in_other_units(x, *, level=1.0, rate=1.0 / unit):
        return falling(x, level=level, rate=rate * unit)

    y = 2.0 * np.exp(-3.0 * X) + 0.05 * np.random.default_rng(2).normal(size=21)
    model, other = fit(falling, X, y), fit(in_other_units, X, y)
    assert_allclose(found(other) * [1.0, unit], found(model), rtol=1e-7)
    assert_allclose(other.loss_curve_[:6], model.loss_curve_[:6], rtol=1e-5)


# The end of a fit


def test_without_convergence_there_is_a_warning_and_the_best_point_is_the_result(monkeypatch):
    problem = load("MGH09")
    physics = Physics(problem.model, b1=25.0, b2=39.0, b3=41.5, b4=39.0)
    solve = least_squares.scipy.optimize.least_squares

    def impatient(residuals, start, **options):
        return solve(residuals, start, **{**options, "max_nfev": 5})

    monkeypatch.setattr(least_squares.scipy.optimize, "least_squares", impatient)
    with pytest.warns(ConvergenceWarning, match="did not converge after 6 evaluations"):
        model = fit(physics, problem.x, problem.y)
    assert len(model.loss_curve_) == model.n_iter_ == 6  # the start, and five from scipy
    assert model.loss_ == pytest.approx(min(model.loss_curve_))


def test_the_loss_is_the_lowest_of_the_loss_curve():
    model = fit(line, X, FALLING + 0.1 * X**2)
    assert model.loss_curve_[0] == pytest.approx(
        np.mean((FALLING + 0.1 * X**2) ** 2) / np.var(FALLING + 0.1 * X**2)
    )
    assert model.loss_ == pytest.approx(min(model.loss_curve_), rel=1e-12)
    assert model.n_iter_ == len(model.loss_curve_)


def test_a_start_where_the_physics_is_undefined_raises_an_error():
    def root(x, *, floor=-1.0):
        return torch.sqrt(x + floor)

    x = torch.linspace(0.0, 1.0, 9, dtype=torch.float64)
    data = Batch(x[:, None], x, None)
    hybrid = make_hybrid(data, root)
    with pytest.raises(ValueError, match="finite"):
        fit_least_squares(hybrid, data)


# Learned first states


def finite_differences(residuals, vector) -> np.ndarray:
    columns = []
    for i in range(len(vector)):
        step = np.zeros_like(vector)
        step[i] = 1e-6
        columns.append((residuals(vector + step) - residuals(vector - step)) / 2e-6)
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("continuity", [0.0, 2.0])
def test_the_jacobian_with_first_states(sparse, partial, continuity, monkeypatch):
    X, y = make_oscillations()
    y[1, 3:6] = np.nan
    settings = {"continuity": continuity, "initial_state": "learned", "window": 5}
    if partial:
        settings.update(observe=position, initial_state="auto")
        y = y[..., :1]
    small = SmallTrajectories(X, y, weight=np.arange(1.0, 7.0), **settings)
    residuals = Residuals(small.physical, small.data)
    assert residuals.n_states == 2 * 3 * 6
    vector = residuals.start + 0.1 * np.random.default_rng(0).normal(size=len(residuals.start))
    if sparse:
        monkeypatch.setattr(residuals_module, "MANY_STATES", 10)
    jacobian = residuals.jacobian(vector)
    assert scipy.sparse.issparse(jacobian) == sparse
    jacobian = jacobian.toarray() if sparse else jacobian
    assert_allclose(jacobian, finite_differences(residuals, vector), rtol=1e-5, atol=1e-7)


def test_residuals_weight_gaps_like_training():
    small = SmallTrajectories(initial_state="learned", continuity=3.0)
    hybrid, data = small.physical, small.data
    residuals = Residuals(hybrid, data)
    vector = residuals.start.copy()
    vector[residuals.n_values :] = np.random.default_rng(0).normal(size=residuals.n_states)
    coordinates = hybrid.space.initial_coordinates() | {
        FIRST_STATES: residuals.first_states(vector)
    }
    prediction, extra = hybrid.evaluate(data.x, coordinates)
    error = (prediction - data.y) / hybrid.scales.target_scale
    weight = 1.0 if data.weight is None else data.weight
    loss = (error.square() * weight).mean() + extra
    assert float(extra) > 0.0
    found = np.sum(residuals(vector) ** 2)
    assert found == pytest.approx(float(loss), rel=1e-12)


@pytest.mark.parametrize("many", [10, 10_000])
def test_first_states_are_fitted_with_the_parameters(many, monkeypatch):
    monkeypatch.setattr(residuals_module, "MANY_STATES", many)
    X, y = make_oscillations(n_times=20)
    small = SmallTrajectories(X, y[..., :1], observe=position, window=10)
    fit = fit_least_squares(small.physical, small.data, tolerance=1e-8)
    assert fit.converged
    assert fit.values["stiffness"] == pytest.approx(1.69, rel=0.03)
    assert fit.loss < 1e-3
    assert fit.states.shape == (12, 2)


@pytest.mark.parametrize(("excess", "is_on_bound"), [(4e-16, True), (1e-9, False)])
def test_a_loss_that_is_larger_by_rounding_keeps_a_parameter_on_its_bound(
    excess, is_on_bound, monkeypatch
):
    class Rounded:
        bounds = np.zeros(1), np.full(1, 5.0)

        def __call__(self, vector, note=True):
            return vector

        def loss(self, residuals):
            return 0.25 * (1.0 + excess * (residuals[0] == 0.0))

    monkeypatch.setattr(least_squares, "_units", lambda *_: np.ones(1))
    found = least_squares._on_bounds_if_as_good(Rounded(), np.array([2e-15]))
    assert (found[0] == 0.0) == is_on_bound
