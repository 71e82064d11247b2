"""
Choosing ρ: the loss is flat, θ is not
======================================

How large should the radius ρ of sharpness-aware minimisation be? The loss on held-out rows hardly
tells. Whether θ stays the same when the rows and the start of the fit change does.
"""

# %%
# A task with a known answer
# --------------------------
# The physics of a pendulum's angular acceleration knows the restoring torque; a wiggly torque and
# friction are missing. The truth is ω₀² = (2π/6)².

import matplotlib.pyplot as plt
import pandas as pd

from skhybrid import HybridRegressor, HybridSearchCV
from skhybrid.datasets import make_pendulum_acceleration
from skhybrid.inspection import PhysicsPathDisplay
from skhybrid.model_selection import one_standard_error, score_and_physics_params, stable

data = make_pendulum_acceleration(missing="wiggly", random_state=0)
truth = data.physics_params["omega2"]
radii = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2]

# %%
# The path
# --------
# Six radii, four folds and two restarts are 48 fits, trained side by side. The second phase is left
# out, since it does not touch θ. Shaded is where θ is about as reproducible as it gets.

model = HybridRegressor(data.physics, nn=(32, 32), max_epochs=300, random_state=0)
display = PhysicsPathDisplay.from_estimator(
    model,
    data.data,
    data.target,
    param_range=radii,
    cv=4,
    n_restarts=2,
    truth=data.physics_params,
)
plt.show()

# %%
# Two rules
# ---------
# ``HybridSearchCV`` is used as scikit-learn's ``GridSearchCV`` and finds the same scores. Here the
# scorer tells θ as well, so that the table shows what each rule sees. ``one_standard_error`` looks
# at the loss alone: the largest radius that predicts as well as the best. ``stable`` looks at θ:
# the smallest radius at which it is as reproducible as it gets.

search = HybridSearchCV(
    model.set_params(n_restarts=2, refine_rho=None),
    {"rho": radii},
    scoring=score_and_physics_params,
    refit=stable("rho"),
    cv=4,
).fit(data.data, data.target)

table = pd.DataFrame(
    {
        "rho": radii,
        "1 - score": 1 - search.cv_results_["mean_test_score"],
        "error of θ, %": 100 * (search.cv_results_["mean_test_theta omega2"] / truth - 1),
        "spread of folds, %": 100 * search.cv_results_["std_test_theta omega2"] / truth,
    }
)
table["chosen by"] = ""
table.loc[search.best_index_, "chosen by"] += "stable "
table.loc[one_standard_error("rho")(search.cv_results_), "chosen by"] += "one_standard_error"
table.round(4)

# %%
# In one line
# -----------
# ``HybridRegressor(rho="auto", refine_rho="auto")`` does all of this by itself: folds, restarts,
# the rule, the radius of the second phase, and the fit with what was chosen.
