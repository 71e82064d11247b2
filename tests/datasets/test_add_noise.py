"""Noise on states: standard deviations, wrong values, and no noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skhybrid.datasets._add_noise import add_noise, check_noise

NAMES = ("angle", "velocity")


def test_one_number_or_one_for_each_component():
    assert_array_equal(check_noise(0.5, NAMES), [0.5])
    assert_array_equal(check_noise([0, 2], NAMES), [0.0, 2.0])


@pytest.mark.parametrize(
    "noise", [[0.1], [0.1, 0.1, 0.1], [0.1, -0.1], [0.1, np.nan], ["much", 1], -1.0, np.inf]
)
def test_wrong_noise_is_named(noise):
    with pytest.raises(ValueError, match="noise must be one number") as raised:
        check_noise(noise, NAMES)
    assert repr(noise) in str(raised.value)
    assert "angle, velocity" in str(raised.value)


def test_noise_is_gaussian_with_the_given_standard_deviations():
    states = np.ones((50_000, 2))
    noise = add_noise(states, np.array([0.0, 2.0]), np.random.RandomState(0)) - states
    assert_array_equal(noise[:, 0], 0.0)
    assert noise[:, 1].std() == pytest.approx(2.0, rel=0.02)
    assert abs(noise[:, 1].mean()) < 0.05
    assert np.mean(np.abs(noise[:, 1]) < 2.0) == pytest.approx(0.683, abs=0.01)
    assert_array_equal(states, 1.0)


def test_without_noise_nothing_is_drawn_and_states_are_copied():
    random = np.random.RandomState(0)
    states = np.ones((3, 2))
    silent = add_noise(states, np.array([0.0]), random)
    assert_array_equal(silent, states)
    assert not np.shares_memory(silent, states)
    assert random.standard_normal() == np.random.RandomState(0).standard_normal()
