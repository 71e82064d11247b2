"""
Choosing ρ: the loss is flat, θ is not
======================================

``GridSearchCV`` tunes the radius ρ of sharpness-aware minimisation like any other parameter. A
scorer may return several numbers, so the same search can also tell how θ moves along ρ, and how
much it differs between folds.
"""

# %%
# A task with a known answer
# --------------------------
# The physics of a pendulum's angular acceleration knows the restoring torque; a wiggly torque and
# friction are missing. The truth is ω₀² = (2π/6)².

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV

from skhybrid import HybridRegressor, Physics
from skhybrid.datasets import make_pendulum_acceleration, pendulum_acceleration

data = make_pendulum_acceleration(missing="wiggly", random_state=0)
truth = data.physics_params["omega2"]

# %%
# The search
# ----------
# We start far from the truth and without the help of a least-squares fit, so that the choice of ρ
# matters, and leave out the second phase, which does not touch θ.

model = HybridRegressor(
    Physics(pendulum_acceleration, omega2=2.5),
    physics_init="given",
    refine_rho=None,
    max_epochs=250,
    random_state=0,
)


def loss_and_parameter(estimator, X, y):
    return {
        "loss": -np.mean((estimator.predict(X) - y) ** 2),
        "omega2": estimator.physics_params_["omega2"],
    }


search = GridSearchCV(
    model,
    {"rho": [0.0, 0.02, 0.05, 0.1, 0.2]},
    cv=4,
    n_jobs=2,
    scoring=loss_and_parameter,
    refit="loss",
).fit(data.data, data.target)

columns = {
    "param_rho": "rho",
    "mean_test_loss": "loss",
    "mean_test_omega2": "omega2",
    "std_test_omega2": "spread",
}
table = pd.DataFrame(search.cv_results_)[list(columns)].rename(columns=columns)
table["loss"] = -table["loss"]
table["error, %"] = 100 * (table["omega2"] / truth - 1)
table.round(4)

# %%
# What to look at
# ---------------
# The smallest loss belongs to a small ρ, where θ is still far off and depends on the fold. With
# larger ρ the folds agree, and they agree on the truth: the price is prediction, which the second
# phase (``refine_rho``) wins back.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
places = np.arange(len(table))
left.plot(places, table["loss"], "o-", color="#0072B2")
left.set(yscale="log", ylabel="mean square error (rad² s⁻⁴)", title="Loss on held-out folds")
right.errorbar(places, table["omega2"], table["spread"], fmt="o-", color="#D55E00", capsize=4)
right.axhline(truth, color="black", linewidth=0.8)
right.annotate("truth", (places[0], truth), va="bottom", ha="center")
right.set(ylabel="ω₀² (s⁻²), mean and spread of folds", title="Physics parameter")
for axes in (left, right):
    axes.set_xticks(places, table["rho"])
    axes.set_xlabel("radius ρ (relative to each layer's weights)")
figure.tight_layout()
plt.show()
