"""Many small least-squares problems: each is solved as if it were alone."""

from __future__ import annotations

import numpy as np
import scipy.optimize

from skhybrid.prediction.many_least_squares import minimise_side_by_side

SIZES = np.array([1.0, 10.0, 5.0, 3.0])
START = np.array([[-1.2, 1.0], [-1.2, 1.0], [-1.2, 1.0], [2.0, -3.0]])
EXACT = {"tolerance": 1e-12, "rounding": 1e-12}


def curved(at, rows):
    """Return the residuals of a curved valley (H. H. Rosenbrock, 1960), of several widths."""
    x, y = at.T
    return np.stack([SIZES[rows] * (y - x**2), 1.0 - x, 0.1 * (x + y)], axis=1)


def slopes(at, rows):
    x, one = at[:, 0], np.ones(len(at))
    size = SIZES[rows]
    rates = [[-2.0 * size * x, size], [-one, 0.0 * one], [0.1 * one, 0.1 * one]]
    return np.moveaxis(np.array(rates), 2, 0)


def counted(function):
    """Return the function, and a list of how many problems each call had."""
    calls = []

    def count(at, rows):
        calls.append(len(rows))
        return function(at, rows)

    return count, calls


def test_the_minima_are_those_of_each_problem_alone():
    found = minimise_side_by_side(curved, slopes, START, **EXACT)
    for row, at in enumerate(found):
        alone = scipy.optimize.least_squares(
            lambda x, row=row: curved(x[None], np.array([row]))[0], START[row], xtol=1e-12
        )
        np.testing.assert_allclose(at, alone.x, rtol=1e-3)


def test_problems_do_not_wait_for_each_other():
    together, calls = counted(curved)
    found = minimise_side_by_side(together, slopes, START, **EXACT)
    lengths = []
    for row in range(len(START)):
        alone, own = counted(lambda at, _, row=row: curved(at, np.full(len(at), row)))
        one = minimise_side_by_side(
            alone,
            lambda at, _, row=row: slopes(at, np.full(len(at), row)),
            START[row : row + 1],
            **EXACT,
        )
        np.testing.assert_allclose(found[row], one[0], rtol=1e-12)
        lengths.append(len(own))
    assert len(calls) == max(lengths)
    assert sum(calls) == sum(lengths)


def test_problems_that_are_not_finite_stay_where_they_are():
    def broken(at, rows):
        return np.where(rows[:, None] == 1, np.inf, curved(at, rows))

    found = minimise_side_by_side(broken, slopes, START, **EXACT)
    np.testing.assert_array_equal(found[1], START[1])
    np.testing.assert_allclose(
        found[[0, 2, 3]], minimise_side_by_side(curved, slopes, START, **EXACT)[[0, 2, 3]]
    )


def test_residuals_with_kinks_end():
    def bent(at, rows):
        return np.stack([np.abs(at[:, 0] - 0.5) + at[:, 0] * 0.3 - 1.0, 0.01 * at[:, 0]], axis=1)

    def bends(at, rows):
        rate = np.sign(at[:, 0] - 0.5) + 0.3
        return np.stack([rate, np.full(len(at), 0.01)], axis=1)[..., None]

    count, calls = counted(bent)
    found = minimise_side_by_side(count, bends, np.full((1, 1), 30.0), **EXACT)
    assert np.square(bent(found, None)).sum() < 1e-3
    assert len(calls) < 30
