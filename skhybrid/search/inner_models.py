"""The hybrid regressors within the estimator of a search."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skhybrid._regressor import HybridRegressor


def is_verbose(estimator: Any) -> bool:
    """Whether a hybrid regressor in the estimator is verbose."""
    parts = (estimator, *estimator.get_params(deep=True).values())
    return any(isinstance(part, HybridRegressor) and part.verbose for part in parts)


def seeded(estimator: Any, random_state: Any) -> Any:
    """Give all hybrid regressors without a seed the same seed."""
    if random_state is None:
        return estimator
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    for value in (estimator, *estimator.get_params(deep=True).values()):
        if isinstance(value, HybridRegressor) and value.random_state is None:
            value.set_params(random_state=seed)
    return estimator
