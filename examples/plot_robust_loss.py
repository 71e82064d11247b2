"""
Outliers and a robust loss
==========================

A sensor that sticks now and then gives values that are far off, always to the same side. With
squared errors they pull the parameters along. Huber's loss and the absolute error limit this pull.
"""

# %%
# Data with outliers
# ------------------
# A body cools, and the wind adds a term that the physics lacks. In 30 of 300 rows the sensor shows
# much too high a temperature, mostly late, when it should be low.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from skhybrid import HybridRegressor, Param, Physics

random = np.random.default_rng(0)
hours, wind = random.uniform(0.0, 3.0, 300), random.uniform(-1.0, 1.0, 300)
truth = {"height": 60.0, "rate": 0.8}
clean = truth["height"] * np.exp(-truth["rate"] * hours) + 6.0 * np.sin(3.0 * wind)
y = clean + random.normal(size=300)
stuck = random.permutation(np.flatnonzero(hours > 1.0))[:30]
y[stuck] += random.uniform(150.0, 300.0, 30)
X = pd.DataFrame({"hours": hours, "wind": wind})


def cooling(hours, *, height, rate):
    """Return the temperature above that of the room, in K."""
    return height * torch.exp(-rate * hours)


physics = Physics(
    cooling,
    height=Param(50.0, bounds=(0.0, None), unit="K"),
    rate=Param(1.0, bounds=(0.0, None), unit="1/h"),
)

# %%
# Three losses
# ------------
# The spread of the errors sets where Huber's loss becomes linear. It is a median, which outliers
# hardly change.

fits, rows = {}, []
for loss in ("squared_error", "huber", "absolute_error"):
    model = HybridRegressor(physics, nn=(32, 32), loss=loss, random_state=0).fit(X, y)
    fits[loss] = model
    errors = {
        f"error of {name}, %": 100 * (model.physics_params_[name] / value - 1)
        for name, value in truth.items()
    }
    error = np.sqrt(np.mean((model.predict(X) - clean) ** 2))
    rows.append({"loss": loss, **errors, "error of the prediction, K": error})
pd.DataFrame(rows).set_index("loss").round(2)

# %%
# What the models say
# -------------------
# The physics' part of both models, and the data. The axis leaves out the outliers.

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
good = np.setdiff1d(np.arange(300), stuck)
axes.plot(hours[good], y[good], ".", color="0.7", label="data without outliers")
grid = np.linspace(0.0, 3.0, 100)
axes.plot(grid, truth["height"] * np.exp(-truth["rate"] * grid), "k--", label="true physics")
colours = {"squared_error": "#D55E00", "huber": "#0072B2", "absolute_error": "#E69F00"}
for loss, model in fits.items():
    known, _ = model.predict_parts(pd.DataFrame({"hours": grid, "wind": 0.0}))
    style = ":" if loss == "absolute_error" else "-"  # it lies on the other one
    axes.plot(grid, known, style, color=colours[loss], label=f"physics, {loss}")
axes.set(xlabel="time (h)", ylabel="temperature above the room's (K)", ylim=(-15, 120))
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Standard errors
# ---------------
# For the physics alone, the standard errors belong to the loss.

alone = HybridRegressor(physics, nn=None, loss="huber").fit(X, y)
alone.summary()
