"""Evidence from the fitted model and its rows alone, without another fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from skhybrid.fitting.poor_fits import LOSS_OF_MEAN
from skhybrid.inspection.absorption import Absorption, absorption
from skhybrid.inspection.effects import Effects
from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.inspection.local_effects import LocalEffects, local_effects
from skhybrid.inspection.report.evidence import Evidence
from skhybrid.inspection.residual_checks import ResidualChecks
from skhybrid.inspection.training_rows import TrainingRows

# Residuals smaller than this part of the target's spread are as small as fits get.
LEAST_NOISE = 1e-3
# Directions in which the scaled effects are smaller than this part of the largest have no effect.
RANK = 1e-6
# An element belongs to a direction without effect if this part of the direction is its own.
PART = 0.1
# Estimates that are correlated more than this make up for each other.
CORRELATED = 0.95
# From fewer points, learners cannot tell what a network could predict.
MIN_POINTS = 30


def quick_evidence(
    estimator: Any,
    rows: TrainingRows,
    effects: Effects,
    residuals: ResidualChecks,
    n_observed: int,
) -> dict[str, Evidence]:
    """Return the evidence that needs no other fit, by element.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted.
    rows : TrainingRows
    effects : Effects
        Effects of the parameters on the target.
    residuals : ResidualChecks
    n_observed : int
        Number of observed values: windows of trajectories overlap and hold copies of them.
    """
    model = hybrid_of(estimator)
    local = local_effects(rows)
    if isinstance(local, LocalEffects) and len(local.effects) < MIN_POINTS:
        local = f"{len(local.effects)} points are too few to tell what it could predict."
    absorbed = absorption(local) if isinstance(local, LocalEffects) else {}
    unknown = local if isinstance(local, str) and model.nn is not None else ""
    errors, partners = standard_errors(effects, n_observed)
    errors |= _of_physics_alone(model)
    found = {}
    for name, value in zip(effects.names, effects.values.tolist(), strict=True):
        seen = absorbed.get(name, Absorption(np.nan, np.nan))
        found[name] = Evidence(
            name=name,
            value=value,
            unit=_unit(model, name),
            standard_error=errors[name],
            error_beside_network=_beside_network(effects, name, seen.left, n_observed),
            predictable=seen.predictable,
            unknown=unknown,
            beside=_beside(model),
            partners=partners[name],
            on_bound=_on_bound(model, name, value),
            misfit=_misfit(residuals, model),
            has_network=model.nn is not None,
        )
    return found


def standard_errors(
    effects: Effects, n_observed: int
) -> tuple[dict[str, float], dict[str, tuple[str, ...]]]:
    """Return standard errors if the network's part were known, and what makes up for each element.

    Parameters
    ----------
    effects : Effects
    n_observed : int

    Returns
    -------
    errors : dict of str to float
        Infinite for elements in a direction without effect.
    partners : dict of str to tuple of str
        Elements in the same direction, or correlated with this one above :data:`CORRELATED`.
    """
    names, values = effects.names, effects.values
    if n_observed <= len(names):
        return dict.fromkeys(names, np.inf), dict.fromkeys(names, ())
    noise = _noise(effects, n_observed)
    weighted = effects.sensitivities * np.sqrt(effects.weights)[:, None]
    scales = np.abs(values)
    with np.errstate(divide="ignore"):
        # A value that is zero but for rounding says nothing about the size of its effect.
        alone = noise / np.linalg.norm(weighted, axis=0)
    scales = np.where(scales > RANK * alone, scales, np.where(np.isfinite(alone), alone, 1.0))
    scaled = weighted * scales
    size = np.sqrt(np.sum(scaled**2, axis=0))
    largest = float(np.max(size, initial=0.0))
    has_effect = size > RANK * largest
    unit = np.where(has_effect, size, 1.0)
    _, singular, directions = np.linalg.svd(scaled / unit, full_matrices=False)
    without = singular <= RANK * float(np.max(singular, initial=0.0))
    inverse = np.where(without, 0.0, 1.0 / np.where(without, 1.0, singular) ** 2)
    covariance = noise**2 * (directions.T * inverse) @ directions
    deviation = np.sqrt(np.diag(covariance))
    safe = np.where(deviation > 0.0, deviation, 1.0)
    correlated = np.abs(covariance / np.outer(safe, safe)) > CORRELATED
    in_direction = np.abs(directions[without]) > PART
    errors, partners = {}, {}
    for j, name in enumerate(names):
        free = in_direction[in_direction[:, j]]
        together = free.any(axis=0) | correlated[:, j]
        together[j] = False
        unfixed = len(free) > 0 or not has_effect[j]
        errors[name] = np.inf if unfixed else float(scales[j] / unit[j] * deviation[j])
        partners[name] = tuple(names[i] for i in np.flatnonzero(together))
    return errors, partners


def _of_physics_alone(model: Any) -> dict[str, float]:
    """Return the standard errors of ``model.summary()``; infinite where the data fix nothing."""
    known = model._fitted.standard_errors
    if known is None:
        return {}
    if known.reason is not None:
        return dict.fromkeys(known.names, np.inf)
    errors = dict(zip(known.names, known.element_std.tolist(), strict=True))
    return errors | {name: np.inf for each in known.unfixed for name in each.names}


def _noise(effects: Effects, n_observed: int) -> float:
    """Return the standard deviation of the noise, for sums of squares over all values.

    Windows hold copies of observations, and the sums count each copy.
    """
    n_values, n_elements = effects.sensitivities.shape
    noise = max(np.sqrt(np.mean(effects.weights * effects.residuals**2)), LEAST_NOISE)
    return float(noise * np.sqrt(n_values / max(n_observed - n_elements, 1)))


def _beside_network(effects: Effects, name: str, left: float, n_observed: int) -> float:
    """Return the standard error if only a part of the effect's sum of squares is left."""
    effect = effects.sensitivities[:, effects.names.index(name)]
    squares = left * float(np.sum(effects.weights * effect**2))
    if np.isnan(squares):
        return np.nan
    return float(_noise(effects, n_observed) / np.sqrt(squares)) if squares > 0.0 else np.inf


