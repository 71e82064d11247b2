"""
How sure is a prediction?
=========================

Two kinds of intervals and what each of them says: the spread of bootstrap replicates, and conformal
intervals, which hold without assumptions about the noise or the model.
"""

# %%
# A bootstrap of the hybrid
# -------------------------
# A pendulum swings in air; the physics knows gravity, and the network learns the drag. Each of 20
# replicates is a fit of another network to resampled rows, all trained side by side. With
# ``refine=True`` they have the second phase, which predictions need.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from mapie.regression import CrossConformalRegressor

from skhybrid import HybridRegressor
from skhybrid.datasets import make_pendulum_acceleration
from skhybrid.inspection import bootstrap

LEVEL = 0.9
swings = make_pendulum_acceleration(300, noise=0.1, random_state=0, as_frame=True)
model = HybridRegressor(
    swings.physics, nn=(16, 16), batch_size=None, max_epochs=400, random_state=0
)
result = bootstrap(model, swings.data, swings.target, n_replicates=20, refine=True, random_state=0)
result

# %%
# ``predict`` gives the interval of the mean, that is of the acceleration without noise, or, with
# ``noise=True``, that of a new measurement. ``outside`` marks rows beyond the training range. There
# all replicates share the physics, so they agree, whether they are right or not.

new = make_pendulum_acceleration(2000, noise=0.1, random_state=1, as_frame=True)
of_mean = result.predict(new.data, LEVEL)
of_measurement = result.predict(new.data, LEVEL, noise=True)

# %%
# A conformal interval around the same estimator
# ----------------------------------------------
# MAPIE fits the estimator on five folds. The residuals of the rows that each fit has not seen give
# the interval. If new rows are drawn like the training rows, then, whatever the model and the
# noise, it covers them with a probability of at least 1 − 2 · (1 − LEVEL), less a term that
# vanishes with many rows, and in practice of about LEVEL (CV+; Barber et al. 2021). It says nothing
# about the mean without noise, nothing about θ, and nothing outside of the training range.

conformal = CrossConformalRegressor(model, confidence_level=LEVEL, method="plus", cv=5)
conformal.fit_conformalize(swings.data, swings.target)
_, ends = conformal.predict_interval(new.data)
low, high = ends[:, 0, 0], ends[:, 1, 0]

# %%
# What they cover
# ---------------
# Each interval is held against what it is for.


def row(low, high, values):
    """Return how many values an interval covers, and its mean width."""
    covered = (low < values) & (values < high)
    return {"covers, %": 100 * covered.mean(), "width": np.mean(high - low)}


rows = {
    "bootstrap, mean": row(of_mean.low, of_mean.high, new.noise_free),
    "bootstrap, new measurement": row(of_measurement.low, of_measurement.high, new.target),
    "conformal, new measurement": row(low, high, new.target),
}
pd.DataFrame(rows).T.round(2)

# %%
# Beyond the training range
# -------------------------
# The angle stays and the velocity grows. In training it was between −2 and 2 rad/s. The shaded part
# is outside: the network holds its last value there, all replicates alike, and every interval is
# too narrow. Only the flag says so.

sweep = pd.DataFrame({"angle": 0.5, "velocity": np.linspace(-4, 4, 161)})
truth = -swings.physics_params["omega2"] * np.sin(sweep["angle"])
truth -= 0.2 * sweep["velocity"] * sweep["velocity"].abs()
found = result.predict(sweep, LEVEL)
_, ends = conformal.predict_interval(sweep)

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
velocity = sweep["velocity"]
axes.fill_between(
    velocity,
    ends[:, 0, 0],
    ends[:, 1, 0],
    color="#56B4E9",
    alpha=0.4,
    label="measurement, conformal",
)
axes.fill_between(velocity, found.low, found.high, color="#0072B2", label="mean, bootstrap")
axes.plot(velocity, truth, color="black", linestyle="--", label="truth")
axes.fill_between(
    velocity,
    0,
    1,
    where=found.outside,
    transform=axes.get_xaxis_transform(),
    color="#999999",
    alpha=0.3,
    linewidth=0,
    label="outside",
)
axes.set(
    xlabel="velocity (rad/s)",
    ylabel="acceleration (rad/s²)",
    title=f"Intervals of {100 * LEVEL:g} % at an angle of 0.5 rad",
)
axes.legend()
plt.show()
