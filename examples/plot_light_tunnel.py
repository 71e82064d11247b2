"""
Light tunnel: what did the network add?
=======================================

Two polarizers stand between three LEDs and an infrared sensor. Malus' law says how the light
passes; the gains of the LEDs and the leak of the polarizers are unknown, and so is everything the
law leaves out. We fit the law alone and a hybrid of the law and a network, on real measurements
(Gamella, Peters and Bühlmann, 2025), and look at the network's part.
"""

# %%
# The data
# --------
# The measured set is read from a folder or downloaded. Without either, a simulated set with the
# same physics stands in.

import matplotlib.pyplot as plt
import numpy as np

from skhybrid import HybridRegressor, Physics
from skhybrid.datasets import fetch_light_tunnel, make_light_tunnel
from skhybrid.exceptions import DataNotAvailableError

try:
    reference, shifted = (fetch_light_tunnel(subset=name) for name in ("reference", "red_shift"))
except DataNotAvailableError:
    reference, shifted = (
        make_light_tunnel(subset=name, random_state=0) for name in ("reference", "red_shift")
    )
X, y = reference.data[:3000], reference.target[:3000]
X.describe().loc[["min", "max"]].round(1)

# %%
# The physics
# -----------
# Positional names are columns of the table, keyword-only names are unknowns.

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
# Unseen rows, in range and with the red LED driven far beyond it
# ----------------------------------------------------------------
# In range the hybrid is better because the network knows what the law leaves out. Out of range it
# is better because the gains are right: there the network holds its inputs at the edge of what it
# has seen, and the physics extrapolates.


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
# ``predict_parts`` takes the prediction apart. The network takes light away, and more of it with
# every step of the first third of the drive: real LEDs start late, which a law that is proportional
# to the drive does not know.

physics_part, network_part = hybrid.predict_parts(tests["in range"][0])
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.plot(tests["in range"][1], physics_part, ".", color="#999999", markersize=2, label="physics")
left.plot(
    tests["in range"][1],
    physics_part + network_part,
    ".",
    color="#D55E00",
    markersize=2,
    label="physics + network",
)
left.axline((0, 0), slope=1, color="black", linewidth=0.8, label="equal")
left.set(xlabel="measured (counts)", ylabel="predicted (counts)", title="Unseen rows")
left.legend(frameon=False, markerscale=5)
drive = tests["in range"][0]["red"]
right.plot(drive, network_part, ".", color="#56B4E9", markersize=2, label="every row")
bins = np.arange(0, 91, 5)
means = [network_part[(drive >= low) & (drive < low + 5)].mean() for low in bins[:-1]]
right.plot(bins[:-1] + 2.5, means, color="#0072B2", linewidth=2, label="mean")
right.axhline(0, color="black", linewidth=0.8)
right.set(
    xlabel="drive of the red LED (steps of 0 to 255)",
    ylabel="network's part (counts)",
    title="What the network adds",
)
right.legend(frameon=False, markerscale=5, loc="lower right")
figure.suptitle("Infrared sensor of the light tunnel")
figure.tight_layout()
plt.show()
