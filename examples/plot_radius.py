"""
A radius that follows the noise
===============================

A large radius protects θ from noise, but where the data are clean it holds the network back, and θ
with it. By default the radius therefore follows the noise in the training loss. This example shows
it along training, for three levels of noise.
"""

# %%
# Fits with both schedules
# ------------------------
# The physics of a pendulum lacks drag. ``rho_schedule="constant"`` keeps the radius ``rho``. The
# second phase is left out, because it does not change θ.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import HybridRegressor
from skhybrid.datasets import make_pendulum_acceleration, pendulum_acceleration

RHO = 0.05
fits, rows = {}, []
for noise in (0.0, 0.01, 0.1):
    swings = make_pendulum_acceleration(noise=noise, random_state=0)
    row = {"noise, rad/s²": noise}
    for schedule in ("constant", "noise"):
        model = HybridRegressor(
            pendulum_acceleration,
            rho=RHO,
            rho_schedule=schedule,
            refine_rho=None,
            random_state=0,
        ).fit(swings.data, swings.target)
        fits[noise, schedule] = model
        error = model.physics_params_["omega2"] / swings.physics_params["omega2"] - 1
        row[f'error of omega2, %, "{schedule}"'] = 100 * error
    rows.append(row)
pd.DataFrame(rows).set_index("noise, rad/s²").round(2)

# %%
# The radius along training
# -------------------------
# The radius is never below ρ times the square of the decay of the learning rate, which is half a
# cosine. Above that, it is proportional to the root mean square error, up to ρ at 3 % of the
# target's standard deviation. The formula uses a moving average over minibatches; the losses of
# whole epochs in ``loss_curve_`` give nearly the same.


def radius(losses):
    """Return the radius in every epoch."""
    progress = np.arange(len(losses)) / len(losses)
    mean, means = 1.0, []
    for loss in losses:
        mean += (min(1.0, loss / 0.03**2) - mean) / max(1.0, len(losses) / 30)
        means.append(mean)
    return RHO * np.maximum(np.cos(np.pi * progress / 2) ** 4, np.sqrt(means))


figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
colours = {0.0: "#0072B2", 0.01: "#009E73", 0.1: "#D55E00"}
for (noise, schedule), model in fits.items():
    losses = np.array(model.loss_curve_)
    progress = np.arange(len(losses)) / len(losses)
    line = {"color": colours[noise], "linestyle": "-" if schedule == "noise" else ":"}
    left.semilogy(progress, np.sqrt(losses), **line)
    if schedule == "noise":
        right.plot(progress, radius(losses), label=f"noise {noise:g} rad/s²", **line)
left.axhline(0.03, color="black", linewidth=0.8)
left.text(0.99, 0.031, "3 %", ha="right", va="bottom")
left.set(
    xlabel="progress of the phase",
    ylabel="root mean square error / standard deviation",
    title='Training loss ("constant": dotted)',
)
grid = np.linspace(0, 1, 200)
least = RHO * np.cos(np.pi * grid / 2) ** 4
right.plot(grid, least, "--", color="black", label="smallest radius")
right.set(
    xlabel="progress of the phase", ylabel="radius", title='Radius of rho_schedule="noise"', ylim=0
)
right.legend(frameon=False, loc="lower left")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
