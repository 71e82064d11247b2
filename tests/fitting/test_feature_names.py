"""Feature names are as before if a fit fails."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.validation import validate_data
from small_models import make_model, make_table

from skhybrid.fitting.feature_names import features_restored_on_failure, noted_features

X, _ = make_table()


def test_noted_features_are_the_attributes_of_scikit_learn():
    model = make_model()
    assert noted_features(model) == {}
    validate_data(model, X.to_numpy())
    assert noted_features(model) == {"n_features_in_": 2}
    validate_data(model, X)
    assert list(noted_features(model)) == ["n_features_in_", "feature_names_in_"]


def test_features_of_a_fit_that_succeeds_are_kept():
    model = make_model()
    with features_restored_on_failure(model):
        validate_data(model, X)
    assert model.feature_names_in_.tolist() == ["force", "angle"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_first_fit_that_fails_leaves_no_features(error):
    model = make_model()
    before = dict(vars(model))
    with pytest.raises(error), features_restored_on_failure(model):
        validate_data(model, X)
        raise error
    assert vars(model) == before


@pytest.mark.parametrize("table", [X, X.to_numpy()], ids=["names", "no names"])
@pytest.mark.parametrize(
    "other", [X[["angle"]], np.zeros((3, 4))], ids=["other names", "other number"]
)
def test_later_fit_that_fails_restores_the_features(table, other):
    model = make_model()
    validate_data(model, table)
    before = noted_features(model)
    with pytest.raises(ValueError, match="later"), features_restored_on_failure(model):
        validate_data(model, other)
        assert noted_features(model) != before
        raise ValueError("later")
    after = noted_features(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
