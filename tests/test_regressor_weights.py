"""Sample weights and missing targets of a table."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from small_models import drive_two, make_model, make_table, same_fit, twice_corrected

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table()
STRUCTURES = ["additive", "multiplicative", "serial", twice_corrected]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "l2": 1e-3}, {"nn": None}], ids=str)
def test_weight_of_two_equals_the_row_twice(structure, settings):
    weight = np.random.default_rng(0).integers(0, 4, len(Y))
    weighted = make_model(structure=structure, **settings).fit(X, Y, sample_weight=weight)
    repeated = make_model(structure=structure, **settings)
    repeated.fit(X.loc[X.index.repeat(weight)], np.repeat(Y, weight))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-6)
    unweighted = make_model(structure=structure, **settings).fit(X, Y)
    assert not np.allclose(weighted.predict(X), unweighted.predict(X), rtol=1e-6)


@pytest.mark.parametrize("nn", [(6,), None])
def test_rows_without_any_target_do_not_count(nn):
    targets = np.column_stack([Y, 3.0 * Y])
    targets[3, 0] = targets[17, 1] = np.nan
    empty = [5, 21, 30]
    targets[empty] = np.nan
    model = make_model(physics=drive_two, nn=nn, missing_targets="mask", nn_extrapolation="free")
    masked = copy.copy(model).fit(X, targets)
    dropped = copy.copy(model).fit(X.drop(index=empty), np.delete(targets, empty, axis=0))
    np.testing.assert_allclose(masked.predict(X), dropped.predict(X), rtol=1e-6)
    assert masked.loss_ == pytest.approx(dropped.loss_, rel=1e-6)
    assert np.isfinite(masked.predict(X)).all()
    with pytest.raises(ValueError, match="contains NaN"):
        model.set_params(missing_targets="error").fit(X, targets)


def test_mask_without_anything_missing_changes_nothing():
    assert same_fit(make_model().fit(X, Y), make_model(missing_targets="mask").fit(X, Y), X)


def test_mask_still_needs_a_target():
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        make_model(missing_targets="mask").fit(X, None)
