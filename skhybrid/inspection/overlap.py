"""How far a physics parameter moves if the missing part overlaps its effect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from skhybrid.inspection.effects import Effects, effects
from skhybrid.inspection.tables import html_table, text_table
from skhybrid.runtime.frames import data_frame

CORRELATIONS = (0.1, 0.3, 0.5)
# The robustness value is the correlation that moves a parameter by this part of its value.
CHANGE = 0.05
# An effect of which less is left beside the other effects is rounding.
NOTHING = 1e-6
TITLE = "How far θ moves if the missing part overlaps its effect with a correlation r"


@dataclass(frozen=True)
class OverlapSensitivity:
    """What an overlap of the missing part with the effects of parameters would do to them.

    Attributes
    ----------
    values : dict of str to float
        Fitted value of each free element, such as "gain[0]".
    units : dict of str to str or None
    network_size : float
        ‖δ̂‖: root of the weighted mean square of the network's part, in standard deviations of the
        target.
    effect_sizes : dict of str to float
        ‖S⊥‖: the same for the effect of each element, less what the other effects explain of it,
        per unit of the element.
    overlaps : dict of str to float
        Uncentred weighted cosine between the network's part and S⊥: the overlap that the network
        has already taken up.
    """

    values: dict[str, float]
    units: dict[str, str | None]
    network_size: float
    effect_sizes: dict[str, float]
    overlaps: dict[str, float]

    def shift(self, r: float) -> dict[str, float]:
        """Return how far each element can be off for an overlap r, in its units.

        Parameters
        ----------
        r : float
            Cosine between the missing part and S⊥; from 0 to 1, without 1.

        Raises
        ------
        ValueError
            If r is not in this range.
        """
        if not 0.0 <= r < 1.0:
            raise ValueError(f"r must be at least 0 and below 1; got {r}.")
        return {name: self._shift(name, r) for name in self.values}

    def _shift(self, name: str, r: float) -> float:
        if self.network_size == 0.0:
            return 0.0
        if self.effect_sizes[name] == 0.0:
            return math.inf
        return r / math.sqrt(1.0 - r**2) * self.network_size / self.effect_sizes[name]

    def robustness(self, change: float = CHANGE) -> dict[str, float]:
        """Return the overlap r that moves each element by a part of its value.

        Parameters
        ----------
        change : float, default=0.05
            Part of the value.

        Returns
        -------
        dict of str to float
            Between 0 and 1; 1 if no overlap moves it, because the network adds nothing.
        """
        return {name: self._robustness(name, change) for name in self.values}

    def _robustness(self, name: str, change: float) -> float:
        if self.network_size == 0.0:
            return 1.0
        moved = change * abs(self.values[name]) * self.effect_sizes[name] / self.network_size
        return moved / math.hypot(1.0, moved)

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """One row for each element: value, unit, shift for some r, and the r that moves it."""
        shifts = {r: self.shift(r) for r in CORRELATIONS}
        robust = self.robustness()
        return {
            name: {
                "value": value,
                "unit": self.units[name] or "",
                **{f"shift at r = {r:g}": shifts[r][name] for r in CORRELATIONS},
                f"r for {CHANGE:.0%}": robust[name],
                "network's own overlap": self.overlaps[name],
            }
            for name, value in self.values.items()
        }

    @property
    def frame(self) -> Any:
        """The rows as a DataFrame; needs pandas."""
        rows = self.rows
        return data_frame([*rows.values()], index=[*rows])

    def sentence(self, name: str) -> str:
        """Return what an overlap would do to one element, in a plain sentence.

        Parameters
        ----------
        name : str
            Element, such as "gain[0]".
        """
        if name not in self.values:
            raise ValueError(f"There is no free element {name!r}; there are {[*self.values]}.")
        if self.network_size == 0.0:
            return f"There is no network's part that could overlap the effect of {name}."
        if self.effect_sizes[name] == 0.0:
            return f"The other parameters have the same effect as {name}: any overlap can move it."
        middle = CORRELATIONS[1]
        unit = f" {self.units[name]}" if self.units[name] else ""
        shift, value = self._shift(name, middle), self.values[name]
        relative = f" ({shift / abs(value):.0%} of its value)" if value else ""
        return (
            f"If what the physics lacks overlaps the effect of {name} with a correlation of "
            f"{middle:g}, {name} is off by about {shift:.2g}{unit}{relative}; a correlation of "
            f"{self._robustness(name, CHANGE):.2f} is enough for {CHANGE:.0%}."
        )

    def __str__(self) -> str:
        return text_table(TITLE, self.rows)

    def _repr_html_(self) -> str:
        return html_table(TITLE, self.rows)


def overlap_sensitivity(
    estimator: Any, X: Any, y: Any, *, sample_weight: Any = None
) -> OverlapSensitivity:
    """Return how far each physics parameter is off if the missing part overlaps its effect.

    No data can exclude an overlap: where what the physics lacks looks like the effect of a
    parameter, the parameter takes it up. This is a statement about the assumption, not about the
    sampling error.

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

    Notes
    -----
    Let δ be what the physics lacks, S⊥ the effect ∂ŷ/∂θⱼ less its projection on the effects of the
    other parameters, and r the cosine between δ and S⊥, weighted and uncentred. To first order, the
    fit and the truth give the same prediction if δ = δ̂ + S⊥ Δθ, with the network's part δ̂ and the
    error Δθ of θⱼ; the other parameters take up what is parallel to their effects. If δ̂ keeps
    nothing that is parallel to S⊥, the two terms are orthogonal: ‖δ‖² = ‖δ̂‖² + ‖S⊥‖² Δθ², and
    r = ‖S⊥‖ Δθ / ‖δ‖. So

        Δθ = r / √(1 − r²) · ‖δ̂‖ / ‖S⊥‖.

    The root appears because δ̂ has lost the overlap itself: it is smaller than δ by the factor
    √(1 − r²). Solved for r with Δθ = 5 % of θⱼ, this is a robustness value as that of [1]_ for
    variables that a linear regression omits. ``overlaps`` tells how much of the network's part is
    parallel to S⊥ all the same.

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
    return overlap_of(effects(estimator, X, y, sample_weight))


def overlap_of(at: Effects) -> OverlapSensitivity:
    """Return the sensitivity to overlap from effects that are known already.

    Parameters
    ----------
    at : Effects
    """
    root = np.sqrt(at.weights / max(np.count_nonzero(at.weights), 1))
    network = root * at.network
    slopes = root[:, None] * at.sensitivities
    size = float(np.linalg.norm(network))
    sizes, overlaps = {}, {}
    for j, name in enumerate(at.names):
        own = slopes[:, j] - explained(np.delete(slopes, j, axis=1), slopes[:, j])
        left, whole = float(np.linalg.norm(own)), float(np.linalg.norm(slopes[:, j]))
        sizes[name] = left if left > NOTHING * whole else 0.0
        both = size * sizes[name]
        overlaps[name] = float(network @ own) / both if both else 0.0
    values = dict(zip(at.names, at.values.tolist(), strict=True))
    return OverlapSensitivity(values, dict(at.units), size, sizes, overlaps)


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
