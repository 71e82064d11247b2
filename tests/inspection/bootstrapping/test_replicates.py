"""Fits to all rows and to resampled ones."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import make_model, make_table

from skhybrid.exceptions import TrainingError
from skhybrid.inspection.bootstrapping.replicates import Replicates, usable
from skhybrid.inspection.bootstrapping.series import Series
from skhybrid.inspection.refits import Refit

X, Y = make_table()


def replicates_of(model):
    return Replicates(model, X, Y, Series.of(model, Y), np.ones(len(Y)))


def test_the_fit_to_all_rows_is_the_one_that_fit_makes():
    model = make_model(random_state=3)
    fits = replicates_of(model)
    other, further = fits.fit([Refit(X, Y, params={"random_state": 4})], lambda chosen: [])
    assert fits.full.physics_params_ == pytest.approx(model.fit(X, Y).physics_params_, rel=1e-6)
    assert other[0].physics_params_ != fits.full.physics_params_
    assert further == []


def test_what_is_auto_is_chosen_once():
    fits = replicates_of(make_model(l2="auto", max_epochs=3, nn=(3,)))
    told = []
    (first,), (second,) = fits.fit(
        [Refit(X, Y)], lambda chosen: told.append(chosen) or [Refit(X, Y, params={"l2": 0.5})]
    )
    assert told == [{"l2": fits.full.l2_}]
    assert first.l2 == fits.full.l2_
    assert second.l2 == 0.5


def test_replicates_that_fail_are_reported_and_left_out():
    fits = replicates_of(make_model(max_epochs=2))
    bad = Refit(X, Y, params={"l2": -1.0})
    fitted, _ = fits.fit([Refit(X, Y), bad, Refit(X, Y)])
    with pytest.warns(RuntimeWarning, match=r"Of 3 replicates, 1 failed.*'l2'"):
        assert usable(fitted).tolist() == [True, False, True]
    with pytest.raises(TrainingError, match="Of 3 replicates, 2 failed"):
        usable([*fitted[:2], fitted[1]])
