"""
Figures of a fit, one line each
===============================

A small loss says little about a hybrid model. These displays show what its parts do, how training
went, and how far its physics parameters can be believed. They are used like scikit-learn's:
``from_estimator`` or ``from_result`` draws a figure, ``ax=`` puts it into one of your own, and
``figure_`` and ``ax_`` (``axes_`` if there are several) are what was drawn.
"""

# %%
# A fit
# -----
# The physics of the angular acceleration of a pendulum contains the restoring torque. The sensor
# has an unknown bias. Friction is missing. The true values are known: ω₀² = (2π/6)² s⁻², and a bias
# of 0.2 rad/s².

import matplotlib.pyplot as plt
import pandas as pd
import torch

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import make_pendulum, make_pendulum_acceleration
from skhybrid.inspection import (
    BootstrapDisplay,
    CorrelationDisplay,
    FitDisplay,
    LossCurveDisplay,
    PartsDisplay,
    PhysicsPathDisplay,
    ProfileDisplay,
    ReportDisplay,
    TrajectoryDisplay,
    bootstrap,
    identifiability_report,
    profile,
)

data = make_pendulum_acceleration(320, missing="drag", noise=0.05, random_state=0)
X = pd.DataFrame(data.data, columns=["angle", "velocity"])
truth = {**data.physics_params, "bias": 0.2}
y = data.target + truth["bias"]


def measured_acceleration(angle, velocity, *, omega2=2.0, bias=0.0):
    """Return what the sensor shows without friction."""
    return -omega2 * torch.sin(angle) + bias


physics = Physics(
    measured_acceleration,
    omega2=Param(2.0, bounds=(0.0, None), unit="s⁻²"),
    bias=Param(0.0, unit="rad/s²"),
)
model = HybridRegressor(physics, nn=(32,), max_epochs=100, random_state=0).fit(X, y)
print(model.summary())

# %%
# Parts
# -----
# Along the velocity, the physics explains nothing: the network has found the friction there. With
# 320 rows, lines are means over bins, and bands hold 80 % of the rows. The physics' band is wide
# because the angles vary.

acceleration = {"target_name": "acceleration", "target_unit": "rad/s²"}
PartsDisplay.from_estimator(model, X, y, feature="velocity", feature_unit="rad/s", **acceleration)
plt.show()

# %%
# Predicted against measured
# --------------------------
# The residuals have no trend and the same width everywhere.

FitDisplay.from_estimator(model, X, y, target_unit="rad/s²")
plt.show()

# %%
# Training
# --------
# ``LossCurveDisplay.from_estimator(model)`` draws the loss of a fitted model. ``from_fit`` fits a
# clone and watches θ. It moves a lot while the rate is high, and settles when the rate decays. At
# the end of the first phase, a constant that the network has learned goes to the bias (the dot).

LossCurveDisplay.from_fit(model, X, y)
plt.show()

# %%
# Replicates
# ----------
# Forty fits to rows drawn again show sampling errors, and whether they are correlated.

replicates = bootstrap(model, X, y, n_replicates=40, refine=False, random_state=0)
figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
BootstrapDisplay.from_result(replicates, truth=truth, ax=axes[:2])
CorrelationDisplay.from_result(replicates, ax=axes[2])
plt.show()

# %%
# The path over the radius
# ------------------------
# Error bars hold folds and restarts. They end at bounds.

PhysicsPathDisplay.from_estimator(
    model, X, y, param_range=[0.0, 0.02, 0.05, 0.1], cv=3, n_restarts=1, truth=truth
)
plt.show()

# %%
# Profiles
# --------
# The loss along ω₀², with everything else fitted again: of the physics alone, which has an interval
# by the F-test, and of the hybrid. The network makes up for most of a wrong ω₀²: the hybrid's loss
# rises by far less.

alone = HybridRegressor(physics, nn=None)
grid = [0.9, 1.0, 1.1, 1.2, 1.3]
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for each, name, panel in zip((alone, model), ("physics alone", "hybrid"), axes, strict=True):
    found = profile(each, X, y, "omega2", grid=grid)
    ProfileDisplay.from_result(found, truth=truth["omega2"], ax=panel)
    panel.set_title(name, loc="right", fontsize="medium")
plt.show()

# %%
# The report as a card
# --------------------
# One row for each parameter: the interval, values under other assumptions, and the verdict. The
# reasons and the advice are in ``print(report)``.

report = identifiability_report(model, X, y, parts=["intervals", "assumptions"])
ReportDisplay.from_report(report)
plt.show()

# %%
# Trajectories
# ------------
# For differential equations: one trajectory with its parts. The interval is that of a new
# measurement, from replicates and residuals.

swings = make_pendulum(10, noise=0.05, random_state=0)
swinging = HybridRegressor(
    swings.physics,
    nn=(16,),
    structure=ODE(dt=swings.dt),
    max_epochs=40,
    refine_rho=None,
    random_state=0,
)
replicates = bootstrap(swinging, swings.data, swings.target, n_replicates=10, random_state=0)
TrajectoryDisplay.from_estimator(
    replicates.estimator,
    swings.data,
    swings.target,
    index=5,
    names=["angle", "velocity"],
    units=["rad", "rad/s"],
    time_unit="s",
    bootstrap=replicates,
    interval=0.8,
    noise=True,
)
plt.show()
