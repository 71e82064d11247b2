"""What the bootstrap draws."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import make_model

from skhybrid.inspection.bootstrapping.series import Series
from skhybrid.inspection.bootstrapping.units import (
    draw_weights,
    folds_of,
    read_sample_weight,
    require_units,
    units_of,
)


def table_of(y):
    return Series.of(make_model(), y)


def test_rows_that_no_fit_reads_are_no_units():
    series = table_of(np.array([1.0, np.nan, 3.0, 4.0]))
    weight = np.array([1.0, 1.0, 0.0, 2.0])
    assert units_of(series, weight, None).tolist() == [0, -1, -1, 1]
    assert units_of(series, weight, ["b", "a", "a", "a"]).tolist() == [1, -1, -1, 0]


def test_a_single_unit_names_the_other_kind():
    series = table_of(np.ones(3))
    units = units_of(series, np.ones(3), [7, 7, 7])
    with pytest.raises(ValueError, match=r"whole groups, and there is a single one.*kind='block'"):
        require_units(units, series, [7, 7, 7], "pairs")
    assert require_units(np.arange(3), series, None, "pairs") == 3


def test_weights_count_draws_and_keep_the_rows_weights():
    rng = np.random.default_rng(0)
    units, weight = np.array([0, 0, 1, 2, 3, -1]), np.array([1.0, 2.0, 1.0, 1.0, 0.5, 1.0])
    for _ in range(20):
        drawn = draw_weights(units, 4, weight, rng)
        assert drawn[1] == 2 * drawn[0]
        assert drawn[5] == 0
        assert len({*units[drawn > 0]}) == 2, "n (1 − (1 − 1/n)ⁿ) is 2.7 for four units"


@pytest.mark.parametrize("n", [5, 60])
def test_the_mean_varies_as_much_as_it_should(n):
    rng = np.random.default_rng(0)
    values = rng.normal(size=n)
    weights = [draw_weights(np.arange(n), n, np.ones(n), rng) for _ in range(4000)]
    means = [np.average(values, weights=each) for each in weights]
    assert np.std(means) == pytest.approx(values.std(ddof=1) / np.sqrt(n), rel=0.12)


def test_folds_keep_units_whole_and_chunks_together():
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(12), 3)
    units[0] = -1
    fold = folds_of(units, in_order=False, rng=rng)
    assert fold[0] == -1
    assert all(len({*fold[units == unit]}) == 1 for unit in range(12))
    in_order = folds_of(np.arange(200), in_order=True, rng=rng)
    assert np.count_nonzero(np.diff(in_order)) == 19, "five folds of four chunks each"
    assert np.bincount(in_order).tolist() == [40] * 5


def test_weights_are_checked():
    series = table_of(np.ones(3))
    assert read_sample_weight(series, None).tolist() == [1.0] * 3
    with pytest.raises(ValueError, match="Negative"):
        read_sample_weight(series, [1.0, -1.0, 1.0])
