"""
A pendulum observed only in images
==================================

The data are films of a pendulum, 16 pixels wide. No angle is measured. The physics is a pendulum of
unknown length without friction. The example estimates ω₀, the angular frequency of small swings.
"""

# %%
# Data
# ----
# The samples are films. ``X`` holds the images up to time 0; they determine the state at time 0.
# ``y`` holds the later images.

import matplotlib.pyplot as plt
import numpy as np
import torch

from skhybrid import HybridRegressor, LatentODE, Param, Physics
from skhybrid.datasets import make_pendulum_images

films = make_pendulum_images(50, random_state=0)
new = make_pendulum_images(20, random_state=1)
films.data.shape, films.target.shape

# %%
# Physics
# -------
# The data set provides the right-hand side of a pendulum:
#
# .. code-block:: python
#
#    def pendulum(t, state, *, omega2=1.0):
#        angle, velocity = state.unbind(-1)
#        return torch.stack([velocity, -omega2 * torch.sin(angle)], dim=-1)
#
# Angle and velocity are not observed. An encoder computes them from images, and a decoder draws
# images from them. The fit learns both together with ω₀² and with a network for the missing part.
# The rate of change of the angle is the velocity and needs no correction, so the network adds only
# to the acceleration. It sees only the velocity, because friction depends only on the velocity. To
# keep the example short, training is short, and there is no second phase (it does not change θ).


def to_acceleration(t, state, physics, nn):
    """Add the network to the second rate."""
    return physics(t, state) + nn(t, state) * torch.tensor([0.0, 1.0])


model = HybridRegressor(
    Physics(films.physics, omega2=Param(2.0, bounds=(0.0, None), unit="s^-2")),
    nn=(32, 32),
    structure=LatentODE(n_states=2, dt=films.dt, join=to_acceleration, state_names=["φ", "dφ/dt"]),
    nn_features=["dφ/dt"],
    max_epochs=45,
    refine_rho=None,
    random_state=0,
)
model.fit(films.data, films.target)
omega2, truth = model.physics_params_["omega2"], films.physics_params["omega2"]
print(f"ω₀ = {np.sqrt(omega2):.3f} rad/s (truth: {np.sqrt(truth):.3f} rad/s)")
print(f"error of ω₀: {100 * (np.sqrt(omega2 / truth) - 1):+.1f} %")
squares = (model.predict(new.data) - new.target) ** 2
print(f"R² of all pixels of new films: {1 - squares.mean() / new.target.var():.2f}")

# %%
# The nonlinearity fixes the unit of the angle. Small swings have the same period for any unit of
# the angle. Large swings have a longer period, and the period determines their amplitude in
# radians.
#
# New films
# ---------
# The model predicts the images on the right of the line from the images on the left.

predicted = model.predict(new.data[:2])
shown = [3, 7, 11, 15, 19, 27, 35]
figure, axes = plt.subplots(4, 2 + len(shown), figsize=(10, 5))
for film in range(2):
    true, drawn = axes[2 * film : 2 * film + 2]
    for column, k in enumerate([0, -1]):
        true[column].imshow(new.data[film, k], cmap="gray", vmin=0, vmax=1)
        true[column].set_title(f"{new.context_times[k]:.2f} s", fontsize="small")
    for column, k in enumerate(shown, start=2):
        true[column].imshow(new.target[film, k], cmap="gray", vmin=0, vmax=1)
        drawn[column].imshow(predicted[film, k], cmap="gray", vmin=0, vmax=1)
        true[column].set_title(f"{new.times[k]:.2f} s", fontsize="small")
    true[0].set_ylabel("true", fontsize="small")
    drawn[1].text(0.5, 0.5, "predicted", ha="center", va="center", fontsize="small")
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
    axis.axis("on" if axis.images else "off")
figure.tight_layout()
line = 0.5 * (axes[0, 1].get_position().x1 + axes[0, 2].get_position().x0)
figure.add_artist(plt.Line2D([line, line], [0.02, 0.98], color="#0072B2"))
plt.show()
