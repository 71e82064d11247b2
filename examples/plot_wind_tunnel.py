"""
A wind tunnel with a hatch
==========================

A tube has a fan at each end and a hatch in its wall (the wind tunnel of the Causal Chambers,
simulated). The physics describes how the fans accelerate, and the pressure between them while the
hatch is closed. It does not include the hatch. The hatch changes the measured pressure and not the
fans, so the network corrects the output.
"""

# %%
# Fit
# ---
# The inputs are the loads of the fans and the angle of the hatch. The outputs are two speeds and a
# pressure. With ``correct="output"`` the network adds to the outputs, and ``corrected`` restricts
# it to the pressure: a network that corrects the speeds too learns them in place of the physics.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import ODE, HybridRegressor
from skhybrid.datasets import make_wind_tunnel

tunnel = make_wind_tunnel(loads="impulses", random_state=0)
records = {
    "impulses": make_wind_tunnel(5, loads="impulses", random_state=1),
    "steps": make_wind_tunnel(5, loads="steps", random_state=1),
}
common = {
    "dt": tunnel.dt,
    "inputs": "hold",
    "observe": tunnel.observe,
    "n_states": 2,
    "window": 5,
    "method": "midpoint",
}
models = {
    "physics alone": HybridRegressor(tunnel.physics, nn=None, structure=ODE(**common)),
    "hybrid": HybridRegressor(
        tunnel.physics,
        nn=(32, 32),
        structure=ODE(**common, correct="output", corrected=[2]),
        max_epochs=150,
        random_state=0,
    ),
}
rows = []
for name, model in models.items():
    model.fit(tunnel.data, tunnel.target)
    row = {"model": name}
    for loads, new in records.items():
        rollout = model.predict(new.data, initial_states=new.target[:, 0, :2])
        speed, _, pressure = np.sqrt(np.mean((rollout - new.noise_free) ** 2, axis=(0, 1)))
        row[f"{loads}: intake fan, rad/s"] = speed
        row[f"{loads}: pressure, Pa"] = pressure
    for parameter, truth in tunnel.physics_params.items():
        row[f"error of {parameter}, %"] = 100 * (model.physics_params_[parameter] / truth - 1)
    rows.append(row)
pd.DataFrame(rows).set_index("model").round(2)

# %%
# Root mean square errors
# -----------------------
# The table shows the root mean square errors of free runs over new records without noise: with
# impulses, as in training, and with steps. The physics alone changes the parameters of the fans to
# compensate for the hatch, so even its speeds are wrong. The speeds of the hybrid are right in both
# cases. Its pressure is only as good as the training data for the hatch.

new = records["impulses"]
figure, axes = plt.subplots(2, 1, figsize=(9, 5.5), sharex=True, layout="constrained")
seconds = new.dt * np.arange(new.data.shape[1])
styles = {"physics alone": ("#999999", "--"), "hybrid": ("#0072B2", "-")}
for axis, output, label in (
    (axes[0], 0, "intake fan speed (rad/s)"),
    (axes[1], 2, "pressure (Pa)"),
):
    axis.plot(seconds, new.noise_free[0, :, output], color="black", linewidth=2.5, label="truth")
    for name, (colour, line) in styles.items():
        rollout = models[name].predict(new.data, initial_states=new.target[:, 0, :2])
        axis.plot(seconds, rollout[0, :, output], line, color=colour, linewidth=1.3, label=name)
    axis.set_ylabel(label)
axes[0].legend(ncols=3, fontsize="small")
axes[0].set_title("Impulses: a new record without noise")
axes[1].set_xlabel("time (s)")
plt.show()
