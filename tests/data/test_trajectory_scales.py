"""Scales of outputs, states and rates, checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numbered_trajectories import make_trajectories

from skhybrid.data.trajectory_scales import trajectory_scales

RNG = np.random.default_rng(0)


def test_scales_with_weights_and_missing_values():
    states = RNG.normal(size=(3, 6, 2)) * [1.0, 5.0] + [2.0, -3.0]
    states[0, 2, 1] = np.nan
    weight = np.array([1.0, 2.0, 0.0])
    trajectories = make_trajectories(3, 6, states=states, weight=weight)
    scales = trajectory_scales(trajectories)
    every = np.repeat(weight[:, None], 6, axis=1).ravel()
    for component in range(2):
        column = states[..., component].ravel()
        there = ~np.isnan(column)
        mean = np.average(column[there], weights=every[there])
        std = np.sqrt(np.average((column[there] - mean) ** 2, weights=every[there]))
        assert float(scales.target_mean[component]) == pytest.approx(mean)
        assert float(scales.target_scale[component]) == pytest.approx(std)
        assert float(scales.state_mean[component]) == pytest.approx(mean)
        squares, by_rate = [], []
        for values, w in zip(states[..., component], weight, strict=True):
            at = np.flatnonzero(~np.isnan(values))
            squares += list((np.diff(values[at]) / (0.1 * np.diff(at))) ** 2)
            by_rate += [w] * (len(at) - 1)
        size = np.sqrt(np.average(squares, weights=by_rate))
        assert float(scales.rate_scale[component]) == pytest.approx(size)


def test_padding_does_not_count_in_the_scales():
    scales = trajectory_scales(make_trajectories(lengths=[8, 3]))
    values = np.concatenate([np.arange(8.0), 100.0 + np.arange(3)])
    assert float(scales.target_mean[0]) == pytest.approx(values.mean())
    assert float(scales.target_scale[0]) == pytest.approx(values.std())
    assert scales.rate_scale.tolist() == pytest.approx([10.0, 10.0])


def test_rates_are_differences_between_observed_values():
    states = RNG.normal(size=(2, 7, 2))
    states[:, 1::2, 0] = np.nan
    scales = trajectory_scales(make_trajectories(states=states))
    rates = np.diff(states[:, ::2, 0], axis=1) / 0.2
    assert float(scales.rate_scale[0]) == pytest.approx(np.sqrt(np.mean(rates**2)))


def test_constant_states_have_rate_scale_one():
    states = RNG.normal(size=(2, 7, 2))
    states[..., 1] = 3.0
    assert float(trajectory_scales(make_trajectories(states=states)).rate_scale[1]) == 1.0


@pytest.mark.parametrize("observed", [True, False])
def test_free_states_have_unit_one_and_the_speed_of_the_others(observed):
    states = RNG.normal(size=(2, 7, 2)) * [1.0, 50.0]
    plain = trajectory_scales(
        make_trajectories(states=states, learned=True, states_observed=observed)
    )
    free = np.concatenate([states, np.zeros((2, 7, 2))], axis=2)
    options = {"learned": True, "states_observed": observed, "outputs": states}
    more = {"state_shape": (4,), "n_free_states": 2}
    scales = trajectory_scales(make_trajectories(states=free, **options, **more))
    assert scales.state_scale.tolist() == [*plain.state_scale.tolist(), 1.0, 1.0]
    assert scales.state_mean.tolist() == [*plain.state_mean.tolist(), 0.0, 0.0]
    speeds = (plain.rate_scale / plain.state_scale).tolist()
    assert scales.rate_scale[:2].tolist() == plain.rate_scale.tolist()
    assert scales.rate_scale[2:].tolist() == pytest.approx([np.sqrt(np.prod(speeds))] * 2)
    constant = make_trajectories(states=0.0 * free, **{**options, "outputs": 0.0 * states}, **more)
    assert np.isfinite(trajectory_scales(constant).rate_scale).all()


def test_fields_have_one_scale_per_channel():
    states = RNG.normal(size=(2, 6, 2, 3, 4)) * np.array([1.0, 9.0])[:, None, None]
    scales = trajectory_scales(make_trajectories(2, 6, states=states, state_shape=(2, 3, 4)))
    assert scales.target_scale.shape == (2, 1, 1)
    expected = states.std(axis=(0, 1, 3, 4))
    np.testing.assert_allclose(scales.state_scale.flatten(), expected)


def test_error_names_an_output_that_is_never_observed():
    states = make_trajectories().states
    states[..., 1] = np.nan
    with pytest.raises(ValueError, match="Output 1 of y is missing everywhere"):
        trajectory_scales(make_trajectories(states=states))


def test_outliers_do_not_inflate_robust_scales():
    swing = np.sin(0.3 * np.arange(60))[:, None] + [0.0, 0.5]
    states = np.stack([swing] * 3)
    outlying = states.copy()
    outlying[0, ::10] = 1e4
    before = trajectory_scales(make_trajectories(states=states), robust=True)
    after = trajectory_scales(make_trajectories(states=outlying), robust=True)
    for name in ("target_scale", "state_scale", "rate_scale"):
        ratio = getattr(after, name) / getattr(before, name)
        assert 0.7 < float(ratio.min()) <= float(ratio.max()) < 1.4
