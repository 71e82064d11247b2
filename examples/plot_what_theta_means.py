"""
What a physics parameter means
==============================

A hybrid model adds a network to the physics: :math:`y = f_S(x; \\theta) + f_N(x)`. If the network
sees what the physics sees, data cannot say which part of the response belongs to which: another
:math:`\\theta` with another network fits as well. This example shows the choices, and what each
rule picks.
"""

# %%
# Data
# ----
# The truth is a line of slope 2 and a step. The step also rises with ``x``, so it looks like the
# line in part: their correlation is 0.94.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhybrid import HybridRegressor

rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-2, 2, 400))
step = 1.5 * np.tanh(3 * x)
y = 2.0 * x + step + 0.1 * rng.standard_normal(len(x))
X = pd.DataFrame({"x": x})
print(f"correlation of the step with x: {np.corrcoef(step, x)[0, 1]:.2f}")


def line(x, *, slope=1.0):
    """Return the known part."""
    return slope * x


# %%
# What each rule picks
# --------------------
# Flatness (SAM), a small network, a network orthogonal to the effect of the slope, and plain Adam.
# All four fit the data equally well.

rules = {
    "flat (SAM, default)": {},
    "small (functional norm)": {"optimizer": "adam", "functional_norm": 0.01},
    "orthogonal": {"optimizer": "adam", "orthogonality": 1.0},
    "plain Adam": {"optimizer": "adam"},
}
fits = {
    name: HybridRegressor(line, nn=(32, 32), random_state=0, **settings).fit(X, y)
    for name, settings in rules.items()
}
table = pd.DataFrame(
    {
        "slope": {name: fit.physics_params_["slope"] for name, fit in fits.items()},
        "RMSE": {name: np.sqrt(np.mean((fit.predict(X) - y) ** 2)) for name, fit in fits.items()},
    }
)
table.round(3)

# %%
# Left: three splits of the same curve. Right: every slope leaves a network part, and its size is
# smallest where that part has nothing left that looks like the line. All rules pick slopes near
# that point. The true slope is 2: no rule can know that a part of the rise belongs to the step.
# What a fit gives is the slope of the line that explains most, and the report of
# :func:`~skhybrid.inspection.identifiability_report` says how far an overlap would move it.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(x, y, ".", color="#BBBBBB", markersize=3, label="data")
slopes = {1.0: "#0072B2", 2.0: "black", table["slope"].iloc[0]: "#D55E00"}
for slope, colour in slopes.items():
    truth = " (true)" if slope == 2.0 else ""
    left.plot(x, slope * x, color=colour, label=f"{slope:.1f} x{truth}")
    left.plot(x, 2.0 * x + step - slope * x, "--", color=colour, linewidth=1)
left.set(xlabel="x", ylabel="y", title="Lines and what they leave to the network (dashed)")
left.legend(fontsize="small")
grid = np.linspace(0.5, 4.0, 100)
sizes = [np.sqrt(np.mean((2.0 * x + step - slope * x) ** 2)) for slope in grid]
right.plot(grid, sizes, color="#999999")
markers = {"flat (SAM, default)": "o", "small (functional norm)": "s", "orthogonal": "^"}
markers["plain Adam"] = "D"
colours = ["#D55E00", "#009E73", "#CC79A7", "#0072B2"]
for (name, marker), colour in zip(markers.items(), colours, strict=True):
    slope = table.loc[name, "slope"]
    right.plot(slope, np.interp(slope, grid, sizes), marker, color=colour, label=name)
right.axvline(2.0, color="black", linewidth=1, label="true slope")
right.set(xlabel="slope", ylabel="size of what is left", title="What each rule picks")
right.legend(fontsize="small")
plt.show()
