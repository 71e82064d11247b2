"""The prior of the groups' values, its weight beside the data, and values to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import Rows
from skhybrid.exceptions import PhysicsError
from skhybrid.fitting.fitted import Fitted
from skhybrid.fitting.random_effects import estimate_spreads
from skhybrid.fitting.residuals import Residuals
from skhybrid.fitting.settings import FitSettings
from skhybrid.fitting.start import LEAST_SQUARES_ERRORS, PhysicsStart, rows_for_start
from skhybrid.model.batch import Batch, Windows
from skhybrid.model.hybrid import Hybrid
from skhybrid.model.network_parts import build_parts
from skhybrid.model.networks import as_function
from skhybrid.model.parameters import ParameterSpace

# Parts of the step to the values of groups that linearised physics gives.
STEPS = (1.0, 0.5, 0.25)


def with_group_prior(
    settings: FitSettings,
    start: PhysicsStart,
    rows: Rows,
    previous: Fitted | None,
    *,
    moves: bool,
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
    moves : bool
        Whether θ and the values of groups may start where linearised physics fits better.

    Raises
    ------
    PhysicsError
        If the derivatives of the physics are not known.
    """
    parts = start.physical.parts
    if parts is None or not parts.grouped:
        return start
    if previous is not None and previous.hybrid.network is not None:
        variations = previous.hybrid.space.variations
        kept = {n: variations[n].constants["scale"].double().cpu().numpy() for n in parts.grouped}
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
        model, data = rows_for_start(settings, model, start.rows)
        found = _estimate(Residuals(model, data), at_start, given)
        if moves:
            start = _moved(settings, start, model, data, found)
    except LEAST_SQUARES_ERRORS as error:
        raise PhysicsError(
            f"The differences of {', '.join(parts.grouped)} between groups could not be estimated "
            f"from the derivatives of the physics: {error} Start elsewhere, or leave per out."
        ) from error
    n_observed = rows.y.size if rows.weight is None else np.count_nonzero(rows.weight)
    return _with_prior(start, found.spreads, found.noise / max(n_observed, 1))


@dataclass(frozen=True)
class GroupEstimate:
    """What linearised physics says about groups.

    Attributes
    ----------
    spreads : dict of str to array
        Standard deviations between groups, by parameter.
    noise : float
        Variance within groups, in units of the target's variance.
    shift : array of shape (n_values,)
        Change of the common values of all free parameters.
    answers : dict of str to array of shape (n_groups, n_elements)
        Values of groups around the common one, in units of the standard deviations.
    """

    spreads: dict[str, np.ndarray]
    noise: float
    shift: np.ndarray
    answers: dict[str, np.ndarray]


def _with_prior(
    start: PhysicsStart, spreads: Mapping[str, np.ndarray], penalty: float
) -> PhysicsStart:
    """Return the start with standard deviations and the weight of the prior."""
    physical = replace(start.physical, group_penalty=penalty)
    return replace(start, spreads=spreads, physical=physical)


def _estimate(
    residuals: Residuals, at_start: Mapping[str, np.ndarray], given: set[str]
) -> GroupEstimate:
    """Fit linear models with random effects, one for each column of groups.

    The noise and the common values are those of the model that explains most.
    """
    model, data = residuals.hybrid, residuals.data
    if not model.differentiable:
        raise ValueError(f"method={model.structure.method!r} gives none.")
    n, root = data.y.numel(), np.sqrt(data.y.numel())
    left = -root * residuals(residuals.start, note=False)[:n]
    columns = {
        name: root * each.reshape(n, -1)
        for name, each in residuals.sensitivities(residuals.value_columns(residuals.start)).items()
    }
    common = np.concatenate([*columns.values()], axis=1)
    if not (np.all(np.isfinite(left)) and np.all(np.isfinite(common))):
        raise ValueError("they are not finite at the start.")
    spreads, answers, best = {}, {}, None
    for position, codes, names in model.parts.tables:
        sizes = [int(np.prod(at_start[name].shape)) for name in names]
        fitted = estimate_spreads(
            left,
            common,
            np.concatenate([columns[name] for name in names], axis=1),
            _groups(model, data, position, codes),
            np.concatenate([np.ravel(at_start[name]) for name in names]),
            np.repeat([name in given for name in names], sizes),
            len(codes),
        )
        ends = np.cumsum(sizes)[:-1]
        units = np.split(fitted.spreads, ends)
        parts = np.split(fitted.means / fitted.spreads, ends, axis=1)
        for name, unit, part in zip(names, units, parts, strict=True):
            spreads[name], answers[name] = unit.reshape(at_start[name].shape), part
        best = fitted if best is None or fitted.noise < best.noise else best
    return GroupEstimate(spreads, best.noise, best.common, answers)


def _moved(
    settings: FitSettings,
    start: PhysicsStart,
    model: Hybrid,
    data: Batch,
    found: GroupEstimate,
) -> PhysicsStart:
    """Return a start at the values of groups if the physics fits better there."""
    before, best = Residuals(model, data), start
    lowest = before.loss(before(before.start, note=False))
    for part in STEPS:
        vector = before.start.copy()
        vector[: before.n_values] += part * found.shift
        vector = before.inside(vector)
        values = {**start.values, **before.unflatten(vector)}
        answers = {name: part * each for name, each in found.answers.items()}
        space = ParameterSpace(settings.physics, values, spreads=found.spreads)
        moved = model.at(space, model.scales)
        at = space.values(space.initial_coordinates())
        with torch.no_grad():
            prediction = moved.join(data.x, at, _GroupsAlone(moved, answers))
        error = (prediction - data.y) / moved.scales.target_scale
        squares = error.square() if data.weight is None else error.square() * data.weight
        loss = float(squares.mean())
        if np.isfinite(loss) and loss < lowest:
            lowest, best = loss, replace(start, values=values, group_answers=answers)
    return best


class _GroupsAlone:
    """A bound network that answers for parameters with values of groups, and is silent otherwise.

    Parameters
    ----------
    model : Hybrid
        Without a network and without scales of its inputs.
    answers : mapping of str to array of shape (n_groups, n_elements)
    """

    def __init__(self, model: Hybrid, answers: Mapping[str, np.ndarray]) -> None:
        shapes = tuple((n, shape) for n, shape in model.parts.shapes if n in answers)
        parts = replace(model.parts, correction=None, groups=(), shapes=shapes)
        tables = build_parts(parts, None, 0, 0, model.channel_axis, seed=0)
        tables = tables.to(model.scales.target_scale)
        tables.set_groups(answers)
        self._model = model
        self._function = as_function(tables, None)

    def __call__(self, *given: Tensor | None, scale: float | Tensor | None = None) -> Tensor:
        return self._model.silent(*given)

    def answers(self, *given: Tensor | None) -> dict[str, Tensor]:
        return self._function.answers(self._model.network_inputs(*given))


def _groups(model: Hybrid, data: Batch, position: int, codes: Sequence[float]) -> np.ndarray:
    """Return the number of the group of every residual; windows have that of their first time."""
    column = int(model.network_columns[position])
    if isinstance(data.x, Windows):
        values = data.x.inputs[:, 0, column - model.layout.state_shape[0]]
    else:
        values = data.x[:, column]
    values = values.double().cpu().numpy()
    nearest = np.abs(values[:, None] - np.asarray(codes)).argmin(axis=1)
    return nearest.repeat(data.y.numel() // len(data.y))
