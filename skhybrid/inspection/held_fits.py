"""Fits in which one element of the physics parameters is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from skhybrid.inspection.fixed_parameters import holding, split_element, start_at
from skhybrid.inspection.flat_parameters import constants_of, hybrid_of
from skhybrid.inspection.refits import Refit, refit
from skhybrid.model.param import Param
from skhybrid.model.physics import Physics, as_physics

FIRST_PHASE = {"refine_rho": None}


@dataclass(frozen=True)
class Held:
    """Fits with one element held.

    Attributes
    ----------
    estimator : HybridRegressor or Pipeline
    fitted : HybridRegressor or Pipeline
        A clone that is fitted with the element free.
    param : str
    options : dict
        Options for :func:`~skhybrid.inspection.refits.refit`.
    """

    estimator: Any
    fitted: Any
    param: str
    options: dict[str, Any]

    def fits(self, X: Any, y: Any, weight: Any, values: Sequence[float]) -> list[Any]:
        """Return fitted clones or errors, one for each value."""
        others = constants_of(self.fitted)
        is_whole = not split_element(self.param)[1]
        if hybrid_of(self.estimator).nn is None and is_whole:
            return [self._alone(X, y, weight, value, others) for value in values]
        held = holding(self.estimator, [self.param])
        free = {name: others[name] for name in hybrid_of(held).physics.free if name in others}
        refits = [
            Refit(X, y, weight, FIRST_PHASE | start_at(held, {self.param: value}, free))
            for value in values
        ]
        return refit(held, refits, what=f"fits with {self.param} held", **self.options)

    def _alone(self, X: Any, y: Any, weight: Any, value: float, others: dict[str, Any]) -> Any:
        """Return a fit of the physics alone, in which the parameter is a constant."""
        held = clone(self.estimator)
        model = hybrid_of(held)
        physics = _with_constant(as_physics(model.physics), self.param, value, others)
        model.set_params(physics=physics)
        (found,) = refit(held, [Refit(X, y, weight)], **self.options)
        return found

    def losses(self, X: Any, y: Any, weight: Any, values: Sequence[float]) -> np.ndarray:
        """Return the training losses; NaN where a fit failed."""
        fits = self.fits(X, y, weight, values)
        return np.array(
            [np.nan if isinstance(each, Exception) else hybrid_of(each).loss_ for each in fits]
        )

    def held_out(
        self, X: Any, y: Any, weight: Any, values: Sequence[float], train: Any, test: Any
    ) -> np.ndarray | None:
        """Return the losses on rows held out; None if there are too few rows."""
        if train is None:
            return None
        weight = None if weight is None else _safe_indexing(weight, train)
        fits = self.fits(_safe_indexing(X, train), _safe_indexing(y, train), weight, values)
        outside = _safe_indexing(X, test), _safe_indexing(y, test)
        return np.array(
            [np.nan if isinstance(each, Exception) else 1.0 - each.score(*outside) for each in fits]
        )


def _with_constant(physics: Physics, name: str, value: float, others: dict[str, Any]) -> Physics:
    """Return the physics with one parameter as a constant, and the others at fitted values."""
    params = {
        each: param
        if param.fixed
        else Param(others[each], param.bounds, param.unit, prior=param.prior)
        for each, param in physics.params.items()
    }
    own = physics.params[name]
    params[name] = Param(value, own.bounds, own.unit, fixed=True)
    return Physics(physics.function, **params)


def limits_of_element(fitted: Any, param: str) -> tuple[float, float]:
    """Return the bounds of an element."""
    name, index = split_element(param)
    low, high = hybrid_of(fitted)._fitted.hybrid.physics.params[name].limits()
    return float(low[index]), float(high[index])
