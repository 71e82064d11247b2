"""Evaluate fitted models."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from small_models import make_model, make_table

from skhybrid.prediction.evaluate import evaluate


def test_several_outputs_at_once():
    X, y = make_table()
    model = make_model(nn=None).fit(X, y)
    both = evaluate(model, X, lambda hybrid, x, z, hold: (hybrid(x, z), 2.0 * hybrid(x, z)))
    assert np.array_equal(both[0], model.predict(X))
    assert np.allclose(both[1], 2.0 * both[0])


def test_what_is_for_trajectories_is_refused():
    X, y = make_table()
    with pytest.raises(ValueError, match="times is for trajectories"):
        evaluate(make_model(nn=None).fit(X, y), X, lambda *_: (), times=[1.0])
    with pytest.raises(NotFittedError):
        evaluate(make_model(), X, lambda *_: ())
