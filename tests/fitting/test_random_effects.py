"""Standard deviations between groups."""

import numpy as np
import pytest

from skhybrid.fitting.random_effects import estimate_spreads

N_GROUPS, N_ROWS = 12, 5


def one_way(spread=2.0, noise=0.5, seed=0):
    """Return values of groups of equal size, and the groups."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(N_GROUPS), N_ROWS)
    values = 3.0 + spread * rng.normal(size=N_GROUPS)[groups]
    return values + noise * rng.normal(size=len(groups)), groups


def estimate(values, groups, start=1.0, known=False, n_groups=N_GROUPS):
    """Fit a common mean and a mean of each group."""
    ones = np.ones((len(values), 1))
    return estimate_spreads(
        values, ones, ones, groups, np.array([start]), np.array([known]), n_groups
    )


@pytest.mark.parametrize("start", [0.1, 1.0, 30.0])
def test_groups_of_equal_size_give_the_analysis_of_variance(start):
    """Restricted maximum likelihood equals it in balanced designs (Searle et al. 1992)."""
    values, groups = one_way()
    means = values.reshape(N_GROUPS, N_ROWS).mean(axis=1)
    within = np.sum((values - means[groups]) ** 2) / (len(values) - N_GROUPS)
    between = N_ROWS * np.var(means, ddof=1)
    found = estimate(values, groups, start)
    assert found.noise == pytest.approx(within, rel=0.01)
    assert found.spreads[0] ** 2 == pytest.approx((between - within) / N_ROWS, rel=0.01)
    assert found.common[0] == pytest.approx(values.mean())
    shrunk = (means - values.mean()) * (1.0 - within / between)
    assert found.means[:, 0] == pytest.approx(shrunk, abs=0.01)


def test_groups_that_do_not_differ_have_hardly_a_spread():
    values, groups = one_way(spread=0.0, seed=3)
    assert estimate(values, groups).spreads[0] < 0.2


def test_a_known_spread_stays():
    values, groups = one_way()
    found = estimate(values, groups, start=0.3, known=True)
    assert found.spreads.tolist() == [0.3]


def test_a_group_without_rows_is_at_zero():
    values, groups = one_way()
    found = estimate(values, groups, n_groups=N_GROUPS + 1)
    assert found.means[-1, 0] == 0.0
    assert found.spreads[0] == pytest.approx(estimate(values, groups).spreads[0])
