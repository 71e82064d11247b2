"""
Your own physics function
=========================

Dalton's law gives the evaporation of a lake in wind: (a + b · wind) · deficit, with the vapour
pressure deficit of the air and two unknown coefficients. The contribution of the sun is missing.
The sun also makes the air dry, so the missing part correlates with the known part. This is the hard
case.
"""

# %%
# Data
# ----
# The data are simulated, so the truth is known: the coefficients of Penman (1948), and a
# contribution of the radiation that saturates.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import HybridRegressor, Param, Physics
from skhybrid.inspection import identifiability_report, other_assumptions

random = np.random.default_rng(0)
n_days = 600
radiation = random.uniform(20, 320, n_days)
X = pd.DataFrame(
    {
        "wind": random.gamma(4.0, 0.6, n_days),
        "deficit": 0.2 + 0.004 * radiation + random.gamma(2.0, 0.15, n_days),
        "radiation": radiation,
    }
)
truth = {"a": 2.6, "b": 1.4}
sun = 3.0 * (1 - np.exp(-((radiation / 150) ** 2)))
noise = 0.2 * random.standard_normal(n_days)
y = (truth["a"] + truth["b"] * X["wind"]) * X["deficit"] + sun + noise

# %%
# Physics
# -------
# The physics is a plain function of torch tensors. ``Param`` adds bounds and units.


def dalton(wind, deficit, *, a=1.0, b=1.0):
    """Return evaporation in mm per day from wind in m/s and deficit in kPa."""
    return (a + b * wind) * deficit


physics = Physics(
    dalton,
    a=Param(1.0, bounds=(0.0, None), unit="mm d^-1 kPa^-1"),
    b=Param(1.0, bounds=(0.0, None), unit="mm d^-1 kPa^-1 (m/s)^-1"),
)

# %%
# Which features may the network see?
# -----------------------------------
# Least squares attributes the effect of the sun to the deficit. A network that sees all features
# does not correct this: the deficit can explain the contribution of the sun, and a flat minimum is
# no proof of the right parameters. If you know that only the sun is missing, say so with
# ``nn_features``: then the network sees only the radiation.

models = {
    "physics alone": HybridRegressor(physics, nn=None),
    "network sees all": HybridRegressor(physics, random_state=0),
    "network sees radiation": HybridRegressor(physics, nn_features=["radiation"], random_state=0),
}
rows = []
for name, model in models.items():
    model.fit(X[:400], y[:400])
    rows.append({"model": name} | model.physics_params_)
    rows[-1]["RMSE, mm/d"] = np.sqrt(np.mean((model.predict(X[400:]) - y[400:]) ** 2))
table = pd.DataFrame(rows).set_index("model")
table.round(3)

# %%
# Can the coefficients be believed?
# ---------------------------------
# Both hybrids predict well. The first report says that the network can imitate both effects, so
# nothing vouches for them. In the second, it cannot, but the residuals still change along the
# deficit: the flat minimum holds ``a`` a little too high.

for name in ("network sees all", "network sees radiation"):
    print(name)
    print(identifiability_report(models[name], X[:400], y[:400]))
    print()

# %%
# Double machine learning asks the same question without a network: what is left of the evaporation
# and of the two effects, after the best prediction from the radiation, is compared by regression.

print(
    other_assumptions(
        models["network sees radiation"], X[:400], y[:400], assumptions=["partially linear"]
    )
)

# %%
# What the network learned
# ------------------------
# The network that sees only the radiation has learned the contribution of the sun, except for the
# small part that corresponds to the remaining error of a.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
colours = ["#999999", "#56B4E9", "#D55E00"]
for place, (name, colour) in enumerate(zip(models, colours, strict=True)):
    errors = 100 * (table.iloc[place][["a", "b"]] / pd.Series(truth) - 1)
    left.bar(np.arange(2) + 0.25 * (place - 1), errors, 0.22, color=colour, label=name)
left.axhline(0, color="black", linewidth=0.8)
left.set_xticks([0, 1], ["a", "b"])
left.set(ylabel="error of the coefficient (%)", title="Coefficients of Dalton's law")
left.legend(frameon=False, fontsize=8)
_, network_part = models["network sees radiation"].predict_parts(X)
right.plot(X["radiation"], network_part, ".", color="#D55E00", label="part of the network")
order = np.argsort(radiation)
right.plot(radiation[order], sun[order], color="black", label="truth")
right.set(
    xlabel="radiation (W m⁻²)",
    ylabel="evaporation (mm d⁻¹)",
    title="The missing part",
)
right.legend(frameon=False)
figure.tight_layout()
plt.show()
