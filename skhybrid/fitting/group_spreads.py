"""The prior of the groups' values: its standard deviations, and its weight beside the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from skhybrid.data.rows import Rows
from skhybrid.exceptions import PhysicsError
from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.random_effects import estimate_spreads
from skhybrid.fitting.residuals import Residuals
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.start import LEAST_SQUARES_ERRORS, PhysicsStart, rows_for_start
from skhybrid.model.batch import Batch, Windows
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.parameters import ParameterSpace


def with_group_prior(
    settings: FitSettings, start: PhysicsStart, rows: Rows, previous: Fitted | None
) -> PhysicsStart:
    """Return the start with the prior of the groups' values.

    Where ``per_std`` is not given, the physics at the start, linearised in its parameters, gives
    the standard deviation between groups (the first-order method of Beal and Sheiner, "Estimating
    population kinetics", CRC Critical Reviews in Biomedical Engineering 1982). What the physics
    does not explain counts as noise, so the prior is rather too strong than too weak.

    Parameters
    ----------
    settings : FitSettings
    start : PhysicsStart
    rows : Rows
        All training rows.
    previous : Fitted or None
        A fit to continue from, whose prior is kept.

    Raises
    ------
    PhysicsError
        If the derivatives of the physics are not known, and ``per_std`` is not given.
    """
    parts = start.physical.parts
    if parts is None or not parts.grouped:
        return start
    n_observed = rows.y.size if rows.weight is None else np.count_nonzero(rows.weight)
    if previous is not None and previous.hybrid.network is not None:
        constants = previous.hybrid.space.variations
        kept = {n: constants[n].constants["scale"].double().cpu().numpy() for n in parts.grouped}
        return _with_prior(start, kept, previous.hybrid.group_penalty)
    params = start.physical.physics.params
    given = {name for name in parts.grouped if params[name].per_std is not None}
    space = ParameterSpace(settings.physics, start.values, effects=start.effects)
    at_start = {
        name: params[name].spread() if name in given else space.scales[name]
        for name in parts.grouped
    }
    model = start.physical.at(space, start.physical.scales)
    try:
        spreads, noise = _estimate(*rows_for_start(settings, model, start.rows), at_start, given)
    except LEAST_SQUARES_ERRORS as error:
        raise PhysicsError(
            f"The spread of {', '.join(parts.grouped)} between groups could not be estimated from "
            f"the derivatives of the physics: {error} Give it with per_std, as in "
            "Param(1.0, per='subject', per_std=0.3), or start elsewhere."
        ) from error
    return _with_prior(start, spreads, noise / max(n_observed, 1))


def _with_prior(start: PhysicsStart, spreads: Mapping, penalty: float) -> PhysicsStart:
    """Return the start with standard deviations and the weight of the prior."""
    physical = replace(start.physical, group_penalty=penalty)
    return replace(start, spreads=spreads, physical=physical)


def _estimate(
    model: Hybrid, data: Batch, at_start: Mapping[str, np.ndarray], given: set[str]
) -> tuple[dict[str, np.ndarray], float]:
    """Return standard deviations, and the noise's variance in units of the target's variance.

    Each column of groups has a model of its own; the lowest noise is that of the richest model.
    """
    residuals = Residuals(model, data)
    if not model.differentiable:
        raise ValueError("the solver gives no derivatives.")
    n, root = data.y.numel(), np.sqrt(data.y.numel())
    found = -root * residuals(residuals.start, note=False)[:n]
    columns = {
        name: root * each.reshape(n, -1)
        for name, each in residuals.sensitivities(residuals.value_columns(residuals.start)).items()
    }
    common = np.concatenate([*columns.values()], axis=1)
    if not (np.all(np.isfinite(found)) and np.all(np.isfinite(common))):
        raise ValueError("they are not finite at the start.")
    spreads, noise = {}, np.inf
    for position, codes, names in model.parts.tables:
        sizes = [int(np.prod(at_start[name].shape)) for name in names]
        fitted = estimate_spreads(
            found,
            common,
            np.concatenate([columns[name] for name in names], axis=1),
            _groups(model, data, position, codes),
            np.concatenate([np.ravel(at_start[name]) for name in names]),
            np.repeat([name in given for name in names], sizes),
        )
        pieces = np.split(fitted.spreads, np.cumsum(sizes)[:-1])
        for name, piece in zip(names, pieces, strict=True):
            spreads[name] = piece.reshape(at_start[name].shape)
        noise = min(noise, fitted.noise)
    return spreads, noise


def _groups(model: Hybrid, data: Batch, position: int, codes: tuple[float, ...]) -> np.ndarray:
    """Return the number of the group of every residual; windows have that of their first time."""
    column = int(model.network_columns[position])
    if isinstance(data.x, Windows):
        values = data.x.inputs[:, 0, column - model.layout.state_shape[0]]
    else:
        values = data.x[:, column]
    values = values.double().cpu().numpy()
    nearest = np.abs(values[:, None] - np.asarray(codes)).argmin(axis=1)
    return nearest.repeat(data.y.numel() // len(data.y))
