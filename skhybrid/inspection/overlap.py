"""How far a physics parameter is off if the missing part overlaps its effect."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skhybrid.inspection.effects import Effects, effects
from skhybrid.inspection.flat_parameters import hybrid_of, limits_of, require_free_elements
from skhybrid.inspection.tables import html_table, text_table
from skhybrid.runtime.frames import data_frame

CORRELATIONS = (0.1, 0.3, 0.5)
# The robustness value is about a move by this part of a parameter's value.
CHANGE = 0.05
# An effect of which less is left beside the other effects is rounding.
NOTHING = 1e-6
TITLE = "How far θ is off if the missing part overlaps its effect with a correlation r"


@dataclass(frozen=True)
class Overlap:
    """The effect of one element beside the network's part.

    Attributes
    ----------
    value : float
        Fitted value.
    unit : str or None
    effect : float
        ‖S⊥‖: root of the weighted mean square of the effect, less what the effects of the other
        parameters explain of it, in standard deviations of the target per unit of the element.
    parallel : float
        ⟨δ̂, S⊥⟩ / ‖S⊥‖: size of the network's part along this effect, with its sign, in standard
        deviations of the target.
    rest : float
        Size of what else there is of the network's part.
    limits : tuple of two floats
        Bounds of the element, at which ranges end.
    """

    value: float
    unit: str | None
    effect: float
    parallel: float
    rest: float
    limits: tuple[float, float] = (-math.inf, math.inf)

    @property
    def correlation(self) -> float:
        """The network's own overlap with the effect: an uncentred weighted cosine."""
        size = math.hypot(self.parallel, self.rest)
        return self.parallel / size if size else 0.0

    @property
    def vanishes(self) -> bool:
        """Whether the network adds nothing."""
        return self.parallel == self.rest == 0.0

    def interval(self, r: float) -> tuple[float, float]:
        """Return the range of values for an overlap between -r and r."""
        if self.vanishes:
            return self.value, self.value
        if self.effect == 0.0:
            return self.limits
        around = r / math.sqrt(1.0 - r**2) * self.rest / self.effect
        middle = self.value + self.parallel / self.effect
        lowest, highest = self.limits
        low, high = middle - around, middle + around
        # Beyond a bound, the range is the bound itself: no fit can be there.
        return min(max(low, lowest), highest), max(min(high, highest), lowest)

    def shift(self, r: float) -> float:
        """Return how far the value can be off for an overlap between -r and r."""
        low, high = self.interval(r)
        return max(high - self.value, self.value - low)

    def robustness(self, change: float) -> float:
        """Return by how much an overlap must differ from the network's own to move the value."""
        if self.vanishes:
            return 1.0
        moved = change * abs(self.value) * self.effect
        size = math.hypot(self.parallel, self.rest)
        own = self.parallel / size
        others = (self.parallel + side * moved for side in (-1.0, 1.0))
        return min(abs(each / (math.hypot(each, self.rest) or 1.0) - own) for each in others)


@dataclass(frozen=True)
class OverlapSensitivity:
    """What an overlap of the missing part with the effects of parameters would do to them.

    Attributes
    ----------
    overlaps : dict of str to Overlap
        By free element, such as "gain[0]".
    """

    overlaps: dict[str, Overlap]

    def interval(self, r: float) -> dict[str, tuple[float, float]]:
        """Return the range of each element for an overlap between -r and r, to first order.

        Parameters
        ----------
        r : float
            Largest cosine between the missing part and the effect; from 0 to 1, without 1.

        Raises
        ------
        ValueError
            If r is not in this range.
        """
        if not 0.0 <= r < 1.0:
            raise ValueError(f"r must be at least 0 and below 1; got {r}.")
        return {name: each.interval(r) for name, each in self.overlaps.items()}

    def shift(self, r: float) -> dict[str, float]:
        """Return how far each element can be off for an overlap between -r and r, in its unit.

        This is the distance from the fitted value to the farther end of :meth:`interval`, which has
        the argument and the errors.
        """
        self.interval(r)
        return {name: each.shift(r) for name, each in self.overlaps.items()}

    def robustness(self, change: float = CHANGE) -> dict[str, float]:
        """Return by how much the overlap must differ from the network's own to move each element.

        Parameters
        ----------
        change : float, default=0.05
            Part of the fitted value by which it moves.

        Returns
        -------
        dict of str to float
            Between 0, anything moves it, and 1, nothing does because the network adds nothing.
        """
        return {name: each.robustness(change) for name, each in self.overlaps.items()}

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """One row for each element."""
        return {
            name: {
                "value": each.value,
                "unit": each.unit or "",
                **{f"off at r = {r:g}": each.shift(r) for r in CORRELATIONS},
                "network's own r": each.correlation,
                f"change of r for {CHANGE:.0%}": each.robustness(CHANGE),
            }
            for name, each in self.overlaps.items()
        }

    @property
    def frame(self) -> Any:
        """The rows as a DataFrame; needs pandas."""
        rows = self.rows
        return data_frame([*rows.values()], index=[*rows])

    def sentence(self, name: str, r: float = CORRELATIONS[1]) -> str:
        """Return what an overlap would do to one element, in plain words.

        Parameters
        ----------
        name : str
            Element, such as "gain[0]".
        r : float, default=0.3
            Largest overlap.
        """
        if name not in self.overlaps:
            raise ValueError(f"There is no free element {name!r}; there are {[*self.overlaps]}.")
        low, high = self.interval(r)[name]
        each = self.overlaps[name]
        if each.vanishes:
            return f"The network adds nothing that could overlap the effect of {name}."
        if each.effect == 0.0:
            return f"The other parameters can do all that {name} does: any overlap moves it."
        unit = f" {each.unit}" if each.unit else ""
        text = (
            f"If what the physics lacks overlaps the effect of {name} with a correlation of at "
            f"most {r:g}, {name} is between {low:.3g} and {high:.3g}{unit}."
        )
        outside = not low <= each.value <= high
        if outside or each.value:
            text += f" The network's own overlap is {each.correlation:.2g}"
        if outside:
            text += f", more than {r:g} in size, so the fitted value lies outside"
        if each.value:
            text += (
                f"; if the true one differs by {each.robustness(CHANGE):.2g}, {name} is off by "
                f"{CHANGE:.0%}"
            )
        return f"{text.removesuffix('.')}."

    def __str__(self) -> str:
        return text_table(TITLE, self.rows)

    def _repr_html_(self) -> str:
        return html_table(TITLE, self.rows)


