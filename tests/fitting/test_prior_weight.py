"""The weight of priors in least squares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_fits import make_data, make_hybrid

from skhybrid.fitting.least_squares import fit_least_squares
from skhybrid.fitting.prior_weight import LEAST_NOISE, prior_weight
from skhybrid.fitting.residuals import Residuals
from skhybrid.training.losses import Loss


def make_residuals(loss=Loss(), n_bad=0):  # noqa: B008
    """Return residuals of the physics alone, and its best parameters."""
    data = make_data(60)
    data.y[:n_bad] += 100.0
    model = replace(make_hybrid(data), network=None)
    residuals = Residuals(model, data, loss)
    fit = fit_least_squares(model, data, loss=loss)
    return residuals, np.concatenate([np.ravel(fit.values[name]) for name in residuals.names])


def test_it_is_the_variance_of_the_noise_over_the_number_of_observed_values():
    residuals, best = make_residuals()
    weight, variance = prior_weight(residuals, best, 20)
    assert weight == variance
    noise = residuals.loss(residuals(best)) * 60 / (60 - len(best))
    assert weight == pytest.approx(noise / 20)
    assert prior_weight(residuals, best, None)[0] == pytest.approx(noise / 60)


@pytest.mark.parametrize("kind", ["huber", "absolute_error"])
def test_outliers_hardly_change_it(kind):
    found = []
    for n_bad in (0, 5):
        residuals, best = make_residuals(Loss(kind), n_bad)
        scale = float(residuals.hybrid.scales.target_scale)  # outliers inflate this one
        found.append(scale**2 * prior_weight(residuals, best, None)[0])
    assert 0.5 < found[1] / found[0] < 3.0


def test_exact_data_have_the_least_noise():
    residuals, best = make_residuals()
    y = residuals.data.y + residuals.errors(residuals(best))[0] * float(
        residuals.hybrid.scales.target_scale
    )
    exact = Residuals(residuals.hybrid, residuals.data._replace(y=y))
    assert prior_weight(exact, best, 1)[0] == LEAST_NOISE
