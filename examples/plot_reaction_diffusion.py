"""
A partial differential equation: reaction and diffusion
=======================================================

Two substances diffuse and react on a square. The physics is diffusion with two unknown
coefficients; the reaction is missing. By the method of lines, a field of 32 × 32 points is an
ordinary state. The network architecture decides the result: a network that works at every point
separately cannot imitate a diffusion, but a convolution of width three can.
"""

# %%
# Data
# ----
# States have shape (n, 2, 32, 32): two channels on a grid. Nothing has a unit.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from torch import nn

from skhybrid import ODE, HybridRegressor
from skhybrid.datasets import make_reaction_diffusion

films = make_reaction_diffusion(4, random_state=0)
new = make_reaction_diffusion(2, random_state=1)
films.data.shape, films.target.shape

# %%
# Two networks
# ------------
# Hidden sizes give a network that works at every point separately. A module gets the whole field.
# Every point is a sample, so two fields are enough for a minibatch. A pointwise network and a
# diffusion cannot overlap: a small radius rho is enough, and the network fits more closely.

convolution = nn.Sequential(
    nn.Conv2d(2, 16, 3, padding=1, padding_mode="circular"),
    nn.SiLU(),
    nn.Conv2d(16, 2, 3, padding=1, padding_mode="circular"),
)
settings = {"learning_rate": 0.012, "batch_size": 2, "refine_rho": None, "random_state": 0}
structure = ODE(dt=films.dt, window=1)
models = {
    "physics alone": HybridRegressor(films.physics, nn=None, structure=structure),
    "convolution": HybridRegressor(
        films.physics, convolution, structure, rho=0.01, max_epochs=6, **settings
    ),
    "pointwise": HybridRegressor(
        films.physics, (16, 16), structure, rho=0.01, max_epochs=17, **settings
    ),
}
rows = []
for name, model in models.items():
    model.fit(films.data, films.target)
    error = np.mean((model.predict(new.data) - new.target) ** 2)
    row = {"network": name, "rollout MSE": error}
    for parameter, truth in films.physics_params.items():
        row[f"error of {parameter}, %"] = 100 * (model.physics_params_[parameter] / truth - 1)
    rows.append(row)
pd.DataFrame(rows).set_index("network").round(4)

# %%
# Three seconds later
# -------------------
# The figure shows rollouts from a new initial state to the end of the record.

figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
pictures = {"initial state": new.data[0, 0], "truth at the end": new.target[0, -1, 0]}
for name in ("physics alone", "pointwise"):
    pictures[name] = models[name].predict(new.data)[0, -1, 0]
for axis, (name, picture) in zip(axes, pictures.items(), strict=True):
    shown = axis.imshow(
        picture, extent=(-1, 1, -1, 1), origin="lower", cmap="cividis", vmin=-0.6, vmax=1
    )
    axis.set(title=name, xlabel="x", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
axes[0].set_ylabel("y")
figure.colorbar(shown, ax=axes, label="concentration of the first substance")
plt.show()
