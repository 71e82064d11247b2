"""
When the network can imitate the physics
========================================

A Duffing oscillator: a spring with a linear and a cubic stiffness, and damping that the physics
does not know. On orbits that decay, velocity and position go together. A network that sees both can
explain part of the spring, flat or not. A network that sees the velocity alone cannot.
"""

# %%
# Two networks
# ------------

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import ODE, HybridRegressor
from skhybrid.datasets import make_duffing

orbits = make_duffing(noise=0.01, random_state=0)
structure = ODE(dt=orbits.dt, state_names=["position", "velocity"])
models = {
    "Adam, sees both": HybridRegressor(
        orbits.physics, structure=structure, optimizer="adam", random_state=0
    ),
    "SAM, sees both": HybridRegressor(orbits.physics, structure=structure, random_state=0),
    "SAM, sees velocity": HybridRegressor(
        orbits.physics, structure=structure, nn_features=["velocity"], random_state=0
    ),
}
errors = {}
for name, model in models.items():
    model.fit(orbits.data, orbits.target)
    errors[name] = {
        f"error of {parameter}, %": 100 * (model.physics_params_[parameter] / truth - 1)
        for parameter, truth in orbits.physics_params.items()
    }
errors = pd.DataFrame(errors).T
errors.round(2)

# %%
# What each of them learned
# -------------------------
# The missing acceleration is -0.3 times the velocity, whatever the position: horizontal stripes.
# Where a network sees the position, its stripes lean, however it was trained: it has taken over a
# part of the spring, and the fit is as good. Flat does not mean true. The network that cannot see
# the position has nothing to take over.

position, velocity = np.meshgrid(np.linspace(-1.5, 1.5, 41), np.linspace(-1.5, 1.5, 41))
states = np.stack([position.ravel(), velocity.ravel()], axis=1)
pictures = {"truth": -0.3 * velocity}
for name, model in models.items():
    pictures[name] = model.predict_rates(states)[1][:, 1].reshape(position.shape)
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), sharey=True, layout="constrained")
for axis, (name, picture) in zip(axes, pictures.items(), strict=True):
    shown = axis.contourf(position, velocity, picture, np.linspace(-0.8, 0.8, 17), cmap="PuOr")
    axis.set(title=name, xlabel="position", aspect="equal")
axes[0].set_ylabel("velocity")
figure.colorbar(shown, ax=axes, label="missing acceleration")
