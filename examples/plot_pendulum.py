"""
A pendulum with friction
========================

The physics of a pendulum has an unknown length and leaves out friction. The data are 25 noisy
records of 20 seconds. The example estimates ω₀², the square of the angular frequency of small
swings.
"""

# %%
# Data
# ----
# The samples are trajectories: initial states of shape (n, 2), and later states of shape (n, 40,
# 2).

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import make_pendulum

swings = make_pendulum(noise=0.05, random_state=0)
new = make_pendulum(random_state=1)
swings.data.shape, swings.target.shape

# %%
# Physics
# -------
# The physics is a right-hand side on torch tensors: the rates of change of angle and velocity. The
# data set provides it:
#
# .. code-block:: python
#
#    def pendulum(t, state, *, omega2=1.0):
#        angle, velocity = state.unbind(-1)
#        return torch.stack([velocity, -omega2 * torch.sin(angle)], dim=-1)

physics = Physics(swings.physics, omega2=Param(2.5, bounds=(0.0, None), unit="s^-2"))

# %%
# Three models
# ------------
# Training cuts the trajectories into short windows. A prediction is a full rollout from a new
# initial state.

models = {
    "physics alone": HybridRegressor(physics, nn=None, structure=ODE(dt=swings.dt)),
    "hybrid, Adam": HybridRegressor(
        physics, structure=ODE(dt=swings.dt), optimizer="adam", random_state=0
    ),
    "hybrid, SAM": HybridRegressor(physics, structure=ODE(dt=swings.dt), random_state=0),
}
rows = []
for name, model in models.items():
    model.fit(swings.data, swings.target)
    error = 100 * (model.physics_params_["omega2"] / swings.physics_params["omega2"] - 1)
    squares = (model.predict(new.data) - new.target) ** 2
    rows.append({"model": name, "error of omega2, %": error, "rollout MSE": squares.mean()})
pd.DataFrame(rows).set_index("model").round(4)

# %%
# What the network learned
# ------------------------
# ``predict_rates`` returns the rates of each part for given states. The network has learned the
# friction: a deceleration proportional to the velocity.

velocity = np.linspace(-1.5, 1.5, 50)
states = np.stack([np.zeros(50), velocity], axis=1)
hybrid = models["hybrid, SAM"]
_, learned = hybrid.predict_rates(states)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
times = np.concatenate([[0.0], new.times])
styles = {
    "physics alone": ("#999999", ":"),
    "hybrid, Adam": ("#E69F00", "--"),
    "hybrid, SAM": ("#0072B2", "-"),
}
truth = np.concatenate([new.data[:1], new.target[0]])[:, 0]
left.plot(times, truth, "o", color="black", markersize=4, label="truth")
for name, (colour, line) in styles.items():
    angle = np.concatenate([new.data[:1], models[name].predict(new.data[:1])[0]])[:, 0]
    left.plot(times, angle, line, color=colour, label=name)
left.set(xlabel="time (s)", ylabel="angle (rad)", title="A new trajectory")
left.set_ylim(-1.6, 2.2)
left.legend(fontsize="small", ncols=2, loc="upper right")
right.plot(velocity, -0.2 * velocity, "--", color="black", label="truth (friction)")
right.plot(velocity, learned[:, 1], color="#0072B2", label="network")
right.set(
    xlabel="velocity (rad/s)",
    ylabel="missing acceleration (rad/s²)",
    title="What the physics left out",
)
right.legend(fontsize="small")
figure.tight_layout()
plt.show()
