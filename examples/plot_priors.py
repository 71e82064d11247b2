"""
Priors on physics parameters
============================

A network can imitate much of what physics does. A value from the literature, with its uncertainty,
then helps more than data: it is the prior of a parameter.
"""

# %%
# Data that hardly fix a parameter
# --------------------------------
# The rate of an enzyme saturates with the substrate, vmax · s / (km + s). The substrate was never
# high in these 60 measurements, so vmax and km make up for each other. The temperature has an
# effect that the physics lacks.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import HybridRegressor, Param, Physics

random = np.random.default_rng(1)
truth = {"vmax": 3.0, "km": 1.5}
X = pd.DataFrame(
    {"substrate": random.uniform(0.1, 1.5, 60), "temperature": random.uniform(-1.0, 1.0, 60)}
)
known = truth["vmax"] * X["substrate"] / (truth["km"] + X["substrate"])
y = known + 0.2 * np.sin(2.0 * X["temperature"]) + 0.05 * random.normal(size=60)


def michaelis_menten(substrate, *, vmax, km):
    """Return the rate of an enzyme."""
    return vmax * substrate / (km + substrate)


def fit(prior, nn):
    """Return a fit with a prior of km."""
    physics = Physics(
        michaelis_menten,
        vmax=Param(1.0, bounds=(0.0, None), unit="mM/s"),
        km=Param(1.0, bounds=(0.0, None), unit="mM", prior=prior),
    )
    return HybridRegressor(physics, nn=nn, max_epochs=1000, random_state=0).fit(X, y)


# %%
# From no prior to a strong one
# -----------------------------
# The literature says 1.4 mM; the standard deviation is what we believe of it. A weak prior changes
# nothing, and a strong one holds the value. vmax follows.

stds = [1.0, 0.1, 0.01]
rows = []
for std in (None, *stds):
    prior = None if std is None else (1.4, std)
    row = {"std of the prior": "no prior" if std is None else std}
    for nn, name in ((None, "physics alone"), ((32, 32), "hybrid")):
        found = fit(prior, nn).physics_params_
        row |= {f"{parameter}, {name}": found[parameter] for parameter in truth}
    rows.append(row)
table = pd.DataFrame(rows).set_index("std of the prior")
table.round(3)

# %%

figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for ax, parameter, unit in zip(axes, truth, ("mM/s", "mM"), strict=True):
    for name, colour in (("physics alone", "#D55E00"), ("hybrid", "#0072B2")):
        column = table[f"{parameter}, {name}"]
        ax.semilogx(stds, column[stds], "o-", color=colour, label=name)
        ax.axhline(column["no prior"], color=colour, linestyle=":", linewidth=1)
    ax.axhline(truth[parameter], color="black", linestyle="--", linewidth=1, label="truth")
    ax.set(xlabel="standard deviation of the prior of km (mM)", ylabel=f"{parameter} ({unit})")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].legend(frameon=False, loc="lower left")
figure.suptitle("Dotted: without a prior")
plt.show()

# %%
# The posterior
# -------------
# For the physics alone, ± is the standard deviation of the posterior: prior and data together.

fit((1.4, 0.1), None).summary()

# %%
# If only the order of magnitude is known, a log-normal prior says "between median / factor and
# median · factor, with a probability of 68 %".

fit(("lognormal", 1.4, 1.2), None).summary()
