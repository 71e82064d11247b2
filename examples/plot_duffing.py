"""
When the network can imitate the physics
========================================

A Duffing oscillator is a spring with a linear and a cubic stiffness; here nothing has a unit. It
also has damping, which the physics leaves out. On decaying orbits the velocity correlates with the
position. A network that sees both can explain part of the spring, also with a flat minimum. A
network that sees only the velocity cannot.
"""

# %%
# Three models
# ------------
# Two models have a network that sees position and velocity. The network of the third model sees
# only the velocity.

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
# The learned accelerations
# -------------------------
# The true missing acceleration is -0.3 times the velocity at every position: horizontal stripes. If
# a network sees the position, its stripes are not horizontal: it has learned a part of the spring,
# and the fit is equally good. Here the effect is larger with SAM than with Adam. A flat minimum is
# not proof of the right parameters. The network that does not see the position cannot learn a part
# of the spring.

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
plt.show()
