"""Score a fit together with its physics parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

# Prefixes of the columns of cv_results_ with physics parameters.
THETA = "theta "
# ... and with their standard deviations over restarts.
RESTART_SPREAD = "spread "
# ... and with their change in the second half of training.
DRIFT = "drift "
PHYSICS_SHARE = "physics_share"


def score_and_physics_params(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> dict:
    """Return the score and the physics parameters of a fit: ``scoring=`` of a search.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted.
    X, y : array-like
        Rows to score.
    sample_weight : array-like, default=None
        Weights of the rows.

    Returns
    -------
    dict of str to float
        "score"; "theta <name>", a physics parameter; "spread <name>", its standard deviation over
        the restarts that fit the data equally well; "drift <name>", its change in the second half
        of the first phase of training, zero if training stopped early. Elements of an array have
        numbers: "theta gain[0]". "physics_share" is the physics' share of the explained variance.
    """
    weight = {} if sample_weight is None else {"sample_weight": sample_weight}
    found = {"score": float(estimator.score(X, y, **weight))}
    model = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    values = free_elements(model.physics_params_, model)
    spreads = restart_spread(model)
    drift = model._fitted.drift
    drifts = {} if drift is None else free_elements(drift, model)
    for name, value in values.items():
        found[f"{THETA}{name}"] = value
        found[f"{RESTART_SPREAD}{name}"] = spreads[name]
        found[f"{DRIFT}{name}"] = drifts.get(name, 0.0)
    return found | {PHYSICS_SHARE: float(model.physics_share_)}


def free_elements(physics_params: Mapping[str, Any], model: Any) -> dict[str, float]:
    """Return the elements of the free physics parameters by name and number."""
    elements = {}
    for name in model._fitted.free_names:
        value = np.asarray(physics_params[name])
        for index in np.ndindex(value.shape):
            number = f"[{', '.join(map(str, index))}]" if index else ""
            elements[f"{name}{number}"] = float(value[index])
    return elements


def restart_spread(model: Any) -> dict[str, float]:
    """Return the standard deviation of θ over restarts that fit the data equally well.

    The mean of n squared errors has a relative standard error of √(2/n). Restarts whose training
    loss exceeds the lowest loss by more than that ended in a worse minimum and do not count.
    """
    usable = [each for each in model.restarts_ if np.isfinite(each["loss"])]
    lowest = min(each["loss"] for each in usable)
    tolerance = np.sqrt(2.0 / model._fitted.n_rows)
    equal = [
        free_elements(each["physics_params"], model)
        for each in usable
        if each["loss"] <= lowest * (1.0 + tolerance)
    ]
    if len(equal) < 2:
        return dict.fromkeys(equal[0], 0.0)
    return {name: float(np.std([each[name] for each in equal], ddof=1)) for name in equal[0]}
