"""
A parameter that depends on features
====================================

The respiration of a soil grows with its temperature by a factor of q10 per 10 °C. Its base, the
respiration at 15 °C, depends on moisture and light in a way that nobody knows. The network learns
the base as a function, and q10 stays a number.
"""

# %%
# Data
# ----
# The data are simulated, so the truth is known. Temperature and moisture are correlated (0.6), and
# noise is 5 % of the standard deviation of the flux. Radiation is a part of its largest value.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import HybridRegressor, Param, Physics

TRUE_Q10 = 1.8


def true_base(moisture, radiation):
    """Return the respiration at 15 °C in umol m-2 s-1."""
    return 1.0 + 2.5 * np.exp(-(((moisture - 0.3) / 0.12) ** 2)) + 0.8 * np.sin(3.0 * radiation)


random = np.random.default_rng(0)
n_rows = 2000
temperature = 15.0 + 6.0 * random.standard_normal(n_rows)
warm = (temperature - 15.0) / 6.0
moisture = 0.35 + 0.08 * (0.6 * warm + 0.8 * random.standard_normal(n_rows))
X = pd.DataFrame(
    {
        "temperature": temperature,
        "moisture": moisture.clip(0.05, 0.6),
        "radiation": random.uniform(0.0, 1.0, n_rows),
    }
)
base = true_base(X["moisture"], X["radiation"])
flux = base * TRUE_Q10 ** ((X["temperature"] - 15.0) / 10.0)
y = flux + 0.05 * flux.std() * random.standard_normal(n_rows)

# %%
# Model
# -----
# ``depends_on`` names the features of the base. The network sees nothing else, so it cannot imitate
# the temperature.


def respiration(temperature, *, base=2.0, q10=1.5):
    """Return the flux in umol m-2 s-1 from the temperature in degrees Celsius."""
    return base * q10 ** ((temperature - 15.0) / 10.0)


physics = Physics(
    respiration,
    q10=Param(1.5, bounds=(1.0, 4.0)),
    base=Param(2.0, bounds=(0.0, None), unit="umol m-2 s-1", depends_on=["moisture", "radiation"]),
)
model = HybridRegressor(physics, random_state=0).fit(X, y)
print(model.summary())

# %%
# Is it right?
# ------------
# The physics alone takes the base for a constant. A part of what moisture does then goes into q10,
# because warm days are moist.

alone = HybridRegressor(physics, nn=None).fit(X, y)
found = model.predict_params(X)["base"]
r2 = 1.0 - np.mean((found - base) ** 2) / np.var(base)
print(f"q10: {alone.physics_params_['q10']:.3f} (physics alone)")
print(f"     {model.physics_params_['q10']:.3f} (with a varying base), true {TRUE_Q10}")
print(f"base: R² {r2:.4f} against the truth")

# %%
# The base along moisture, at three levels of radiation; lines are the truth.

figure, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
grid = np.linspace(*X["moisture"].quantile([0.01, 0.99]), 100)
for radiation, colour in zip((0.1, 0.5, 0.9), ("#0072B2", "#D55E00", "#009E73"), strict=True):
    rows = pd.DataFrame({"temperature": 15.0, "moisture": grid, "radiation": radiation})
    learned = model.predict_params(rows)["base"]
    ax.plot(grid, true_base(grid, radiation), color=colour, linewidth=1)
    ax.plot(grid[::5], learned[::5], "o", color=colour, label=f"radiation {radiation}")
ax.set(
    xlabel="moisture (m³ m⁻³)",
    ylabel="respiration at 15 °C (µmol m⁻² s⁻¹)",
    title="Learned base (points) and truth (lines)",
)
ax.legend(frameon=False)
plt.show()
