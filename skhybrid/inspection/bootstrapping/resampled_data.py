"""The data of each replicate: drawn weights, or drawn residuals on top of the prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skhybrid.inspection.bootstrapping.replicates import Replicates
from skhybrid.inspection.bootstrapping.resampling import (
    automatic_block_length,
    draw_blocks,
    draw_rows,
    draw_whole,
    filled,
)
from skhybrid.inspection.bootstrapping.residuals import held_out_residuals, inflated_residuals
from skhybrid.inspection.bootstrapping.series import Series, predicted
from skhybrid.inspection.bootstrapping.units import draw_weights, folds_of, require_units, units_of
from skhybrid.inspection.refits import Refit


@dataclass(frozen=True)
class ResampledData:
    """The data of each replicate.

    Attributes
    ----------
    data : list of (y, sample_weight)
    residuals : list of arrays or None
        The residuals that were drawn from, as series.
    block_length : int or None
    """

    data: list[tuple[Any, np.ndarray]]
    residuals: list[np.ndarray] | None = None
    block_length: int | None = None


def draw_pairs(
    replicates: Replicates, n_replicates: int, groups: Any, rng: np.random.Generator
) -> ResampledData:
    """Draw rows, groups or trajectories."""
    units = units_of(replicates.series, replicates.weight, groups)
    n_units = require_units(units, replicates.series, groups, "pairs")
    weights = [draw_weights(units, n_units, replicates.weight, rng) for _ in range(n_replicates)]
    return ResampledData([(replicates.y, weight) for weight in weights])


def draw_residuals(
    replicates: Replicates,
    n_replicates: int,
    groups: Any,
    rng: np.random.Generator,
    *,
    kind: str,
    block_length: int | None,
) -> ResampledData:
    """Fit to all rows and to folds, draw residuals, and add them to the prediction.

    Parameters
    ----------
    replicates : Replicates
    n_replicates : int
    groups : array-like of shape (n_samples,) or None
    rng : numpy Generator
    kind : {"residual", "block"}
    block_length : int or None
        None chooses it.
    """
    series, weight = replicates.series, replicates.weight
    if kind == "residual":
        _require_exchangeable(series, weight, groups)
    lines = _lines_of(series, weight, groups, whole=kind == "residual")
    residuals = _find_residuals(replicates, groups, rng, in_order=kind == "block")
    on_lines = filled([residuals[number][rows] for number, rows in lines], rng)
    if kind == "block" and block_length is None:
        block_length = automatic_block_length(on_lines)
    prediction = _fitted_values(replicates)
    roots = series.weights_of_rows(np.sqrt(weight))
    lengths = [len(each) for each in on_lines]
    data = []
    for _ in range(n_replicates):
        if kind == "block":
            drawn = draw_blocks(on_lines, lengths, rng, block_length=block_length)
        else:
            draw = draw_whole if series.trajectories else draw_rows
            drawn = draw(on_lines, lengths, rng)
        values = [each.copy() for each in series.values]
        for (number, rows), noise in zip(lines, drawn, strict=True):
            new = prediction[number][rows] + noise / roots[number][rows]
            values[number][rows] = np.where(np.isnan(values[number][rows]), np.nan, new)
        data.append((series.as_given(values), weight))
    return ResampledData(data, residuals, block_length)


def _require_exchangeable(series: Series, weight: np.ndarray, groups: Any) -> None:
    """Raise a ValueError if residuals cannot change places one by one, or as whole trajectories."""
    if groups is not None:
        raise ValueError(
            "kind='residual' draws residuals as if they were independent, and groups says that "
            "they are not. kind='pairs' draws whole groups, kind='block' neighbours within groups."
        )
    require_units(units_of(series, weight, None), series, None, "residual")
    if series.trajectories and len({len(each) for each in series.values}) > 1:
        raise ValueError(
            "kind='residual' exchanges the residuals of whole trajectories, and these have "
            "different lengths. kind='pairs' draws whole trajectories, kind='block' blocks of "
            "neighbouring residuals."
        )


def _lines_of(
    series: Series, weight: np.ndarray, groups: Any, *, whole: bool
) -> list[tuple[int, np.ndarray]]:
    """Return the lines along which residuals are drawn: the number of a series, and its rows.

    A table is one line, or one for each group; every trajectory is one. Rows without a target are
    left out, but for ``whole`` trajectories, which must keep their length.
    """
    if series.trajectories:
        found = []
        for number in np.flatnonzero((weight > 0) & series.observed):
            values = series.values[number]
            kept = whole | ~np.isnan(values).all(axis=1)
            found.append((int(number), np.flatnonzero(kept)))
        return found
    units = units_of(series, weight, groups)
    if groups is None:
        return [(0, np.flatnonzero(units >= 0))]
    return [(0, np.flatnonzero(units == unit)) for unit in range(units.max() + 1)]


def _find_residuals(
    replicates: Replicates, groups: Any, rng: np.random.Generator, *, in_order: bool
) -> list[np.ndarray]:
    """Return cross-fitted residuals; for a single trajectory its own, inflated."""
    series, weight = replicates.series, replicates.weight
    units = units_of(series, weight, groups)
    by_rows = groups is None or units.max(initial=-1) < 1
    if by_rows:
        units = units_of(series, weight, None)
    if units.max(initial=-1) < 1:
        replicates.fit([])
        return inflated_residuals(replicates.full, replicates.X, series, weight)
    in_order = in_order and by_rows and not series.trajectories
    fold = folds_of(units, in_order=in_order, rng=rng)
    numbers = range(fold.max() + 1)
    refits = [
        Refit(replicates.X, replicates.y, np.where((fold >= 0) & (fold != number), weight, 0.0))
        for number in numbers
    ]
    fitted, _ = replicates.fit(refits)
    for each in fitted:
        if isinstance(each, Exception):
            raise each
    held_out = [fold == number for number in numbers]
    return held_out_residuals(fitted, replicates.X, series, weight, held_out)


def _fitted_values(replicates: Replicates) -> list[np.ndarray]:
    """Return the predictions of the fit to all rows, or raise a ValueError if they diverge."""
    series = replicates.series
    prediction = predicted(replicates.full, replicates.X, series, in_sample=True)
    used = (replicates.weight > 0) & series.observed
    if series.trajectories:
        checked = [each for each, kept in zip(prediction, used, strict=True) if kept]
    else:
        checked = [prediction[0][used]]
    if not all(np.isfinite(each).all() for each in checked):
        raise ValueError(
            "The rollouts of the fit diverge, so residuals cannot be added to them. Train with "
            "longer windows, or use kind='pairs', which needs no rollouts."
        )
    return prediction
