"""Clones that are fitted side by side."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from small_models import make_model, make_table

from skhybrid.inspection.flat_parameters import elements_of, hybrid_of, in_shape
from skhybrid.inspection.refits import Refit, refit

pytestmark = pytest.mark.filterwarnings("ignore::skhybrid.exceptions.CollapseWarning")

X, Y = make_table(40)
WEIGHT = np.arange(40.0) % 3


@pytest.mark.parametrize("nn", [(6,), None], ids=["hybrid", "physics alone"])
def test_a_refit_is_the_fit_of_a_clone(nn):
    model = make_model(nn=nn)
    first, second, third = refit(
        model, [Refit(X, Y), Refit(X, Y, WEIGHT), Refit(X[:30], Y[:30], params={"rho": 0.2})]
    )
    alone = clone(model).fit(X, Y, sample_weight=WEIGHT)
    assert elements_of(second) == pytest.approx(elements_of(alone), rel=1e-9)
    assert elements_of(second) != pytest.approx(elements_of(first), rel=1e-6)
    alone = clone(model).set_params(rho=0.2).fit(X[:30], Y[:30])
    assert third.rho == 0.2
    assert elements_of(third) == pytest.approx(elements_of(alone), rel=1e-9)
    assert in_shape(elements_of(first), first) == first.physics_params_


def test_a_pipeline_gets_weights_and_parameters():
    pipeline = make_pipeline(FunctionTransformer(), make_model())
    (found,) = refit(pipeline, [Refit(X, Y, WEIGHT, {"rho": 0.2})])
    alone = make_model(rho=0.2).fit(X, Y, sample_weight=WEIGHT)
    assert hybrid_of(found).rho == 0.2
    assert elements_of(found) == pytest.approx(elements_of(alone), rel=1e-9)


def test_an_error_takes_the_place_of_its_refit():
    fitted, error = refit(make_model(), [Refit(X, Y), Refit(X, Y, params={"l2": -1.0})])
    assert elements_of(fitted)
    assert isinstance(error, ValueError)
    assert "l2" in str(error)


def test_other_estimators_are_refused():
    with pytest.raises(TypeError, match="Ridge"):
        refit(Ridge(), [Refit(X, Y)])
