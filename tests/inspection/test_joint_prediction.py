"""What functions and groups can make up for together."""

from __future__ import annotations

import numpy as np
import pytest

from skhybrid.inspection.imitators import Imitator
from skhybrid.inspection.joint_prediction import left_by_imitators

N = 300
RNG = np.random.default_rng(0)
U, V, Z = RNG.uniform(-1.5, 1.5, (3, N))
SLOPE = np.exp(U)[:, None]


def part_left(imitators, *channels, others=None):
    values = np.stack(channels, axis=1)[..., None]
    others = np.zeros((N, len(channels), 0)) if others is None else others
    (left,) = left_by_imitators(imitators, values, [others])
    return left / np.sum(values**2)


def test_what_a_function_times_its_slope_gives_is_not_left():
    function = Imitator(Z[:, None], SLOPE)
    # A hump and a step are for kernels and for trees.
    for shape in (Z**2, np.exp(-4.0 * Z**2), (Z > 0.3).astype(float)):
        assert part_left([function], shape * SLOPE[:, 0]) < 0.05
    # Rows count by their squared slopes, and a constant explains none of this.
    beside = U - np.average(U, weights=SLOPE[:, 0] ** 2)
    assert part_left([function], beside * SLOPE[:, 0]) > 0.9
    # Without the slope, the same effect could not be imitated.
    assert part_left([Imitator(Z[:, None], np.ones((N, 1)))], Z**2 * SLOPE[:, 0]) > 0.3


def test_functions_make_up_for_an_effect_together():
    effect = np.sin(Z) * SLOPE[:, 0] + V**2 * U
    first, second = Imitator(Z[:, None], SLOPE), Imitator(V[:, None], U[:, None])
    assert part_left([first, second], effect) < 0.01
    assert part_left([first], effect) > 0.1
    assert part_left([second], effect) > 0.1


def test_other_effects_make_up_for_an_effect_together_with_a_function():
    function = Imitator(Z[:, None], SLOPE)
    # U is the other effect less what a function gives.
    other = U + Z * SLOPE[:, 0]
    own = U - other * (other @ U) / (other @ other)
    assert part_left([function], own) > 0.1
    assert part_left([function], own, others=other[:, None, None]) < 0.001


def test_a_function_answers_once_for_all_channels():
    slopes = np.stack([np.ones(N), -np.ones(N)], axis=1)
    function = Imitator(Z[:, None], slopes)
    assert part_left([function], Z, -Z) < 0.01
    # It can do nothing for one that needs the opposite answer in each channel.
    assert part_left([function], Z, Z) == pytest.approx(1.0, abs=0.05)
    assert part_left([function], Z, np.zeros(N)) == pytest.approx(0.5, abs=0.05)


def test_values_of_groups_sum_to_zero_and_cost_what_their_prior_says():
    group = np.arange(N) % 6
    of_group = RNG.normal(size=6)[group]
    of_group -= of_group.mean()
    free = Imitator(group[:, None].astype(float), np.ones((N, 1)), 0.0)
    assert part_left([free], of_group) < 0.01
    assert part_left([free], np.ones(N)) == pytest.approx(1.0, abs=0.05)
    assert part_left([free], U) > 0.9
    # With as much prior as data, half of the answer is left, and a quarter of its square.
    held = Imitator(free.seen, free.slopes, 0.75 * N / 6.0)
    assert part_left([held], of_group) == pytest.approx(0.25, abs=0.02)


def test_a_single_group_makes_up_for_nothing():
    group = Imitator(np.zeros((N, 1)), np.ones((N, 1)), 0.0)
    assert part_left([group], U) == 1.0


def test_many_points_are_thinned():
    seen = RNG.uniform(-1.0, 1.0, (5000, 1))
    values = np.stack([np.sin(seen), RNG.normal(size=(5000, 1))], axis=-1)
    others = [np.zeros((5000, 1, 0))] * 2
    left = left_by_imitators([Imitator(seen, np.ones((5000, 1)))], values, others)
    assert left / np.sum(values**2, axis=(0, 1)) == pytest.approx([0.0, 1.0], abs=0.01)
