"""R² of tables and trajectories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score
from small_models import drive_two, make_model, make_table
from small_oscillator import DRIVEN, DT, FIRST, INPUTS, fit, follow, position, pushed

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RNG = np.random.default_rng(2)


X, Y = make_table()
NAN = np.nan


@pytest.fixture(scope="module")
def masked():
    return make_model(missing_targets="mask", max_epochs=5).fit(X, Y)


@pytest.fixture(scope="module")
def two():
    """A model of two targets, and targets of which some are missing."""
    targets = np.column_stack([Y, 3.0 * Y])
    model = make_model(physics=drive_two, missing_targets="mask", max_epochs=5).fit(X, targets)
    targets[::3, 0] = targets[1::4, 1] = targets[5] = NAN
    return model, targets


@pytest.mark.parametrize("weighted", [False, True])
def test_score_of_a_table_ignores_missing_targets(masked, weighted):
    weight = np.linspace(0.0, 2.0, len(Y)) if weighted else None
    exact = r2_score(Y, masked.predict(X), sample_weight=weight)
    assert masked.score(X, Y, weight) == exact
    gaps = Y.copy()
    gaps[::4] = NAN
    known = ~np.isnan(gaps)
    expected = masked.score(X[known], Y[known], None if weight is None else weight[known])
    assert masked.score(X, gaps, weight) == expected
    assert masked.score(X, gaps[:, None], weight) == expected
    assert masked.score(X, pd.Series(gaps, dtype="Float64"), weight) == expected
    assert masked.score(X, gaps.tolist(), weight) == expected


def test_score_of_two_targets_is_the_mean_over_targets(two):
    model, targets = two
    weight = np.linspace(0.5, 2.0, len(Y))
    prediction, expected = model.predict(X), []
    for k in range(2):
        known = ~np.isnan(targets[:, k])
        expected.append(
            r2_score(targets[known, k], prediction[known, k], sample_weight=weight[known])
        )
    assert model.score(X, targets, weight) == pytest.approx(np.mean(expected), rel=1e-14)
    assert model.score(X, pd.DataFrame(targets), weight) == model.score(X, targets, weight)
    with pytest.raises(ValueError, match="y has 1 targets, but the model predicts 2"):
        model.score(X, targets[:, :1])


def test_nan_without_the_option_is_an_error_that_names_it(masked):
    model = make_model(max_epochs=2).fit(X, Y)
    with pytest.raises(ValueError, match="are missing, set missing_targets='mask'"):
        model.score(X, np.where(Y > 3.0, NAN, Y))
    with pytest.raises(ValueError, match="inconsistent numbers"):
        masked.score(X, np.r_[Y[:-2], NAN])
    with pytest.raises(ValueError, match="inf"):
        masked.score(X, np.where(Y > 3.0, np.inf, Y))


def test_a_score_without_known_targets_is_nan_and_says_so(masked, two):
    with pytest.warns(UndefinedMetricWarning, match=r"Column 0 .* 40 rows .* The score is NaN"):
        assert np.isnan(masked.score(X, np.full(len(Y), NAN)))
    weight = np.zeros(len(Y))
    weight[::4] = 1.0
    gaps = np.where(weight > 0, NAN, Y)
    with pytest.warns(UndefinedMetricWarning, match="weight above zero"):
        assert np.isnan(masked.score(X, gaps, weight))
    model, targets = two
    targets = targets.copy()
    targets[:, 1] = NAN
    known = ~np.isnan(targets[:, 0])
    with pytest.warns(UndefinedMetricWarning, match="Column 1 .* mean over the other columns"):
        found = model.score(X, targets)
    assert found == r2_score(targets[known, 0], model.predict(X)[known, 0])


def test_an_output_of_trajectories_without_known_values_does_not_count(free):
    noisy = follow(FIRST, 12) + 0.3 * RNG.normal(size=(5, 12, 2))
    noisy[..., 0] = NAN
    with pytest.warns(UndefinedMetricWarning, match="Column 0"):
        found = free.score(FIRST, noisy)
    assert found == pytest.approx(
        r2_score(noisy[..., 1].ravel(), free.predict(FIRST)[..., 1].ravel())
    )


def test_score_is_r2_over_all_times_of_all_trajectories(free):
    noisy = follow(FIRST, 12) + 0.3 * RNG.normal(size=(5, 12, 2))
    prediction = free.predict(FIRST)
    expected = np.mean(
        [r2_score(noisy[..., k].ravel(), prediction[..., k].ravel()) for k in range(2)]
    )
    assert free.score(FIRST, noisy) == pytest.approx(expected)
    assert expected < 0.95


def test_score_ignores_missing_values(free):
    noisy = follow(FIRST, 12) + 0.3 * RNG.normal(size=(5, 12, 2))
    noisy[RNG.uniform(size=noisy.shape) < 0.3] = np.nan
    prediction = free.predict(FIRST)
    expected = []
    for k in range(2):
        there = ~np.isnan(noisy[..., k])
        expected.append(r2_score(noisy[..., k][there], prediction[..., k][there]))
    assert free.score(FIRST, noisy) == pytest.approx(np.mean(expected))


def test_score_weights_trajectories(free):
    noisy = follow(FIRST, 12) + 0.3 * RNG.normal(size=(5, 12, 2))
    weight = np.array([1.0, 2.0, 0.0, 1.0, 3.0])
    twice = np.repeat(np.arange(5), weight.astype(int))
    expected = free.score(FIRST[twice], noisy[twice])
    assert free.score(FIRST, noisy, weight) == pytest.approx(expected)


def test_score_of_trajectories_of_different_lengths(free):
    noisy = follow(FIRST, 12) + 0.3 * RNG.normal(size=(5, 12, 2))
    prediction = free.predict(FIRST)
    lengths = [12, 3, 5, 7, 12]
    ragged = [each[:n] for each, n in zip(noisy, lengths, strict=True)]
    expected = np.mean(
        [
            r2_score(
                np.concatenate([noisy[i, :n, k] for i, n in enumerate(lengths)]),
                np.concatenate([prediction[i, :n, k] for i, n in enumerate(lengths)]),
            )
            for k in range(2)
        ]
    )
    assert free.score(FIRST, ragged) == pytest.approx(expected)


@pytest.mark.parametrize("timed", [{}, {"dt": None, "times": DT * np.arange(21)}], ids=str)
@pytest.mark.parametrize("n_times", [5, 20])
def test_score_of_shorter_and_longer_trajectories(timed, n_times):
    model = fit(FIRST, follow(FIRST, 12), **timed)
    noisy = follow(FIRST, n_times) + 0.3 * RNG.normal(size=(5, n_times, 2))
    expected = r2_score(noisy.reshape(-1, 2), follow(FIRST, n_times).reshape(-1, 2))
    assert model.score(FIRST, noisy) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n_initial", [0, 6])
def test_score_ignores_the_outputs_that_estimate_the_initial_state(n_initial):
    model = fit(
        INPUTS,
        DRIVEN[..., 0],
        pushed,
        inputs="hold",
        observe=position,
        n_states=2,
        n_initial=n_initial,
    )
    noisy = DRIVEN[..., 0] + 0.1 * RNG.normal(size=(3, 24))
    given = {"first_outputs": noisy[:, :n_initial]} if n_initial else {}
    prediction = model.predict(INPUTS, **given)
    expected = r2_score(noisy[:, n_initial:].ravel(), prediction[:, n_initial:].ravel())
    assert model.score(INPUTS, noisy) == pytest.approx(expected)
    other = noisy.copy()
    other[:, :n_initial] = np.nan
    if n_initial:
        assert model.score(INPUTS, other) != pytest.approx(expected)


@pytest.mark.parametrize("size", [1e39, 1e160, 1e300, 1e-200])
def test_scores_of_extreme_targets_are_finite(masked, size):
    prediction = masked.predict(X)
    error, spread = size * Y - prediction, size * (Y - Y.mean())
    scale = np.abs(error).max(), np.abs(spread).max()
    ratio = np.mean((error / scale[0]) ** 2) / np.mean((spread / scale[1]) ** 2)
    with np.errstate(over="ignore"):
        expected = 1.0 - ratio * (scale[0] / scale[1]) ** 2
    if np.isfinite(expected):
        assert masked.score(X, size * Y) == pytest.approx(expected, rel=1e-6)


def test_scores_of_extreme_trajectories_are_finite(free):
    target = follow(FIRST, 12)
    assert free.score(FIRST, 1e250 * target) == pytest.approx(free.score(FIRST, 1e20 * target))


LENGTHS = (5, 9, 7)


@pytest.mark.parametrize("begin", [None, 3.0])
def test_times_of_each_trajectory(begin):
    first = FIRST[:3]
    times = [0.07 * (i + 1) * np.arange(1.0, n + 1.0) for i, n in enumerate(LENGTHS)]
    y = [follow(first[[i]], 0, each)[0] for i, each in enumerate(times)]
    given = times
    if begin is not None:
        given = [begin + i + np.r_[0.0, each] for i, each in enumerate(times)]
    model = fit(first, y, dt=None, times=given)
    for found, expected in zip(model.predict(first, times=given), y, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)
    assert model.score(first, y) > 0.9999
    with pytest.raises(ValueError, match="times of each of 3 training trajectories, but not of"):
        model.score(first[:2], y[:2])
    if begin is not None:
        with pytest.raises(ValueError, match=r"times\[0\] has shape \(1,\); as in fit"):
            model.predict(first, times=[[1.0], [1.0, 2.0], [1.0, 2.0]])


def test_times_of_each_trajectory_may_have_one_length(free):
    times = [[0.1, 0.4], [0.2, 0.3], [1.0, 1.1]]
    found = free.predict(FIRST[:3], times=times)
    assert found.shape == (3, 2, 2)
    for i, each in enumerate(times):
        expected = follow(FIRST[[i]], 0, each)[0]
        np.testing.assert_allclose(found[i], expected, atol=1e-3)
    with pytest.raises(ValueError, match="first_outputs and the times of each trajectory"):
        free.predict(FIRST[:3], times=times, first_outputs=found[:, :1])


def test_targets_that_do_not_match_the_fit_are_named(free, partial):
    target = follow(FIRST, 12)
    with pytest.raises(ValueError, match=r"y has outputs of shape \(1,\), but .* shape \(2,\)"):
        free.score(FIRST, target[..., 0])
    with pytest.raises(ValueError, match="X has 5 trajectories, but y has 3"):
        free.score(FIRST, target[:3])
    with pytest.raises(ValueError, match=r"sample_weight\.shape"):
        free.score(FIRST, target, np.ones(3))
    with pytest.raises(ValueError, match=r"Trajectory 0 has inputs at .* times, but outputs at 14"):
        partial.score(INPUTS, DRIVEN[:, :14, 0])
