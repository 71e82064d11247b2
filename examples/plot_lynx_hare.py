"""
Lynx and hare
=============

The Hudson's Bay Company collected pelts of lynx and hare. The 21 yearly counts from 1900 to 1920
are the textbook example of predators and prey. The physics is the Lotka–Volterra model. The counts
are rough, so the initial state is unknown too, and the fit learns it.
"""

# %%
# Fit
# ---

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import ODE, HybridRegressor
from skhybrid.datasets import load_lynx_hare

pelts = load_lynx_hare()
structure = ODE(dt=1.0, substeps=2, window=5, initial_state="learned", continuity=10.0)
models = {
    "physics alone": HybridRegressor(pelts.physics, nn=None, structure=structure),
    "hybrid": HybridRegressor(
        pelts.physics, nn=(16, 16), structure=structure, max_epochs=500, random_state=0
    ),
}
for model in models.values():
    model.fit(pelts.data, pelts.target)

# %%
# Parameters
# ----------
# The units are 1/year, and 1/(year · thousand pelts) for the two interaction terms. The true values
# are unknown.

pd.DataFrame({name: model.physics_params_ for name, model in models.items()}).T.round(4)

# %%
# Rollouts
# --------
# The rollouts begin at the learned initial state of 1900 and cover all twenty years.

years = np.arange(1900, 1921)
counts = np.concatenate([pelts.data[:, None], pelts.target], axis=1)[0]
figure, axes = plt.subplots(2, 1, figsize=(8, 5.5), sharex=True)
styles = {"physics alone": ("#999999", "--"), "hybrid": ("#0072B2", "-")}
for animal, axis in enumerate(axes):
    axis.plot(years, counts[:, animal], "o", color="black", label="pelts")
    for name, (colour, line) in styles.items():
        model = models[name]
        rollout = model.predict(model.initial_states_)[0]
        whole = np.concatenate([model.initial_states_, rollout])
        axis.plot(years, whole[:, animal], line, color=colour, label=name)
    axis.set_ylabel(f"{pelts.feature_names[animal]} (thousands)")
axes[0].legend()
axes[0].set_title("Twenty years in one rollout")
axes[1].set(xlabel="year", xticks=years[::4])
figure.tight_layout()
plt.show()
