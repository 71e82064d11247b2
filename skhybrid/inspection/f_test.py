"""Intervals by the F-test, for the physics alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import f as fisher_f

from skhybrid.inspection.flat_parameters import elements_of, hybrid_of
from skhybrid.inspection.held_fits import Held, limits_of_element

# The search for the ends of an interval goes out so many times, each time twice as far.
MAX_DOUBLINGS = 20
# A smaller loss is rounding.
LEAST_LOSS = 1e-24


def why_no_test(model: Any) -> str:
    """Return why there is no F-test for the physics alone; nothing if there is one."""
    errors = model._fitted.standard_errors
    if errors.reason is not None:
        return errors.reason
    if model.loss != "squared_error":
        return f"The F-test is for squared errors, and loss={model.loss!r}: see summary()."
    if errors.priors:
        return "The F-test knows no priors: see summary() for their intervals."
    if errors.groups not in ("values", "rollouts"):
        return (
            "Neighbouring windows of a trajectory have errors in common, so there is no F-test: "
            "see confidence_intervals, or set ODE(window=None)."
        )
    if not model.loss_ > LEAST_LOSS:
        return "The fit is exact, so there is no noise to compare with."
    return ""


def f_test_interval(held: Held, X: Any, y: Any, weight: Any, level: float) -> tuple[float, float]:
    """Return where the loss crosses the limit of the F-test on both sides."""
    model = hybrid_of(held.fitted)
    errors = model._fitted.standard_errors
    estimate, least = elements_of(held.fitted)[held.param], float(model.loss_)
    limit = 1.0 + fisher_f.ppf(level, 1, errors.dof) / errors.dof
    error = float(errors.element_std[errors.names.index(held.param)])
    first = error if np.isfinite(error) and error > 0.0 else 0.1 * abs(estimate) or 1.0

    def excess(value: float) -> float:
        loss = held.losses(X, y, weight, [value])[0]
        return (loss if np.isfinite(loss) else np.inf) / least - limit

    low, high = limits_of_element(held.fitted, held.param)
    return (
        _end(excess, estimate, -2.0 * first, low),
        _end(excess, estimate, 2.0 * first, high),
    )


def _end(excess: Callable[[float], float], start: float, step: float, bound: float) -> float:
    """Return the value on one side at which the excess is zero, the bound, or infinity."""
    inner, side = start, np.sign(step)
    for _ in range(MAX_DOUBLINGS):
        outer = start + step
        at_bound = side * (outer - bound) >= 0.0
        outer = bound if at_bound else outer
        if outer == inner:
            return bound
        if excess(outer) > 0.0:
            return float(brentq(excess, inner, outer, xtol=1e-5 * abs(step), rtol=1e-8))
        if at_bound:
            return bound
        inner, step = outer, 2.0 * step
    return float(side * np.inf)
