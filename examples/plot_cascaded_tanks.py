"""
Two tanks, of which one is seen
===============================

A pump fills an upper tank, which runs out into a lower one, which runs out into the reservoir. One
record of the pump's voltage and of the lower level, 1,024 samples in about 70 minutes, is all there
is to learn from. Bernoulli's law is known: the outflow goes with the square root of the level. It
does not know that the upper tank overflows, partly into the lower one. (Cascaded tanks benchmark,
Schoukens, Mattsson, Wigren and Noël.)
"""

# %%
# Data and physics
# ----------------
# ``X`` holds the inputs over time and ``y`` the outputs at the same times. The state has two
# levels, of which ``observe`` shows the lower. Nobody sees the upper one, so that its unit is free
# and one parameter has to be fixed.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import ODE, HybridRegressor, Param, Physics
from skhybrid.datasets import fetch_cascaded_tanks

tanks = fetch_cascaded_tanks()
physics = Physics(
    tanks.physics,
    k1=Param(0.05, bounds=(0.0, None), unit="V^(1/2)/s"),
    k2=Param(0.05, bounds=(0.0, None), unit="V^(1/2)/s"),
    k3=Param(0.05, bounds=(0.0, None), unit="V^(1/2)/s"),
    k4=Param(0.05, fixed=True, unit="1/s"),
)
structure = ODE(
    dt=tanks.dt,
    inputs="hold",
    observe=tanks.observe,
    n_states=2,
    state_guess=(5.0, 5.0),
    window=32,
    continuity=10.0,
    method="euler",
)

# %%
# Two models
# ----------
# They are judged on a record of their own, by a free run: nothing is given but the pump's voltage.
# It begins at the initial state that was learned, as both records begin at the same.

models = {
    "physics alone": HybridRegressor(physics, nn=None, structure=structure),
    "hybrid": HybridRegressor(physics, structure=structure, max_epochs=200, random_state=0),
}
rows = []
for name, model in models.items():
    model.fit(tanks.data, tanks.target)
    error = model.predict(tanks.data_test) - tanks.target_test
    root_mean_square = np.sqrt(np.mean(error**2))
    rows.append({"model": name, "RMSE of the free run, V": root_mean_square})
    rows[-1] |= model.physics_params_
pd.DataFrame(rows).set_index("model").round(3)

# %%
# The free run
# ------------
# The physics alone misses what flows over. Where the pump is strong, the hybrid keeps up.

figure, (upper, lower) = plt.subplots(
    2, 1, figsize=(9, 5.5), sharex=True, height_ratios=[3, 1], layout="constrained"
)
minutes = tanks.times / 60
upper.plot(minutes, tanks.target_test[0, :, 0], color="black", linewidth=2, label="measured")
styles = {"physics alone": ("#999999", "--"), "hybrid": ("#0072B2", "-")}
for name, (colour, line) in styles.items():
    level = models[name].predict(tanks.data_test)[0, :, 0]
    upper.plot(minutes, level, line, color=colour, linewidth=1.2, label=name)
upper.set(ylabel="lower level / V", title="Test record: a free run from the pump's voltage alone")
upper.legend(ncols=3, fontsize="small")
lower.plot(minutes, tanks.data_test[0, :, 0], color="#D55E00", linewidth=1)
lower.set(xlabel="time / min", ylabel="pump / V")
