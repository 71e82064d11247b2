"""θ under other assumptions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from small_models import drive, make_model, make_table

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.inspection import other_assumptions
from skhybrid.inspection.assumptions.other_assumptions import NAMES
from skhybrid.inspection.assumptions.result import Opinion, OtherAssumptions


class Gain(torch.autograd.Function):
    """A product whose derivative cannot be taken forwards, as a penalty on it would have to."""

    @staticmethod
    def forward(ctx, gain, force):
        ctx.save_for_backward(force)
        return gain * force

    @staticmethod
    def backward(ctx, slope):
        (force,) = ctx.saved_tensors
        return (slope * force).sum(), None


def drive_without_slopes(force, *, gain=1.0):
    return Gain.apply(gain, force)


@pytest.fixture(scope="module")
def found():
    X, y = make_table(60)
    return other_assumptions(make_model(max_epochs=4), X, y, assumptions=NAMES)


def test_every_assumption_has_a_row(found):
    names = ["own", "small", "orthogonal", "few inputs", "plain", "physics alone"]
    assert [*found.frame.index] == [*names, "partially linear"]
    for name in names:
        assert np.isfinite([*found[name].values.values()]).all(), name
        assert found[name].reason == ""
    assert np.isnan(found["partially linear"].values["gain"])
    assert "cannot be told from" in found["partially linear"].reason
    assert found["few inputs"].meaning.startswith("depends on few inputs: ")


def test_an_opinion_is_the_fit_that_one_would_make(found):
    X, y = make_table(60)
    model = make_model(max_epochs=4)
    small = clone(model).set_params(optimizer="adam", functional_norm=0.01).fit(X, y)
    assert found["small"].values == pytest.approx(small.physics_params_)
    assert found["small"].loss == pytest.approx(small.loss_)
    alone = clone(model).set_params(nn=None).fit(X, y)
    assert found["physics alone"].values == pytest.approx(alone.physics_params_)
    few = clone(model).set_params(nn_features="auto").fit(X, y)
    assert found["few inputs"].values == pytest.approx(few.physics_params_)


def test_references_do_not_count_in_the_range():
    own = Opinion("own", "", {"k": 2.0})
    other = Opinion("small", "", {"k": 1.5})
    wild = Opinion("physics alone", "", {"k": 9.0}, reference=True)
    missing = Opinion("few inputs", "", {"k": np.nan}, reason="no")
    found = OtherAssumptions([own, other, wild, missing], ["k"])
    assert found.range("k") == (1.5, 2.0)
    assert "between 1.5 and 2 over 2 assumptions" in found.sentence("k")
    assert "'small' with 1.5 (-25.0%)" in found.sentence("k")
    assert "no other opinion" in OtherAssumptions([own, wild], ["k"]).sentence("k")
    assert "small" in str(found)
    assert "<table>" in found._repr_html_()
    with pytest.raises(KeyError, match="no assumption 'smal'"):
        found["smal"]


def test_what_cannot_be_had_has_a_reason(table):
    model = make_model(max_epochs=2, nn_features=["angle"])
    found = other_assumptions(model, *table, assumptions=["few inputs"])
    assert found["few inputs"].reason.startswith("nn_features are given")
    assert np.isnan(found["few inputs"].values["gain"])


def test_wrong_arguments_are_refused(table):
    with pytest.raises(ValueError, match="no assumption 'smal'"):
        other_assumptions(make_model(), *table, assumptions=["smal"])
    with pytest.raises(ValueError, match="nn is None"):
        other_assumptions(make_model(nn=None), *table)


def test_few_inputs_are_asked_for_by_name_because_they_take_long(table):
    found = other_assumptions(make_model(max_epochs=2), *table)
    assert [*found.rows] == [name for name in ("own", *NAMES) if name != "few inputs"]


def test_a_fitted_model_is_not_fitted_again_and_its_choices_are_kept(table):
    model = make_model(max_epochs=4, random_state=3, rho="auto").fit(*table)
    found = other_assumptions(model, *table, assumptions=["plain"])
    assert found["own"].values == model.physics_params_
    assert found["own"].estimator is model
    plain = found["plain"].estimator
    assert (plain.rho, plain.l2) == (model.rho_, 0.0)


def test_orthogonal_fits_of_tables_are_short(table):
    found = other_assumptions(make_model(max_epochs=8), *table, assumptions=["orthogonal"])
    assert found["orthogonal"].estimator.n_iter_ == 2
    assert found["own"].estimator.n_iter_ == 8


def test_a_fit_that_fails_is_a_row_with_the_reason(table):
    model = HybridRegressor(drive_without_slopes, nn=(4,), max_epochs=2, dtype="float64")
    found = other_assumptions(model, *table, assumptions=["orthogonal", "plain"])
    assert found["orthogonal"].reason.startswith("The fit failed: ")
    assert np.isnan(found["orthogonal"].values["gain"])
    assert np.isfinite(found["plain"].values["gain"])


def test_physics_without_free_parameters_is_refused(table):
    fixed = Physics(drive, gain=Param(2.0, fixed=True), offset=Param(0.5, fixed=True))
    with pytest.raises(ValueError, match="no free parameters"):
        other_assumptions(make_model(physics=fixed, max_epochs=2), *table, assumptions=["plain"])
