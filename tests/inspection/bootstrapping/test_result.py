"""The result of a bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import make_model, make_table

from skhybrid.inspection import bootstrap

X, Y = make_table()


@pytest.fixture(scope="module")
def result():
    model = make_model(max_epochs=10)
    return bootstrap(model, X, Y, n_replicates=12, random_state=0)


def test_the_spread_is_that_of_the_replicates(result):
    gains = [each.physics_params_["gain"] for each in result.estimators]
    assert result.params["gain"].tolist() == gains
    assert result.physics_params_std_["gain"] == pytest.approx(np.std(gains, ddof=1))
    assert result.to_frame()["gain"].tolist() == gains
    assert result.frame.loc["gain", "mean"] == pytest.approx(np.mean(gains))
    assert result.frame.loc["gain", "estimate"] == result.estimator.physics_params_["gain"]


def test_intervals_are_quantiles(result):
    low, high = result.interval(0.8)["gain"]
    ordered = np.sort(result.params["gain"])
    # Of 12 values, the 1.3rd and the 11.7th.
    assert low == pytest.approx(ordered[0] + 0.3 * (ordered[1] - ordered[0]))
    assert high == pytest.approx(ordered[-1] - 0.3 * (ordered[-1] - ordered[-2]))
    with pytest.warns(UserWarning, match="needs 39 replicates, and there are 12"):
        assert result.interval(0.95)["gain"] == (ordered[0], ordered[-1])
    with pytest.raises(ValueError, match="level must be between 0 and 1; got 95"):
        result.interval(95)


def test_predictions_have_an_interval_with_and_without_noise(result):
    new = X.copy()
    new.loc[3, "angle"] = 9.0
    mean, measured = result.predict(new, 0.8), result.predict(new, 0.8, noise=True)
    assert np.array_equal(mean.prediction, result.estimator.predict(new))
    assert (measured.high - measured.low).mean() > (mean.high - mean.low).mean()
    assert mean.outside.tolist() == [row == 3 for row in range(40)]
    assert np.array_equal(measured.low, result.predict(new, 0.8, noise=True).low)
    with pytest.raises(ValueError, match="interval must be between 0 and 1; got 90"):
        result.predict(new, 90)


def test_intervals_of_measurements_cover_new_ones(result):
    table, y = make_table(400, seed=1)
    found = result.predict(table, 0.9, noise=True)
    covered = ((found.low < y) & (y < found.high)).mean()
    assert covered > 0.85


def test_replicates_without_a_second_phase_do_not_predict():
    model = make_model(max_epochs=2, refine_rho=0.0)
    coarse = bootstrap(model, X, Y, n_replicates=2, random_state=0)
    with pytest.raises(ValueError, match="refine=True"):
        coarse.predict(X)
    fine = bootstrap(model, X, Y, n_replicates=2, refine=True, random_state=0)
    assert fine.predict(X).low.shape == Y.shape
    assert fine.params["gain"] == pytest.approx(coarse.params["gain"])


def test_it_reads_as_a_table(result):
    text = str(result)
    assert text.startswith("Bootstrap of rows, groups or trajectories: 12 replicates")
    assert f"{result.physics_params_std_['offset']:.5g}" in text
    assert ">offset<" in result._repr_html_()
