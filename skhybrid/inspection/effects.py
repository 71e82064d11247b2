"""Effects of the physics parameters at a fitted model, beside the network's part and residuals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import evenly_spaced
from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.inspection.training_rows import TrainingRows, training_rows
from skhybrid.model.batch import Windows, select_rows
from skhybrid.model.derivatives import directional
from skhybrid.model.dynamics import Dynamics
from skhybrid.model.hybrid import Hybrid
from skhybrid.runtime.chunks import chunks

# More values say hardly more about effects.
MAX_VALUES = 20_000
# Fewest rows or windows, whose values are thinned if they are more: images have many pixels.
MIN_ROWS = 4
# Rows that are differentiated at once.
ROWS_AT_ONCE = 2_000
# Step of a difference, relative to a parameter's scale, where derivatives do not pass the solver.
RELATIVE_STEP = 1e-2


@dataclass(frozen=True)
class Effects:
    """Effects of the physics parameters, the network's part and the residuals, value by value.

    A value is one number of the prediction: a row of one target, or a point of a window.

    Attributes
    ----------
    names : list of str
        Free elements of the physics parameters, such as "gain[0]".
    values : array of shape (n_elements,)
        Values of these elements: the fitted ones, or those given.
    units : dict of str to (str or None)
        Units of these elements.
    sensitivities : array of shape (n_values, n_elements)
        ∂ŷ/∂θ with the network held, in units of the target per unit of the parameter. Learned
        first states are held, too.
    prediction : array of shape (n_values,)
        In units of the target. Windows of a differential equation start where training starts them.
    network : array of shape (n_values,)
        What the network corrects: the prediction less the physics' part, in which functions of
        features and values of groups are as in the prediction.
    residuals : array of shape (n_values,)
        The target less the prediction; zero where a target is missing.
    weights : array of shape (n_values,)
        ``mean(weights * residuals**2)`` is the loss, in units of the target's variance. So these
        are sample weights over the target's variance; zero where a target is missing.
    rows : array of int, shape (n_values,)
        The row, or the trajectory, that each value belongs to, among those given.
    targets : array of int, shape (n_values,)
        Number of the target, of the output of one state, or of the pixel.
    inputs : array of shape (n_values, n_inputs) or None
        The columns of a table that the network reads; None for differential equations and for
        models without a network.
    """

    names: list[str]
    values: np.ndarray
    units: dict[str, str | None]
    sensitivities: np.ndarray
    prediction: np.ndarray
    network: np.ndarray
    residuals: np.ndarray
    weights: np.ndarray
    rows: np.ndarray
    targets: np.ndarray
    inputs: np.ndarray | None


def effects(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    max_values: int = MAX_VALUES,
    physics_params: Mapping[str, Any] | None = None,
) -> Effects:
    """Return the effects of the physics parameters at a fitted model.

    For a differential equation these are the effects on the outputs of windows as long as those of
    the training, which start at the observed or the learned states. Images count pixel by pixel.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Fitted.
    X, y, sample_weight : array-like
        As for ``fit``: the training rows, or others. With learned first states, the training
        trajectories.
    max_values : int, default=20_000
        Most values; of more, rows or windows are chosen evenly spaced.
    physics_params : dict of str to (float or array), default=None
        Values of the free parameters in place of the fitted ones, beside the same network.

    Returns
    -------
    Effects

    Raises
    ------
    ValueError
        If the columns of X are others than in ``fit``, or the first states are not known.
    """
    model = hybrid_of(estimator)
    read = training_rows(estimator, X, y, sample_weight)
    if physics_params is not None:
        moved = read.hybrid.space.coordinates(physics_params)
        read = replace(read, coordinates={**read.coordinates, **moved})
    read, rows = _chosen(read, max_values)
    hybrid, data = read.hybrid, read.data
    hold = model.nn_extrapolation == "hold"
    columns = [
        _of_chunk(hybrid, select_rows(data.x, torch.from_numpy(chunk)), read.coordinates, hold)
        for chunk in chunks(np.arange(len(data.y)), ROWS_AT_ONCE)
    ]
    prediction, physics, slopes = (np.concatenate(each) for each in zip(*columns, strict=True))
    scale = hybrid.scales.target_scale.double().cpu().numpy()
    weights = np.ones(data.y.shape) if data.weight is None else _array(data.weight)
    residuals = np.where(weights > 0, _array(data.y) - prediction, 0.0)
    n_each, n_targets = math.prod(data.y.shape[1:]), math.prod(hybrid.target_shape)
    fitted = _flat_values(hybrid, read.coordinates)
    inputs = _inputs(hybrid, data.x)
    whole = Effects(
        names=_names(hybrid),
        values=fitted,
        units={each: hybrid.physics.params[each.partition("[")[0]].unit for each in _names(hybrid)},
        sensitivities=slopes.reshape(-1, len(fitted)),
        prediction=prediction.ravel(),
        network=(prediction - physics).ravel(),
        residuals=residuals.ravel(),
        weights=(weights / scale**2).ravel(),
        rows=np.repeat(rows, n_each),
        targets=np.arange(prediction.size) % n_targets,
        inputs=None if inputs is None else np.repeat(inputs, n_each, axis=0),
    )
    return _thinned(whole, max_values)


def _chosen(read: TrainingRows, max_values: int) -> tuple[TrainingRows, np.ndarray]:
    """Return evenly spaced rows or windows, and the row or the trajectory of each."""
    rows, info = read.inputs.rows, read.inputs.trajectory_info
    origin = np.arange(len(rows)) if rows.kept is None else rows.kept
    hybrid = read.hybrid
    if info is not None:
        window = rows.x.steps.shape[1]
        origin = read.inputs.trajectories.trajectory_of_windows(window)[origin]
        hybrid = hybrid.at_step(info.layout.uniform_step)
    most = max(MIN_ROWS, max_values // math.prod(read.data.y.shape[1:]))
    chosen = evenly_spaced(len(rows), most)
    if chosen is None:
        return replace(read, hybrid=hybrid), origin
    at, data = torch.from_numpy(chosen), read.data
    data = type(data)(*(None if part is None else select_rows(part, at) for part in data))
    return replace(read, hybrid=hybrid, data=data), origin[chosen]


def _of_chunk(
    hybrid: Hybrid, x: Tensor | Windows, coordinates: Mapping[str, Tensor], hold: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the prediction, the physics' part and the derivatives, the last axis by element."""
    network = hybrid.bind_network(hold=hold)
    with torch.no_grad():
        fixed = hybrid.space.values(coordinates)
        physics = _without_correction(hybrid, x, coordinates, network)
    names = _free(hybrid)
    shapes = [fixed[name].shape for name in names]
    sizes = [fixed[name].numel() for name in names]

    def predict(flat: Tensor) -> Tensor:
        pieces = flat.split(sizes) if sizes else ()
        moved = {n: p.reshape(s) for n, p, s in zip(names, pieces, shapes, strict=True)}
        return hybrid.join(x, {**fixed, **moved}, network)

    flat = torch.as_tensor(_flat_values(hybrid, coordinates)).to(hybrid.scales.target_scale)
    with torch.no_grad():
        prediction = predict(flat)
    steps = hybrid.solver_steps.most if isinstance(hybrid, Dynamics) else 1
    if not len(flat):
        slopes = []
    elif hybrid.differentiable:
        directions = [*torch.eye(len(flat))]
        slopes = directional(predict, flat, directions, prediction.numel() * steps)
    else:
        slopes = _differences(predict, flat)
    slopes = np.stack(slopes, axis=-1) if slopes else np.zeros((*prediction.shape, 0))
    return _array(prediction), _array(physics), slopes.astype(np.float64)


