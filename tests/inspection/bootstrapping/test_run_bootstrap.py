"""The bootstrap as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from small_models import drive, make_model, make_table
from small_trajectories import DT, make_oscillations, spring

from skhybrid import ODE, HybridRegressor
from skhybrid.inspection import bootstrap

pytestmark = [
    pytest.mark.filterwarnings("ignore::skhybrid.exceptions.FreeRunWarning"),
    pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning"),
]

X, Y = make_table()
FIRST, STATES = make_oscillations(4, 10)


def line_with_noise(noise):
    """Return a table that the physics alone explains, and the design matrix of its two unknowns."""
    table = make_table(len(noise))[0]
    return table, 2.0 * table["force"] + 0.5 + noise, np.stack([table["force"], noise**0], axis=1)


def small(model=None, y=Y, **options):
    return bootstrap(
        make_model(max_epochs=3) if model is None else model,
        X,
        y,
        **{"n_replicates": 4, "random_state": 0, **options},
    )


@pytest.mark.parametrize("kind", ["pairs", "residual"])
def test_the_standard_deviation_is_that_of_least_squares(kind):
    noise = 0.1 * np.random.default_rng(0).normal(size=100)
    table, y, design = line_with_noise(noise)
    model = HybridRegressor(drive, nn=None)
    result = bootstrap(model, table, y, n_replicates=80, kind=kind, random_state=0)
    covariance = 0.1**2 * np.linalg.inv(design.T @ design)
    expected = dict(zip(["gain", "offset"], np.sqrt(np.diag(covariance)), strict=True))
    assert result.physics_params_std_ == pytest.approx(expected, rel=0.3)
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert result.correlation.loc["gain", "offset"] == pytest.approx(correlation, abs=0.1)
    assert np.std(result.residuals) == pytest.approx(0.1, rel=0.2)


def test_blocks_count_the_memory_of_the_noise():
    rng, memory = np.random.default_rng(1), np.zeros(300)
    for i in range(1, 300):
        memory[i] = 0.8 * memory[i - 1] + 0.1 * rng.normal()
    table, y, _ = line_with_noise(memory)
    model = HybridRegressor(drive, nn=None)
    options = {"n_replicates": 30, "random_state": 0}
    alone = bootstrap(model, table, y, kind="residual", **options)
    blocks = bootstrap(model, table, y, kind="block", **options)
    assert blocks.block_length > 6
    # In the middle of the data only the mean of the noise counts.
    middle = [each.params["offset"] + 1.5 * each.params["gain"] for each in (blocks, alone)]
    assert np.std(middle[0]) > 1.6 * np.std(middle[1])


def test_precise_rows_keep_precise_residuals():
    weight = np.where(np.arange(200) < 100, 100.0, 1.0)
    noise = np.random.default_rng(0).normal(size=200) / np.sqrt(weight)
    table, y, design = line_with_noise(noise)
    model, options = HybridRegressor(drive, nn=None), {"kind": "residual", "n_replicates": 40}
    result = bootstrap(model, table, y, sample_weight=weight, random_state=0, **options)
    expected = np.sqrt(np.linalg.inv(design.T @ (weight[:, None] * design))[0, 0])
    assert result.physics_params_std_["gain"] == pytest.approx(expected, rel=0.35)


def test_the_seed_decides_everything():
    first, second, third = (small(random_state=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.params["gain"], second.params["gain"])
    assert not np.array_equal(first.params["gain"], third.params["gain"])
    seeds = {each.random_state for each in first.estimators}
    assert len(seeds) == 4, "each replicate has another network"
    assert first.estimator.random_state == 0
    unseeded = [small(make_model(max_epochs=3, random_state=None)) for _ in range(2)]
    assert unseeded[0].estimator.physics_params_ == unseeded[1].estimator.physics_params_


def test_a_pipeline_keeps_its_column_names():
    pipeline = make_pipeline(FunctionTransformer(), make_model(max_epochs=3))
    result = small(pipeline)
    assert [*result.estimators[0][-1].feature_names_in_] == ["force", "angle"]
    assert result.predict(X).low.shape == Y.shape


@pytest.mark.parametrize("kind", ["pairs", "residual", "block"])
def test_missing_targets_stay_missing(kind):
    gaps = np.stack([Y, 2.0 * Y], axis=1)
    gaps[::5, 0], gaps[7] = np.nan, np.nan
    model = make_model(physics=None, max_epochs=2, missing_targets="mask")
    result = small(model, gaps, kind=kind)
    assert result.params == {}
    found = result.predict(X, noise=True)
    assert found.low.shape == (40, 2)
    assert (found.low < found.high).all()


@pytest.mark.filterwarnings("ignore:Residuals are correlated")
@pytest.mark.parametrize("kind", ["pairs", "residual", "block"])
def test_trajectories(kind):
    ode = ODE(dt=DT, window=4)
    model = HybridRegressor(spring, nn=(4,), structure=ode, max_epochs=1, random_state=0)
    options = {"kind": kind, "n_replicates": 2, "refine": True, "random_state": 0}
    result = bootstrap(model, FIRST, STATES, **options)
    assert result.params["damping"].shape == (2, 2)
    found = result.predict(FIRST[:2], noise=True)
    assert found.prediction.shape == found.low.shape == (2, 10, 2)
    assert (found.low < found.high).all()


def test_a_single_trajectory_needs_blocks():
    ode = ODE(dt=DT, window=4)
    model = HybridRegressor(spring, nn=None, structure=ode)
    one = FIRST[:1], make_oscillations(1, 60)[1]
    with pytest.raises(ValueError, match=r"single one.*kind='block'"):
        bootstrap(model, *one)
    result = bootstrap(model, *one, kind="block", n_replicates=3, random_state=0)
    assert result.block_length >= 4
    assert np.ptp(result.params["stiffness"]) > 0


def test_lists_of_trajectories_of_different_lengths():
    lists = [each[: 10 - i] for i, each in enumerate(STATES)]
    model = HybridRegressor(spring, nn=None, structure=ODE(dt=DT, window=4))
    for kind in ("pairs", "block"):
        result = bootstrap(model, FIRST, lists, kind=kind, n_replicates=3, random_state=0)
        assert np.ptp(result.params["stiffness"]) > 0
    with pytest.raises(ValueError, match=r"different lengths.*kind='block'"):
        bootstrap(model, FIRST, lists, kind="residual")


def test_whole_groups_are_drawn():
    groups = np.repeat(np.arange(2), 20)
    model = HybridRegressor(drive, nn=None)
    result = small(model, groups=groups, n_replicates=6)
    # One of two groups is drawn each time, so θ is that of a fit to it.
    expected = {
        round(clone(model).fit(X[groups == g], Y[groups == g]).physics_params_["gain"], 6)
        for g in (0, 1)
    }
    assert {round(gain, 6) for gain in result.params["gain"].tolist()} == expected
    with pytest.raises(ValueError, match="kind='pairs' draws whole groups"):
        small(groups=groups, kind="residual")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "jackknife"}, "kind must be one of pairs, residual, block; got 'jackknife'"),
        ({"n_replicates": 1}, "n_replicates must be 2 at least; got 1"),
        ({"block_length": 3}, "block_length is for kind='block'; kind is 'pairs'"),
        ({"block_length": 0, "kind": "block"}, "block_length must be 1 at least; got 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_other_estimators_are_refused():
    with pytest.raises(TypeError, match="Ridge"):
        small(Ridge())
