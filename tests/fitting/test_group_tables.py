"""Values of groups as tables."""

import numpy as np
import pytest
from group_fits import make_model, make_rates, rate

from skhybrid import HybridRegressor, Param, Physics


def test_arrays_of_groups():
    def line(x, *, slopes=(1.0, 1.0)):
        return slopes[0] * x + slopes[1]

    X, _ = make_rates()
    x, site = X["substrate"].to_numpy(), X["site"].map({each: i for i, each in enumerate("abcd")})
    site = site.to_numpy()
    physics = Physics(line, slopes=Param([1.0, 0.0], per=1))
    model = make_model(physics).fit(np.c_[x, 5 * site], (1 + site) * x - site)
    values = model.group_params_["slopes"]
    assert values.columns.tolist() == ["slopes[0]", "slopes[1]"]
    assert values.index.tolist() == [0.0, 5.0, 10.0, 15.0]
    expected = np.c_[1.0 + np.arange(4), -np.arange(4)]
    assert values.to_numpy() == pytest.approx(expected, abs=0.05)


def test_a_model_without_groups_has_no_table():
    X, y = make_rates()
    model = HybridRegressor(rate, nn=None).fit(X[["substrate"]], y)
    with pytest.raises(AttributeError, match="no parameter has a value for each group"):
        _ = model.group_params_
