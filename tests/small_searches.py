"""Fast models, and searches compared with GridSearchCV, for the tests of searches and batches."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV
from small_models import make_model, make_table

from skhybrid import HybridRegressor, HybridSearchCV
from skhybrid.batching import batch_workers

# Three folds leave 32 rows to train on, enough for the second phase.
X, Y = make_table(48)
# Here they leave 26 or 27, which make as many minibatches of the same size.
UNEVEN_X, UNEVEN_Y = make_table(40)
NEW_X, NEW_Y = make_table(15, seed=1)
BOTH_PHASES = {"refine_rho": 0.0, "batch_size": 16, "max_epochs": 4}
UNEVEN_BATCHES = {**BOTH_PHASES, "batch_size": 7, "max_epochs": 3}


def quick_model(**settings) -> HybridRegressor:
    """Return an estimator whose fit takes some hundredths of a second."""
    return make_model(**{"physics_init": "given", "max_epochs": 3, **settings})


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """Return the number of fits in every batch that is trained."""
    sizes: list[int] = []
    together = batch_workers.train_together

    def noted(fits, **options):
        sizes.append(len(fits))
        return together(fits, **options)

    monkeypatch.setattr(batch_workers, "train_together", noted)
    return sizes


def split_scores(search) -> np.ndarray:
    """Return the scores on single folds, of shape (n_columns, n_candidates)."""
    names = [name for name in search.cv_results_ if re.match(r"split\d+_", name)]
    return np.stack([search.cv_results_[name] for name in names])


def search_both_ways(model, grid, X=X, y=Y, *, rtol=1e-9, params=None, fails=False, **options):
    """Return our search, after a check that its results are the ones of GridSearchCV.

    Scores must be finite, unless some fits are expected to fail; then they fail in both searches.
    """
    options = {"cv": 3, "refit": False, **options}
    theirs = GridSearchCV(model, grid, **options).fit(X, y, **(params or {}))
    ours = HybridSearchCV(model, grid, **options).fit(X, y, **(params or {}))
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    assert repr(ours.cv_results_["params"]) == repr(theirs.cv_results_["params"])
    for name in theirs.cv_results_:
        if name.startswith("param_"):
            assert repr(ours.cv_results_[name]) == repr(theirs.cv_results_[name])
    assert np.isfinite(split_scores(theirs)).all() != fails
    np.testing.assert_allclose(split_scores(ours), split_scores(theirs), rtol=rtol, atol=rtol)
    assert ours.n_splits_ == theirs.n_splits_
    assert ours.multimetric_ == theirs.multimetric_
    return ours


def dict_of_scores(model, X, y):
    error = mean_squared_error(y, model.predict(X))
    return {"error": -error, "gain": model.physics_params_["gain"]}