class _AnswersAlone:
    """A bound network that gives values of parameters, and corrects nothing."""

    def __init__(self, network: Callable, silent: Callable) -> None:
        self._silent = silent
        self.answers = network.answers

    def __call__(self, *given: Tensor | None, **options: object) -> Tensor:
        return self._silent(*given, **options)


def _without_correction(
    hybrid: Hybrid, x: Tensor | Windows, coordinates: Mapping[str, Tensor], network: Callable
) -> Tensor:
    """Return the prediction of the physics, whose parameters vary as in the whole model."""
    if not hybrid.varying:
        return hybrid.physics_part(x, coordinates)
    values = hybrid.space.values(coordinates)
    if isinstance(hybrid, Dynamics):
        return hybrid.join(x, values, _AnswersAlone(network, hybrid.silent))
    return hybrid.bind_physics(values, network)(x)


def _differences(predict: Callable[[Tensor], Tensor], flat: Tensor) -> list[np.ndarray]:
    """Return derivatives as central differences."""
    slopes = []
    for j, value in enumerate(flat.tolist()):
        step = torch.zeros_like(flat)
        step[j] = RELATIVE_STEP * (abs(value) or 1.0)
        with torch.no_grad():
            change = predict(flat + step) - predict(flat - step)
        slopes.append(_array(change) / (2.0 * float(step[j])))
    return slopes


def _free(hybrid: Hybrid) -> list[str]:
    """Return the names of the free parameters, of a fit of the physics alone as well."""
    return list(hybrid.free_names)


def _names(hybrid: Hybrid) -> list[str]:
    """Return the names of the free elements."""
    names = []
    for name in _free(hybrid):
        for index in np.ndindex(hybrid.physics.params[name].shape):
            names.append(name + (f"[{', '.join(map(str, index))}]" if index else ""))
    return names


def _flat_values(hybrid: Hybrid, coordinates: Mapping[str, Tensor]) -> np.ndarray:
    """Return the fitted free elements as one vector."""
    with torch.no_grad():
        values = hybrid.space.values(coordinates)
    return np.concatenate([np.zeros(0), *(_array(values[n]).ravel() for n in _free(hybrid))])


def _inputs(hybrid: Hybrid, x: Tensor | Windows) -> np.ndarray | None:
    """Return the columns of a table that the network reads."""
    if isinstance(x, Windows) or hybrid.network is None:
        return None
    columns = hybrid.network_columns
    return _array(x if columns is None else x[:, columns])


def _thinned(whole: Effects, max_values: int) -> Effects:
    """Return at most so many values, evenly spaced."""
    chosen = evenly_spaced(len(whole.prediction), max_values)
    if chosen is None:
        return whole
    arrays = {
        name: each[chosen]
        for name, each in vars(whole).items()
        if isinstance(each, np.ndarray) and name != "values"
    }
    return replace(whole, **arrays)


def _array(values: Tensor) -> np.ndarray:
    """Return numbers as a float64 array."""
    return values.detach().double().cpu().numpy()
