"""
A wind tunnel with a hatch
==========================

Two fans, one at either end of a tube, and a hatch in its wall (the wind tunnel of the Causal
Chambers, simulated). The physics knows how fans speed up, and the pressure between them while the
hatch is shut. It has never heard of the hatch, which changes what is measured and not how the fans
turn: the network corrects the output.
"""

# %%
# Fit
# ---
# Inputs are the loads of the fans and the angle of the hatch; outputs are two speeds and a
# pressure. ``correct="output"`` lets the network add to what is observed, and ``corrected`` to the
# pressure alone: a network that may correct the speeds takes them over.

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
    for kind, new in records.items():
        rollout = model.predict(new.data, initial_states=new.target[:, 0, :2])
        speed, _, pressure = np.sqrt(np.mean((rollout - new.noise_free) ** 2, axis=(0, 1)))
        row[f"{kind}: intake fan, rad/s"] = speed
        row[f"{kind}: pressure, Pa"] = pressure
    for parameter, truth in tunnel.physics_params.items():
        row[f"error of {parameter}, %"] = 100 * (model.physics_params_[parameter] / truth - 1)
    rows.append(row)
pd.DataFrame(rows).set_index("model").round(2)

# %%
# Root mean square errors
# -----------------------
# Of free runs over new records without noise: of the kind that was trained on, and of another one.
# The physics alone bends the fans' parameters to make up for the hatch, so that even its speeds are
# wrong. The hybrid's speeds are right for both kinds; its pressure is only as good as what the
# network has seen of the hatch.

new = records["impulses"]
figure, axes = plt.subplots(2, 1, figsize=(9, 5.5), sharex=True, layout="constrained")
seconds = new.dt * np.arange(new.data.shape[1])
styles = {"physics alone": ("#999999", "--"), "hybrid": ("#0072B2", "-")}
for axis, output, label in ((axes[0], 0, "intake fan / (rad/s)"), (axes[1], 2, "pressure / Pa")):
    axis.plot(seconds, new.noise_free[0, :, output], color="black", linewidth=2.5, label="truth")
    for name, (colour, line) in styles.items():
        rollout = models[name].predict(new.data, initial_states=new.target[:, 0, :2])
        axis.plot(seconds, rollout[0, :, output], line, color=colour, linewidth=1.3, label=name)
    axis.set_ylabel(label)
axes[0].legend(ncols=3, fontsize="small")
axes[0].set_title("A record without noise that was not trained on")
axes[1].set_xlabel("time / s")
