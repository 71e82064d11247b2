"""
Save a model, and export its prediction
=======================================

A fitted model is kept in one file without pickle, and its prediction is written as a program that
runs without skhybrid.
"""

# %%
# Fit
# ---
# The physics is a pendulum's restoring torque. The drag is missing, and the network learns it.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import skhybrid
from skhybrid import HybridRegressor, Param, Physics
from skhybrid.datasets import make_pendulum_acceleration

data = make_pendulum_acceleration(missing="drag", random_state=0)


def pendulum(angle, velocity, *, omega2=1.0):
    """Return the acceleration without drag."""
    return -omega2 * torch.sin(angle)


physics = Physics(pendulum, omega2=Param(1.0, bounds=(0.0, None), unit="s^-2"))
model = HybridRegressor(physics, nn=(16,), random_state=0).fit(data.data, data.target)
model.summary()

# %%
# Save and load
# -------------
# The file holds everything but code: the weights, θ with its unit and bounds, the settings and the
# scales.

folder = Path(tempfile.mkdtemp())
skhybrid.save(model, folder / "pendulum.safetensors")

# %%
# The physics is code, so ``load`` gets it again. The loaded model predicts the same, bit for bit.

loaded = skhybrid.load(folder / "pendulum.safetensors", physics=pendulum)
bool(np.array_equal(loaded.predict(data.data), model.predict(data.data)))

# %%
# Another function is an error, even if its names are the same.


def other_pendulum(angle, velocity, *, omega2=1.0):
    """Return the acceleration for small angles."""
    return -omega2 * angle


try:
    skhybrid.load(folder / "pendulum.safetensors", physics=other_pendulum)
except skhybrid.exceptions.SavedModelError as error:
    print(str(error).replace(str(folder), "..."))

# %%
# Every byte of the file is under a checksum.

content = bytearray((folder / "pendulum.safetensors").read_bytes())
content[len(content) // 2] ^= 1
(folder / "damaged.safetensors").write_bytes(content)
try:
    skhybrid.load(folder / "damaged.safetensors", physics=pendulum)
except skhybrid.exceptions.SavedModelError as error:
    print(str(error).replace(str(folder), "..."))

# %%
# Export
# ------
# The program contains the physics, the network and the scales. It needs torch alone, and predicts
# any number of rows. Outside the training range its network holds its value, as the model's does.

skhybrid.export(model, folder / "pendulum.pt2", example=data.data)
program = torch.export.load(folder / "pendulum.pt2").module()

velocity = np.linspace(-8.0, 8.0, 100)
rows = np.column_stack([np.zeros_like(velocity), velocity])
exported = program(torch.tensor(rows, dtype=torch.float32)).detach().numpy()

fig, ax = plt.subplots(layout="constrained")
ax.plot(velocity, model.predict(rows), lw=4, alpha=0.4, label="model")
ax.plot(velocity, loaded.predict(rows), "--", label="loaded")
ax.plot(velocity, exported, ":", color="black", label="program")
ax.set(xlabel="velocity (rad/s)", ylabel="acceleration at angle 0 (rad/s²)")
ax.legend()
plt.show()
