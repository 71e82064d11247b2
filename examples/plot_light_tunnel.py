"""
Light tunnel: what the network adds
===================================

Two polarizers are between three LEDs and an infrared sensor. Malus' law describes how much light
passes. The gains of the LEDs and the leak of the polarizers are unknown, and the law is incomplete.
This example fits the law alone, and a hybrid of the law and a network, to real measurements
(Gamella, Peters and Bühlmann, 2025). Then it shows the part of the network.
"""

# %%
# The data
# --------
# The measured data are read from a folder or downloaded. If neither is possible, the example uses
# simulated data with the same physics.

import matplotlib.pyplot as plt
import numpy as np

from skhybrid import HybridRegressor, Physics
from skhybrid.datasets import fetch_light_tunnel, make_light_tunnel
from skhybrid.exceptions import DataNotAvailableError

try:
    reference, shifted = (fetch_light_tunnel(subset=name) for name in ("reference", "red_shift"))
except DataNotAvailableError:
    reference, shifted = (
        make_light_tunnel(10_000, subset=name, random_state=0)
        for name in ("reference", "red_shift")
    )
X, y = reference.data[:3000], reference.target[:3000]
X.describe().loc[["min", "max"]].round(1)

# %%
# The physics
# -----------
# Positional arguments are columns of the table. Keyword-only arguments are unknown parameters.

import torch


def malus(red, green, blue, pol_1, pol_2, *, gain=(1.0, 1.0, 1.0), leak=0.1):
    light = gain[0] * red + gain[1] * green + gain[2] * blue
    aligned = torch.cos(torch.deg2rad(pol_1 - pol_2)) ** 2
    return light * (aligned + leak * (1 - aligned))


physics_alone = HybridRegressor(Physics(malus), nn=None).fit(X, y)
hybrid = HybridRegressor(Physics(malus), random_state=0).fit(X, y)
for name, model in {"physics alone": physics_alone, "hybrid": hybrid}.items():
    print(f"{name:14s}", {key: np.round(value, 3) for key, value in model.physics_params_.items()})

# %%
# Unseen rows, in range and with a much brighter red LED
# ------------------------------------------------------
# In range the hybrid is better because the network has learned the missing part. Outside the range
# it is better because the gains are right: there the inputs of the network stay at the edge of
# their training range, and the physics extrapolates.


def root_mean_square_error(model, X, y):
    return float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))


tests = {
    "in range": (reference.data[6000:], reference.target[6000:]),
    "red shift": (shifted.data, shifted.target),
}
for name, (X_test, y_test) in tests.items():
    errors = [root_mean_square_error(model, X_test, y_test) for model in (physics_alone, hybrid)]
    print(f"{name:10s} physics alone {errors[0]:5.1f} counts, hybrid {errors[1]:5.1f} counts")

# %%
# What the network adds
# ---------------------
# ``predict_parts`` splits the prediction. The part of the network is negative, and decreases over
# the first third of the drive: real LEDs emit little light at low drive, but the law is
# proportional to the drive.

physics_part, network_part = hybrid.predict_parts(tests["in range"][0])
measured = np.asarray(tests["in range"][1])
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
for label, predicted, colour in (
    ("physics part", physics_part, "#666666"),
    ("physics + network", physics_part + network_part, "#D55E00"),
):
    edges = np.quantile(predicted, np.linspace(0, 1, 21))
    bin_of = np.clip(np.searchsorted(edges, predicted) - 1, 0, 19)
    bins = [bin_of == number for number in range(20)]
    middle = [predicted[own].mean() for own in bins]
    error = measured - predicted
    low, mean, high = (
        [summary(error[own]) for own in bins]
        for summary in (lambda e: np.quantile(e, 0.05), np.mean, lambda e: np.quantile(e, 0.95))
    )
    left.fill_between(middle, low, high, color=colour, alpha=0.25, linewidth=0)
    left.plot(middle, mean, color=colour, linewidth=2, label=f"{label}: mean, and 90 % of rows")
left.axhline(0, color="black", linewidth=0.8)
left.set(
    xlabel="predicted (counts)",
    ylabel="measured less predicted (counts)",
    title="Unseen rows in range",
)
left.legend(frameon=False, fontsize=8, loc="upper left")
drive = tests["in range"][0]["red"]
right.plot(drive, network_part, ".", color="#56B4E9", markersize=2, alpha=0.4, label="every row")
bins = np.arange(0, 91, 5)
means = [network_part[(drive >= low) & (drive < low + 5)].mean() for low in bins[:-1]]
right.plot(bins[:-1] + 2.5, means, color="#0072B2", linewidth=2, label="mean")
right.axhline(0, color="black", linewidth=0.8)
right.set(
    xlabel="drive of the red LED (steps of 0 to 255)",
    ylabel="part of the network (counts)",
    title="What the network adds",
)
right.legend(markerscale=5, loc="lower right")
figure.suptitle("Infrared sensor of the light tunnel")
figure.tight_layout()
plt.show()
