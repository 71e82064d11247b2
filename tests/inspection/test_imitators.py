"""Networks and values of groups beside θ, and how each changes the model point by point."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.inspection.local_effects import local_effects
from skhybrid.inspection.training_rows import training_rows

pytestmark = pytest.mark.filterwarnings(
    "ignore::skhybrid.exceptions.CollapseWarning",
    "ignore::skhybrid.exceptions.PoorFitWarning",
)

RNG = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "u": RNG.uniform(-1, 1, 60),
        "z": RNG.uniform(-1, 1, 60),
        "site": np.arange(60) % 3,
    }
)
Y = ((1.0 + X["z"] ** 2) * 1.5 ** X["u"]).to_numpy()


def growth(u, *, f=1.0, q=1.2):
    return f * q**u


def effects_of(structure="none", **varies):
    physics = Physics(growth, f=Param(1.0, **varies), q=Param(1.2))
    model = HybridRegressor(
        physics, nn=(4,), structure=structure, max_epochs=2, refine_rho=None, random_state=0,
        dtype="float64",
    ).fit(X, Y)  # fmt: skip
    return local_effects(training_rows(model, X, Y)), model


def test_a_function_acts_with_the_slope_of_its_parameter():
    found, model = effects_of(depends_on=["z"])
    (imitator,) = found.imitators
    assert found.names == ["q"]
    assert imitator.penalty is None
    np.testing.assert_allclose(imitator.seen[:, 0], (X["z"] - X["z"].mean()) / X["z"].std(ddof=0))
    q, f = model.physics_params_["q"], model.predict_params(X)["f"]
    slopes = imitator.slopes[:, 0] / q ** X["u"]
    np.testing.assert_allclose(slopes, slopes.mean(), rtol=1e-6)
    expected = f * X["u"] * q ** (X["u"] - 1.0) / Y.std()
    np.testing.assert_allclose(found.effects[:, 0, 0], expected, rtol=1e-6)


def test_groups_have_the_cost_of_their_prior_and_a_correction_none():
    found, model = effects_of("additive", per="site", per_std=0.2)
    correction, groups = found.imitators
    assert found.names == ["f", "q"]
    assert correction.seen.shape == (60, 2)
    np.testing.assert_allclose(correction.slopes, 1.0 / Y.std())
    assert correction.penalty is None
    assert groups.penalty == pytest.approx(60 * model._fitted.hybrid.group_penalty)
    np.testing.assert_array_equal(groups.seen[:, 0], X["site"])
    np.testing.assert_allclose(
        groups.slopes[:, 0], 0.2 * model.physics_params_["q"] ** X["u"] / Y.std(), rtol=1e-6
    )


def test_groups_whose_spread_is_estimated_are_free():
    found, _ = effects_of(per="site")
    assert [each.penalty for each in found.imitators] == [0.0]


def test_a_function_without_effect_is_no_imitator():
    def unused(u, *, f=1.0, q=1.2):
        return q**u + 0.0 * torch.zeros_like(u) * f

    physics = Physics(unused, f=Param(1.0, depends_on=["z"]), q=Param(1.2))
    model = HybridRegressor(physics, nn=(4,), max_epochs=2, refine_rho=None, random_state=0)
    model.fit(X, Y)
    assert local_effects(training_rows(model, X, Y)).imitators == ()


def test_each_element_of_an_array_is_a_function_and_acts_on_its_targets():
    def two(u, *, f=(1.0, 2.0), q=1.2):
        return torch.stack([f[0] * q**u, f[0] + f[1] * q**u], dim=-1)

    physics = Physics(two, f=Param([1.0, 2.0], depends_on=["z"]), q=Param(1.2))
    y = np.stack([Y, 1.0 + 2.0 * Y], axis=1)
    model = HybridRegressor(
        physics, nn=(4,), max_epochs=2, refine_rho=None, random_state=0, dtype="float64"
    ).fit(X, y)
    first, second = local_effects(training_rows(model, X, y)).imitators
    growth = model.physics_params_["q"] ** X["u"].to_numpy()
    ratio = first.slopes * y.std(axis=0) / np.stack([growth, np.ones(60)], axis=1)
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)
    assert not np.any(second.slopes[:, 0])
    assert np.all(second.slopes[:, 1] > 0.0)
