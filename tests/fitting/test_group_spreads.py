"""The prior of the groups' values, and where they start."""

import numpy as np
import pytest
from group_fits import KM, VALUES, kinetics, make_model, make_rates

from skhybrid.exceptions import PoorFitWarning


def test_the_prior_has_the_weight_that_the_noise_gives_it():
    """λ = σ²/(N s²), with the true noise in place of the estimated one."""
    X, y = make_rates(n_rows=60, noise=0.2)
    hybrid = make_model(max_epochs=1).fit(X, y)._fitted.hybrid
    assert hybrid.group_penalty == pytest.approx(0.2**2 / y.var() / len(y), rel=0.2)
    spread = float(hybrid.space.variations["vmax"].constants["scale"])
    assert spread == pytest.approx(np.std([*VALUES.values()], ddof=1), rel=0.2)
    given = make_model(kinetics(per_std=0.7), max_epochs=1).fit(X, y)._fitted.hybrid
    assert float(given.space.variations["vmax"].constants["scale"]) == pytest.approx(0.7)


def test_a_small_group_stays_close_to_the_others():
    """Against all of its rows, one row of a group says little."""
    X, y = make_rates(noise=0.5)
    few = np.r_[0:46]
    whole, shrunk = (make_model().fit(X.iloc[rows], y[rows]) for rows in (np.r_[0:60], few))
    common = shrunk.physics_params_["vmax"]
    assert abs(shrunk.group_params_["vmax"]["d"] - common) < abs(
        whole.group_params_["vmax"]["d"] - whole.physics_params_["vmax"]
    )
    tight = make_model(kinetics(per_std=1e-3)).fit(X, y)
    assert np.ptp(tight.group_params_["vmax"]) < 0.01


def test_a_fit_starts_at_the_values_of_linearised_physics():
    """Without a step of training, values are about right; at given values, all are equal."""
    X, y = make_rates()
    untrained = {"learning_rate": 1e-9, "max_epochs": 1}
    started = make_model(**untrained).fit(X, y)
    assert started.group_params_["vmax"].to_dict() == pytest.approx(VALUES, rel=0.25)
    assert started.physics_params_["km"] == pytest.approx(KM, rel=0.25)
    with pytest.warns(PoorFitWarning):
        given = make_model(**untrained, physics_init="given").fit(X, y)
    assert np.ptp(given.group_params_["vmax"]) < 1e-3
