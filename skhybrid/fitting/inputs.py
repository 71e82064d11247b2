"""Read the data given to fit: rows of a table, or windows of trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length, validate_data

from skhybrid.data.given_arrays import columns_named, read_weights
from skhybrid.data.group_columns import encode_groups, encode_training_groups
from skhybrid.data.missing_targets import mask_missing, mask_suggested
from skhybrid.data.read_images import read_images
from skhybrid.data.read_trajectories import read_trajectories
from skhybrid.data.rows import Rows, require_range
from skhybrid.data.trajectories import Trajectories
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.data.trajectory_scales import trajectory_scales
from skhybrid.fitting.settings import FitSettings
from skhybrid.model.ode import ODE
from skhybrid.model.out_of_memory import memory_errors_named
from skhybrid.model.solvers import FIXED_STEP


@dataclass(frozen=True)
class FitInputs:
    """The validated data of a fit.

    Attributes
    ----------
    rows : Rows
        Rows of a table, or windows of trajectories.
    earlier : tuple of Rows
        Shorter windows of the same trajectories, for the stages before.
    feature_names : sequence of str or None
        Column names of a table.
    trajectory_info : TrajectoryInfo or None
        For a differential equation.
    trajectories : Trajectories or None
        The trajectories from which the rows are cut.
    group_labels : dict of int to list
        Labels of the groups in columns of a table, whose numbers are their codes.
    """

    rows: Rows
    earlier: tuple[Rows, ...] = ()
    feature_names: Sequence[str] | None = None
    trajectory_info: TrajectoryInfo | None = None
    trajectories: Trajectories | None = None
    group_labels: dict[int, list] = field(default_factory=dict)

    def n_observed(self, rows: Rows) -> int:
        """Return the number of observed values in training rows; copies in windows count once.

        Parameters
        ----------
        rows : Rows
            The rows of these inputs, or some of them.
        """
        used = rows.y.size if rows.weight is None else int((rows.weight > 0.0).sum())
        if self.trajectories is None:
            return used
        whole = self.rows
        n_all = whole.y.size if whole.weight is None else int((whole.weight > 0.0).sum())
        window = whole.x.steps.shape[1]
        n_once = self.trajectories.n_targets(window, whole.kept)
        return max(1, round(n_once * used / n_all)) if rows is not whole else n_once

    def at_window(self, window: int | str | None) -> FitInputs:
        """Return the same trajectories, cut into other windows.

        Parameters
        ----------
        window : int, "auto" or None
            Steps in a window; None is the whole trajectory.
        """
        info, trajectories = self.trajectory_info, self.trajectories
        rows = trajectories.windows(window, info.scales)
        if info.layout.learned:
            info = replace(
                info,
                n_first_states=int(rows.x.index.max()) + 1,
                first_indices=trajectories.first_indices(window),
            )
        return replace(self, rows=rows, earlier=(), trajectory_info=info)


@memory_errors_named("the reading of the data", "Give fewer or shorter trajectories, or rows.")
def read_inputs(
    settings: FitSettings,
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    group_labels: dict[int, list] | None = None,
) -> FitInputs:
    """Check the data and return them as rows.

    Parameters
    ----------
    settings : FitSettings
    estimator : HybridRegressor
        It notes the features of X, or compares them if the fit continues from an earlier one.
    X, y, sample_weight
        As given to ``fit``.
    group_labels : dict of int to list, default=None
        Labels of an earlier fit, for the rows of a table; None finds them in X.
    """
    masked = settings.missing_targets == "mask"
    reset = not (settings.warm_start and hasattr(estimator, "_fitted"))
    if isinstance(settings.structure, ODE):
        return _trajectories(settings, estimator, X, y, sample_weight, masked, reset)
    if group_labels is None:
        X, group_labels = encode_training_groups(X, settings.physics)
    else:
        X = encode_groups(X, group_labels, getattr(X, "columns", None), tell=False)
    rows = _table(settings, estimator, X, y, sample_weight, masked, reset)
    names = getattr(estimator, "feature_names_in_", None)
    return FitInputs(rows, feature_names=names, group_labels=group_labels)


def _table(
    settings: FitSettings,
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    masked: bool,
    reset: bool,
) -> Rows:
    """Check a table and return its rows in float64."""
    with columns_named(X=X, y=y):
        X, y = _validated_table(estimator, X, y, masked, reset)
    if settings.nn is not None:  # the physics alone is fitted in float64
        names = getattr(estimator, "feature_names_in_", None)
        require_range("X", X, settings.dtype, names)
        require_range("y", y, settings.dtype)
    if y.ndim > 2:
        raise ValueError(f"y must have one or two dimensions; it has shape {y.shape}.")
    if sample_weight is not None:
        sample_weight = read_weights(sample_weight, len(X))
    return mask_missing(X, y, sample_weight)


def _validated_table(
    estimator: BaseEstimator, X: Any, y: Any, masked: bool, reset: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y in float64, checked by scikit-learn."""
    if getattr(y, "ndim", 0) > 2:
        raise ValueError(
            f"y must have one or two dimensions; it has shape {y.shape}. If the rows of X are "
            "trajectories, set structure=ODE(...)."
        )
    if masked:
        check_x = {"dtype": np.float64}
        check_y = {**check_x, "ensure_2d": False, "ensure_all_finite": "allow-nan"}
        X, y = validate_data(estimator, X, y, validate_separately=(check_x, check_y), reset=reset)
        check_consistent_length(X, y)
    else:
        with mask_suggested(y):
            X, y = validate_data(
                estimator, X, y, dtype=np.float64, multi_output=True, y_numeric=True, reset=reset
            )
            # None in an array of objects becomes NaN after scikit-learn's check.
            check_array(y, ensure_2d=False, allow_nd=True, input_name="y")
    return X, np.asarray(y, dtype=np.float64)


def _trajectories(
    settings: FitSettings,
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    masked: bool,
    reset: bool,
) -> FitInputs:
    """Check the trajectories of a differential equation and cut them into windows."""
    ode = settings.structure
    if settings.orthogonality > 0 and ode.method not in FIXED_STEP:
        raise ValueError(
            f"orthogonality takes derivatives that method={ode.method!r} does not give. Choose "
            f"one of {', '.join(FIXED_STEP)}, or orthogonality=0."
        )
    read = read_images if ode.reads_images else read_trajectories
    trajectories, info = read(
        estimator, ode, settings.physics, X, y, sample_weight, masked=masked, reset=reset
    )
    if not (settings.cost.is_squared or ode.reads_images):  # half of the pixels may be constant
        info = replace(info, scales=trajectory_scales(trajectories, robust=True))
    inputs = FitInputs(None, trajectory_info=info, trajectories=trajectories)
    *earlier, last = [inputs.at_window(each) for each in ode.windows()]
    return replace(last, earlier=tuple(each.rows for each in earlier))
