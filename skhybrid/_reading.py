"""What the user gave to ``fit``, checked: the parts of the model, and its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, validate_data

from skhybrid._assembly import Parts
from skhybrid._course import read_course
from skhybrid._data import Rows
from skhybrid._latent_course import read_latent_course
from skhybrid._surroundings import usable_device
from skhybrid.networks import hidden_sizes
from skhybrid.physics import as_physics
from skhybrid.structures import ODE, LatentODE
from skhybrid.structures.solvers import FIXED_STEP


def read(estimator: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Parts, Rows, list[Rows]]:
    """Check parameters and data.

    Parameters
    ----------
    estimator : HybridRegressor
        Notes the features of X, or compares them if it goes on from an earlier fit.
    X, y, sample_weight
        As given to ``fit``.

    Returns
    -------
    parts : Parts
    rows : Rows
        Of tables their rows; of trajectories the windows into which they are cut.
    earlier : list of Rows
        Shorter windows of the same trajectories, to train on before.
    """
    parts = _parts(estimator)
    reset = not (estimator.warm_start and hasattr(estimator, "_fitted"))
    if isinstance(estimator.structure, ODE):
        return _trajectories(estimator, parts, X, y, sample_weight, reset)
    rows = _table(estimator, X, y, sample_weight, reset)
    names = getattr(estimator, "feature_names_in_", None)
    return replace(parts, feature_names=names), rows, []


def _table(estimator: Any, X: Any, y: Any, sample_weight: Any, reset: bool) -> Rows:
    """Check the data and return them as float64 rows."""
    if estimator.missing_targets == "mask":
        check_x = {"dtype": np.float64}
        check_y = {**check_x, "ensure_2d": False, "ensure_all_finite": "allow-nan"}
        X, y = validate_data(estimator, X, y, validate_separately=(check_x, check_y), reset=reset)
        check_consistent_length(X, y)
    else:
        X, y = validate_data(
            estimator, X, y, dtype=np.float64, multi_output=True, y_numeric=True, reset=reset
        )
    y = np.asarray(y, dtype=np.float64)
    if y.ndim > 2:
        raise ValueError(f"y must have one or two dimensions; it has shape {y.shape}.")
    if sample_weight is not None:
        sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    return Rows.of(X, y, sample_weight)


def _trajectories(
    estimator: Any, parts: Parts, X: Any, y: Any, sample_weight: Any, reset: bool
) -> tuple[Parts, Rows, list[Rows]]:
    """Check the data of a differential equation and cut them into windows."""
    method = parts.structure.method
    if estimator.orthogonality > 0 and method not in FIXED_STEP:
        raise ValueError(
            f"orthogonality takes derivatives that method={method!r} does not give. Choose "
            f"one of {', '.join(FIXED_STEP)}, or orthogonality=0."
        )
    read_any = read_latent_course if isinstance(estimator.structure, LatentODE) else read_course
    trajectories, course = read_any(estimator, parts.physics, X, y, sample_weight, reset=reset)
    stages = [trajectories.windows(each, course.scales) for each in parts.structure.windows()]
    if course.layout.learned:
        course = replace(
            course,
            n_entries=int(stages[-1].x.entry.max()) + 1,
            first_entries=trajectories.first_entries(parts.structure.window),
        )
    *earlier, rows = stages
    return replace(parts, course=course), rows, earlier


def _parts(estimator: Any) -> Parts:
    """Return what the model is made of, checked one by one."""
    if estimator.physics is None and estimator.nn is None:
        raise ValueError("physics and nn are both None: there is nothing to fit.")
    if isinstance(estimator.structure, type):
        raise ValueError(
            f"structure is the class {estimator.structure.__name__}; pass an instance of it, such "
            f"as {estimator.structure.__name__}(dt=1.0)."
        )
    if estimator.nn is not None and not isinstance(estimator.nn, torch.nn.Module):
        hidden_sizes(estimator.nn)
    structure = estimator.structure
    return Parts(
        physics=as_physics(estimator.physics),
        nn=estimator.nn,
        structure=clone(structure) if isinstance(structure, ODE) else structure,
        nn_features=estimator.nn_features,
        feature_names=None,
        dtype=getattr(torch, estimator.dtype),
        device=usable_device(estimator.device, type(estimator).__name__),
    )
