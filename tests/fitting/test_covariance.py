"""The covariance of θ: weights, bounds, targets, first states, groups and flat directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.optimize import curve_fit
from small_trajectories import DT, make_oscillations, position, spring

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.fitting import covariance as module
from skhybrid.fitting import residuals as residuals_module

RNG = np.random.default_rng(0)
X = np.linspace(0.0, 3.0, 25)
Y = 2.0 * np.exp(-0.7 * X) + 0.05 * RNG.normal(size=25)


def decay(x, *, height=1.0, rate=1.0):
    return height * torch.exp(-rate * x)


def fit(physics, x=X, y=Y, weight=None, **parameters):
    model = HybridRegressor(physics, nn=None, **parameters)
    return model.fit(np.reshape(x, (-1, 1)), y, sample_weight=weight)


def elements(model) -> np.ndarray:
    return model._fitted.standard_errors.element_std


# Weights


def scipy_std(x, y, sigma=None) -> np.ndarray:
    exponential = lambda x, height, rate: height * np.exp(-rate * x)  # noqa: E731
    tight = {"ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14}
    return np.sqrt(np.diagonal(curve_fit(exponential, x, y, sigma=sigma, **tight)[1]))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_weights_are_relative_precisions(scale):
    weight = RNG.uniform(0.1, 10.0, 25)
    expected = scipy_std(X, Y, sigma=weight**-0.5)
    assert_allclose(elements(fit(decay, weight=scale * weight)), expected, rtol=1e-5)


def test_rows_without_weight_or_target_do_not_count():
    x, y = np.append(X, [1.0, 2.0]), np.append(Y, [5.0, 5.0])
    weight = np.append(np.ones(25), [0.0, 0.0])
    expected = scipy_std(X, Y)
    assert_allclose(elements(fit(decay, x, y, weight)), expected, rtol=1e-5)
    missing = np.where(weight > 0.0, y, np.nan)
    model = fit(decay, x, missing, missing_targets="mask")
    assert_allclose(elements(model), expected, rtol=1e-5)
    assert model._fitted.standard_errors.dof == 23


# Bounds and fixed values


def test_an_element_on_its_bound_is_held():
    with pytest.warns(match="ended on its upper bound"):
        model = fit(Physics(decay, rate=Param(0.3, bounds=(0.0, 0.5))))
    slope = np.exp(-0.5 * X)
    residual = Y - model.physics_params_["height"] * slope
    expected = np.sqrt(np.sum(residual**2) / 24 / np.sum(slope**2))
    assert model.physics_params_std_ == pytest.approx(
        {"height": expected, "rate": np.nan}, rel=1e-5, nan_ok=True
    )
    assert model._fitted.standard_errors.on_bounds == ("rate",)
    assert model._fitted.standard_errors.dof == 24


def test_fixed_parameters_are_left_out():
    model = fit(Physics(decay, rate=Param(0.5, fixed=True)))
    assert [*model.physics_params_std_] == ["height"]
    both = Physics(decay, rate=Param(0.5, fixed=True), height=Param(1.0, fixed=True))
    assert fit(both).physics_params_std_ == {}
    assert fit(both).physics_params_correlation_.shape == (0, 0)


# What the data do not fix


def test_a_product_is_named_with_its_direction():
    def product(x, *, p=1.0, q=2.0, rate=1.0):
        return p * q * torch.exp(-rate * x)

    with pytest.warns(match="act only together"):
        model = fit(product)
    std = model.physics_params_std_
    assert np.isnan([std["p"], std["q"]]).all()
    assert std["rate"] == pytest.approx(fit(decay).physics_params_std_["rate"], rel=1e-6)
    errors = model._fitted.standard_errors
    (unfixed,) = errors.unfixed
    assert unfixed.names == ("p", "q")
    p, q = (model.physics_params_[name] for name in "pq")
    assert unfixed.change[0] / p == pytest.approx(-unfixed.change[1] / q)
    assert "p by +1 % and q by -1 %" in unfixed.sentence
    assert errors.dof == 23
    assert np.isnan(model.physics_params_correlation_.loc["p", "rate"])


def test_two_products_and_an_idle_parameter_are_told_apart():
    def physics(x, *, a=1.0, b=2.0, c=1.0, d=1.0, idle=3.0):
        return a * b * torch.exp(-0.7 * x) + c * d * x + 0.0 * idle

    with pytest.warns():
        model = fit(physics)
    names = [each.names for each in model._fitted.standard_errors.unfixed]
    assert names == [("a", "b"), ("c", "d"), ("idle",)]
    assert np.isnan(elements(model)).all()


def test_three_elements_with_one_effect_have_no_single_direction():
    def total(x, *, levels=(1.0, 2.0, 3.0)):
        return levels.sum() + 0.0 * x

    with pytest.warns():
        (unfixed,) = fit(total)._fitted.standard_errors.unfixed
    assert unfixed.change is None
    assert "only 1 combination of levels[0], levels[1] and levels[2]" in unfixed.sentence


def test_too_few_values_give_a_reason():
    model = fit(decay, X[:2], Y[:2])
    assert np.isnan(elements(model)).all()
    assert "2 values leave nothing" in model._fitted.standard_errors.reason


# Several targets


def test_targets_have_their_own_correlated_noise():
    def lines(x, *, slope=1.0, level=0.0):
        return torch.stack([slope * x, slope * x + level], dim=1)

    noise = RNG.multivariate_normal([0.0, 0.0], [[0.01, 0.05], [0.05, 1.0]], size=25)
    y = X[:, None] + noise
    model = fit(lines, y=y)
    unit = y.std(axis=0)
    jacobian = np.zeros((25, 2, 2))
    jacobian[:, :, 0], jacobian[:, 1, 1] = X[:, None], 1.0
    jacobian = jacobian / unit[:, None]
    residual = (y - model.predict(X[:, None])) / unit
    sigma = residual.T @ residual / (25 * (1 - 2 / 50))
    bread = np.linalg.inv(np.einsum("ntp,ntq->pq", jacobian, jacobian))
    meat = np.einsum("ntp,tu,nuq->pq", jacobian, sigma, jacobian)
    expected = np.sqrt(np.diagonal(bread @ meat @ bread))
    assert_allclose(elements(model), expected, rtol=1e-6)


def test_many_targets_count_as_independent(monkeypatch):
    def lines(x, *, slope=1.0):
        return torch.stack([slope * x, slope * x], dim=1)

    y = X[:, None] + [0.1, 1.0] * RNG.normal(size=(25, 2))
    joint = elements(fit(lines, y=y))
    monkeypatch.setattr(module, "MAX_TARGETS", 1)
    assert elements(fit(lines, y=y)) == pytest.approx(joint, rel=0.2)


# Trajectories


def dynamics(**structure):
    return HybridRegressor(
        Physics(spring, damping=Param((0.0, 0.0), fixed=True)),
        nn=None,
        structure=ODE(dt=DT, **structure),
    )


def test_learned_first_states_are_profiled_out():
    first, y = make_oscillations(n=3, n_times=10)
    model = dynamics(initial_state="learned", window=None).fit(first, y)
    # The joint covariance of the frequency and all first states, which also have observations.
    observed = np.concatenate([first[:, None], y], axis=1)
    t = DT * np.arange(11)

    def rollouts(parameters):
        omega = np.sqrt(parameters[0])
        states = parameters[1:].reshape(3, 2)
        cosine, sine = np.cos(omega * t), np.sin(omega * t)
        distance = states[:, :1] * cosine + states[:, 1:] * sine / omega
        speed = states[:, 1:] * cosine - omega * states[:, :1] * sine
        return np.stack([distance, speed], axis=2)

    at = np.concatenate([[model.physics_params_["stiffness"]], model.initial_states_.ravel()])
    steps = 1e-6 * np.eye(7)
    slopes = [(rollouts(at + each) - rollouts(at - each)) / 2e-6 for each in steps]
    unit = model._fitted.hybrid.scales.target_scale.numpy()
    jacobian = np.stack([(each / unit).reshape(-1, 2) for each in slopes], axis=2)
    residual = ((observed - rollouts(at)) / unit).reshape(-1, 2)
    sigma = residual.T @ residual / (33 * (1 - 7 / 66))
    bread = np.linalg.inv(np.einsum("ntp,ntq->pq", jacobian, jacobian))
    meat = np.einsum("ntp,tu,nuq->pq", jacobian, sigma, jacobian)
    expected = np.sqrt((bread @ meat @ bread)[0, 0])
    errors = model._fitted.standard_errors
    assert errors.dof == 66 - 7
    assert errors.std["stiffness"] == pytest.approx(expected, rel=1e-3)


def test_a_sparse_jacobian_gives_the_same(monkeypatch):
    first, y = make_oscillations(n=8, n_times=12)
    model = dynamics(initial_state="learned", observe=position, window=4)
    dense = elements(model.fit(first, y[:, :, :1]))
    monkeypatch.setattr(residuals_module, "MANY_STATES", 1)
    assert_allclose(elements(model.fit(first, y[:, :, :1])), dense, rtol=1e-3)


def test_windows_are_clustered_by_trajectory():
    first, y = make_oscillations(n=8, n_times=12)
    model = dynamics(window=2).fit(first, y)
    # Scores of one parameter, by central differences of the prediction of every window.
    states = np.concatenate([first[:, None], y], axis=1)
    windows = np.stack([states[:, i : i + 3] for i in range(11)], axis=1)
    stiffness, h = model.physics_params_["stiffness"], 1e-4

    def predicted(value):
        other = dynamics(window=2)
        other.physics = Physics(
            spring, damping=Param((0.0, 0.0), fixed=True), stiffness=Param(value, fixed=True)
        )
        other.dtype = "float64"
        other.fit(first, y)
        return other.predict(windows[:, :, 0].reshape(-1, 2))[:, :2].reshape(8, 11, 2, 2)

    unit = model._fitted.hybrid.scales.target_scale.numpy()
    slope = (predicted(stiffness + h) - predicted(stiffness - h)) / (2 * h) / unit
    residual = (predicted(stiffness) - windows[:, :, 1:]) / unit
    scores = (slope * residual).sum(axis=(1, 2, 3))
    expected = np.sqrt(8 / 7 * np.sum(scores**2)) / np.sum(slope**2)
    errors = model._fitted.standard_errors
    assert (errors.groups, errors.n_groups, errors.dof) == ("trajectories", 8, 7)
    assert errors.std["stiffness"] == pytest.approx(expected, rel=1e-3)


def test_too_few_groups_give_a_reason():
    first, y = make_oscillations(n=1, n_times=12)
    model = dynamics(window=8).fit(first, y)
    assert np.isnan(model.physics_params_std_["stiffness"])
    reason = model._fitted.standard_errors.reason
    assert "more than 1 independent blocks of windows, and there are 1" in reason
