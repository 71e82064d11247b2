"""The rows of a fit, read again."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import make_model, make_table

from skhybrid.inspection.training_rows import training_rows


def test_the_rows_are_those_of_the_fit():
    X, y = make_table()
    read = training_rows(make_model(nn=None).fit(X, y), X, y)
    assert np.array_equal(read.data.x.numpy(), X.to_numpy())
    assert np.array_equal(read.data.y.numpy(), y)


def test_columns_of_another_order_or_name_are_refused():
    X, y = make_table()
    model = make_model(nn=None).fit(X, y)
    for other in (X[["angle", "force"]], X.rename(columns={"angle": "turn"})):
        with pytest.raises(ValueError, match="the model was fitted with"):
            training_rows(model, other, y)


def test_what_with_params_has_set_is_no_estimate():
    X, y = make_table()
    with pytest.raises(ValueError, match="with_params has set gain"):
        training_rows(make_model(nn=None).fit(X, y).with_params(gain=1.0), X, y)
