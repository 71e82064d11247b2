"""θ under other assumptions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from small_models import make_model, make_table

from skhybrid.inspection import other_assumptions
from skhybrid.inspection.assumptions.result import Opinion, OtherAssumptions


@pytest.fixture(scope="module")
def found():
    X, y = make_table(60)
    return other_assumptions(make_model(max_epochs=10), X, y)


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
    model = make_model(max_epochs=10)
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
    wild = Opinion("plain", "", {"k": 9.0}, reference=True)
    missing = Opinion("few inputs", "", {"k": np.nan}, reason="no")
    found = OtherAssumptions([own, other, wild, missing], ["k"])
    assert found.range("k") == (1.5, 2.0)
    assert "between 1.5 and 2 over 2 assumptions" in found.sentence("k")
    assert "'small' with 1.5 (-25.0%)" in found.sentence("k")
    assert "no other opinion" in OtherAssumptions([own, wild], ["k"]).sentence("k")
    assert "small" in str(found)
    assert "<table" in found._repr_html_()
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
