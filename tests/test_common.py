"""scikit-learn's own checks of an estimator."""

from __future__ import annotations

import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhybrid import HybridRegressor, Param, Physics


def line(X, *, slope=1.0, offset=0.0):
    """Return a line in the middle column, which matters in the data of scikit-learn's checks."""
    return slope * X[:, (X.shape[1] - 1) // 2] + offset


def five_lines(X, *, slope=1.0, offset=0.0):
    """Return the line five times, for the check with five targets."""
    return torch.stack([line(X, slope=slope, offset=offset)] * 5, dim=-1)


class CorrectedTwice:
    """A structure whose name in the test's id is the same in every process."""

    def __call__(self, x, physics, nn):
        return physics(x) + nn(x, physics(x))

    def __repr__(self):
        return "corrected_twice"


def make_model(**settings) -> HybridRegressor:
    """Return an estimator for which a row of weight two equals the row twice.

    This needs all rows in one minibatch, float64, and no refinement: the refinement draws its folds
    by rows, so that a repeated row may be in two folds.
    """
    settings = {
        "physics": Physics(line),
        "nn": (4,),
        "max_epochs": 20,
        "learning_rate": 0.06,
        **settings,
    }
    exact = {"batch_size": None, "dtype": "float64", "refine_rho": None, "random_state": 0}
    return HybridRegressor(**exact, **settings)


@pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")
@parametrize_with_checks(
    [
        make_model(optimizer="sam"),
        make_model(optimizer="adam", structure="multiplicative"),
        make_model(structure="serial", missing_targets="mask"),
        make_model(structure=CorrectedTwice()),
        make_model(physics=None),
        make_model(physics=Physics(line, slope=Param(1.0, bounds=(-9.0, 9.0))), nn=None),
    ]
)
def test_checks_of_scikit_learn(estimator, check):
    # The physics fixes the number of targets.
    if check.func.__name__ == "check_regressor_multioutput" and estimator.physics is not None:
        estimator = clone(estimator).set_params(physics=Physics(five_lines))
    check(estimator)
