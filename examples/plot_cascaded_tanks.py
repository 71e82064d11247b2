"""
Two tanks with one observed level
=================================

A pump fills an upper tank. The upper tank drains into a lower tank, and the lower tank drains into
a reservoir. The training data are one record of the pump voltage and the lower level: 1,024 samples
in about 70 minutes. The physics is Bernoulli's law: the outflow is proportional to the square root
of the level. The physics does not include the overflow of the upper tank, which runs partly into
the lower tank. (Cascaded tanks benchmark; Schoukens, Mattsson, Wigren and Noël.)
"""

# %%
# Data and physics
# ----------------
# ``X`` holds the inputs over time, and ``y`` holds the outputs at the same times. The state has two
# levels; ``observe`` returns the lower one. The upper level is not observed, so its unit is free
# and one parameter must be fixed.

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
# The test is a free run over a separate record: the models get only the pump voltage. Both records
# have the same initial state, so the free run uses the learned one.

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
# The physics alone misses the overflow. The hybrid follows the measured level where the pump
# voltage is high.

figure, (upper, lower) = plt.subplots(
    2, 1, figsize=(9, 5.5), sharex=True, height_ratios=[3, 1], layout="constrained"
)
minutes = tanks.times / 60
upper.plot(minutes, tanks.target_test[0, :, 0], color="black", linewidth=2, label="measured")
styles = {"physics alone": ("#999999", "--"), "hybrid": ("#0072B2", "-")}
for name, (colour, line) in styles.items():
    level = models[name].predict(tanks.data_test)[0, :, 0]
    upper.plot(minutes, level, line, color=colour, linewidth=1.2, label=name)
upper.set(ylabel="lower level (V)", title="Test record: a free run from the pump voltage alone")
upper.legend(ncols=3, fontsize="small")
lower.plot(minutes, tanks.data_test[0, :, 0], color="#D55E00", linewidth=1)
lower.set(xlabel="time (min)", ylabel="pump voltage (V)")
plt.show()