def overlap_sensitivity(
    estimator: Any, X: Any, y: Any, *, sample_weight: Any = None
) -> OverlapSensitivity:
    """Return how far each physics parameter is off if the missing part overlaps its effect.

    No data can exclude an overlap: where what the physics lacks looks like the effect of a
    parameter, the parameter can take it up, or the network. This is a statement about an
    assumption; the sampling error comes on top.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted to these rows.
    X, y : array-like
        As for ``fit``.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    OverlapSensitivity

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If the model has no free physics parameters, or the columns of X are others than in ``fit``.

    Notes
    -----
    Let δ be what the physics lacks, S⊥ the effect ∂ŷ/∂θⱼ less its projection on the effects of the
    other parameters, and r the cosine between δ and S⊥, weighted and uncentred. The network's part
    δ̂ and the error Δθ = θ̂ⱼ − θⱼ give the same prediction as the truth if, to first order,
    δ = δ̂ + S⊥ Δθ; the other parameters take up what is parallel to their effects.

    If δ̂ has nothing parallel to S⊥, the two terms are orthogonal: ‖δ‖² = ‖δ̂‖² + ‖S⊥‖² Δθ² and
    r = ‖S⊥‖ Δθ / ‖δ‖. So

        Δθ = r / √(1 − r²) · ‖δ̂‖ / ‖S⊥‖.

    The root appears because δ̂ has lost the overlap itself: it is smaller than δ by the factor
    √(1 − r²).

    A flat network need not have lost all of it. With the part a of δ̂ along S⊥, and the rest b,

        Δθ = (r / √(1 − r²) · b − a) / ‖S⊥‖.

    So θⱼ is at θ̂ⱼ + a / ‖S⊥‖ if the missing part has no overlap, and ``interval`` is what other
    overlaps add to this on both sides. On random tasks whose missing part overlaps the effect, the
    first formula covers about a third of the errors, the second one nine in ten
    (benchmarks/bench_overlap.py).

    Solved for r with a given Δθ, this is a robustness value as that of [1]_ for variables that a
    linear regression omits.

    References
    ----------
    .. [1] C. Cinelli, C. Hazlett, "Making sense of sensitivity: extending omitted variable bias",
       Journal of the Royal Statistical Society B 82, 2020.

    Examples
    --------
    >>> from skhybrid import HybridRegressor
    >>> from skhybrid.datasets import make_pendulum_acceleration
    >>> from skhybrid.inspection import overlap_sensitivity
    >>> data = make_pendulum_acceleration(100, random_state=0)
    >>> model = HybridRegressor(data.physics, nn=(8,), max_epochs=100, random_state=0)
    >>> model = model.fit(data.data, data.target)
    >>> found = overlap_sensitivity(model, data.data, data.target)
    >>> found.shift(0.1)["omega2"] < found.shift(0.3)["omega2"]
    True
    """
    check_is_fitted(hybrid_of(estimator), "_fitted")
    require_free_elements(estimator)
    return overlap_within_bounds(estimator, effects(estimator, X, y, sample_weight))


def overlap_within_bounds(estimator: Any, at: Effects) -> OverlapSensitivity:
    """Return the sensitivity to overlap of a fitted model from effects that are known already."""
    found, limits = overlap_of(at), limits_of(estimator)
    return OverlapSensitivity(
        {name: replace(each, limits=limits[name]) for name, each in found.overlaps.items()}
    )


def overlap_of(at: Effects) -> OverlapSensitivity:
    """Return the sensitivity to overlap without bounds."""
    root = np.sqrt(at.weights / max(np.count_nonzero(at.weights), 1))
    network, slopes = root * at.network, root[:, None] * at.sensitivities
    found = {}
    for j, name in enumerate(at.names):
        own = slopes[:, j] - explained(np.delete(slopes, j, axis=1), slopes[:, j])
        effect = float(np.linalg.norm(own))
        if effect <= NOTHING * float(np.linalg.norm(slopes[:, j])):
            effect, parallel = 0.0, np.zeros(len(own))
        else:
            parallel = (network @ own / effect**2) * own
        along = float(parallel @ own) / effect if effect else 0.0
        rest = float(np.linalg.norm(network - parallel))
        found[name] = Overlap(float(at.values[j]), at.units[name], effect, along, rest)
    return OverlapSensitivity(found)


def explained(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the projection of values on columns, which may have any units.

    Parameters
    ----------
    columns : array of shape (n, n_columns)
    values : array of shape (n,)
    """
    size = np.linalg.norm(columns, axis=0)
    columns = columns[:, size > 0] / size[size > 0]
    if not columns.shape[1]:
        return np.zeros(len(values))
    coefficients, *_ = np.linalg.lstsq(columns, values, rcond=1e-8)
    return columns @ coefficients