def _beside(model: Any) -> str:
    """Return what is learned beside the numbers, in words; empty for a correction alone."""
    hybrid = model._fitted.hybrid
    grouped = () if hybrid.parts is None else hybrid.parts.grouped
    said = [f"the function {name}" for name in hybrid.functions]
    said += [f"the values of {name} for groups" for name in grouped]
    if said and hybrid.has_correction:
        said.append("the network's correction")
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def _unit(model: Any, element: str) -> str | None:
    """Return the unit of the parameter that an element belongs to."""
    return model._fitted.hybrid.physics.params[element.partition("[")[0]].unit


def _on_bound(model: Any, element: str, value: float) -> bool:
    """Whether an element is on a bound, within a thousandth of its range or of its size."""
    name, _, number = element.partition("[")
    low, high = model._fitted.hybrid.physics.params[name].limits()
    index = tuple(int(each) for each in number.rstrip("]").split(",")) if number else ()
    low, high = float(low[index]), float(high[index])
    near = 1e-3 * (high - low) if np.isfinite(high - low) else 1e-6 * abs(value)
    return bool(value - low <= near or high - value <= near)


def _misfit(residuals: ResidualChecks, model: Any) -> str:
    """Return what the residuals contain that may move θ."""
    if model.loss == "squared_error" and model.loss_ > LOSS_OF_MEAN:
        return f"the fit is worse than the mean of y (R² {1.0 - model.loss_:.2g})"
    if not residuals.misfit:
        return ""
    if residuals.trends:
        return f"they change along {', '.join(residuals.trends)}"
    return f"the features predict {residuals.predictable:.0%} of them on rows held out"
