"""R² of trajectories."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score
from small_oscillator import DRIVEN, DT, FIRST, INPUTS, fit, follow, position, pushed

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RNG = np.random.default_rng(2)


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
