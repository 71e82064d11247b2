"""Numbers of steps between observations."""

import numpy as np
import pytest

from skhybrid.model.solver_steps import SolverSteps

LENGTHS = np.array([[0.5, 1.0, 4.0], [0.5, 2.0, 3.0]])


def test_the_longest_interval_at_a_position_counts():
    assert SolverSteps(1, 1.0).at(LENGTHS).counts == (1, 2, 4)
    assert SolverSteps(1, 4.0).at(LENGTHS).counts == 1


@pytest.mark.parametrize("unit", [1.0, 60.0, 1e-9 / 3.0])
def test_halving_does_not_depend_on_the_unit_of_time(unit):
    steps = SolverSteps(1, 4.0 * unit)
    for expected in ((1, 1, 2), (1, 2, 4), (1, 4, 8)):
        steps = steps.halved(LENGTHS * unit)
        assert steps.counts == expected
    assert steps.longest == 0.5 * unit


def test_a_given_number_holds_for_all_times():
    assert SolverSteps(3).at(LENGTHS) == SolverSteps(3)
    assert SolverSteps(3).halved(LENGTHS) == SolverSteps(6)


def test_rounding_errors_and_padding_add_no_step():
    lengths = np.array([[0.1 + 0.2, 0.0]])
    assert SolverSteps(1, 0.1).at(lengths).counts == (3, 1)


def test_windows_of_another_length_get_the_most_steps():
    steps = SolverSteps((1, 2, 4), 1.0)
    assert steps.in_intervals(3) == (1, 2, 4)
    assert steps.in_intervals(2) == (4, 4)
    assert SolverSteps(2).in_intervals(2) == (2, 2)
