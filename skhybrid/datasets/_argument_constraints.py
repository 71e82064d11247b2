"""Constraints on arguments that several data sets share, for scikit-learn's validate_params."""

from __future__ import annotations

import os
from numbers import Integral, Real

from sklearn.utils._param_validation import Interval

AT_LEAST_ONE = [Interval(Integral, 1, None, closed="left")]
POSITIVE = [Interval(Real, 0, None, closed="neither")]
NOT_NEGATIVE = [Interval(Real, 0, None, closed="left")]
YES_OR_NO = ["boolean"]
FOLDER = [str, os.PathLike, None]
RANDOM_STATE = ["random_state"]

TRAJECTORY_CONSTRAINTS = {
    "n_trajectories": AT_LEAST_ONE,
    "n_times": AT_LEAST_ONE,
    "dt": POSITIVE,
    "noise": [*NOT_NEGATIVE, "array-like"],
    "random_state": RANDOM_STATE,
    "return_X_y": YES_OR_NO,
}
