"""A small model of light and its table, for tests of mistakes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skhybrid import HybridRegressor

N_ROWS = 24
RED = np.linspace(1.0, 2.0, N_ROWS)
GREEN = np.cos(np.arange(N_ROWS))
X = pd.DataFrame({"red": RED, "green": GREEN})
Y = 2.0 * RED + 0.3 * np.sin(3.0 * GREEN)

# validate_data sets these before anything else is checked.
SEEN = {"n_features_in_", "feature_names_in_"}


def light(red, green, *, gain=1.0, offset=0.1):
    return gain * red + offset * green


def make_model(**settings) -> HybridRegressor:
    settings = {"physics": light, "nn": (8,), "max_epochs": 3, "random_state": 0, **settings}
    return HybridRegressor(**settings)


def fitted_attributes(model) -> dict:
    return {
        name: value
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_")
    }
