"""The weight of priors in least squares, from the noise of a fit without them."""

from __future__ import annotations

import numpy as np

from skhybrid.fitting.residuals import Residuals

# Without noise, priors fix only what the data leave open.
LEAST_NOISE = 1e-12


def prior_weight(
    residuals: Residuals, vector: np.ndarray, n_observed: float | None
) -> tuple[float, float]:
    """Return the weight that the noise of a fit without priors gives them, and its variance.

    Both are over N. They differ for robust losses: their curvature is not that of squares.
    """
    n_used, n_fitted = residuals.n_used, len(vector)
    n_observed = n_used if n_observed is None else n_observed
    at = residuals(vector, note=False)
    own = residuals.of_covariance(at)[: residuals.data.y.numel()]
    found = []
    for noise in (residuals.noise(at), float(np.sum(own**2))):
        if n_used > n_fitted:
            noise = noise * n_used / (n_used - n_fitted)
        noise = noise if np.isfinite(noise) else 1.0
        found.append(max(noise, LEAST_NOISE) / n_observed)
    return found[0], found[1]
