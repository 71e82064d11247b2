"""Predict new trajectories by whole rollouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skhybrid.data.rows import as_tensors, require_range
from skhybrid.data.times import uniform_step
from skhybrid.exceptions import DivergenceWarning
from skhybrid.fitting.solver_steps import with_enough_steps
from skhybrid.model.batch import Windows, select_rows
from skhybrid.model.out_of_memory import memory_errors_named
from skhybrid.prediction.initial_states import physics_coordinates, with_estimated_states
from skhybrid.prediction.new_trajectories import NewTrajectories, read_new_trajectories
from skhybrid.runtime.user_warnings import warn

# Size of a chunk: numbers that are predicted at once.
PREDICTION_NUMBERS = 2**22


@memory_errors_named("a prediction", "Predict fewer trajectories, or earlier times.")
def predict_trajectories(
    estimator: Any,
    X: Any,
    outputs: Callable[..., tuple[Tensor, ...]],
    *,
    times: Any = None,
    initial_states: Any = None,
    first_outputs: Any = None,
) -> tuple[Any, ...]:
    """Return arrays in the shape of y; lists of arrays if trajectories have different lengths.

    Parameters
    ----------
    estimator : HybridRegressor
        Fitted, with an :class:`~skhybrid.ODE`.
    X : array-like or list of array-like
        Initial states, or inputs over time.
    outputs : callable
        From (model, windows, coordinates, hold) to tensors; the last one is the prediction.
    times : array-like of shape (n_times,), list of array-like or None
        Times to predict at, or those of each trajectory; None is the times of the training
        trajectories.
    initial_states : array-like of shape (n, *state_shape) or None
    first_outputs : array-like of shape (n, k, ...) or None
        Outputs at the first times, from which the initial states are estimated.
    """
    fitted = estimator._fitted
    hold = estimator.nn_extrapolation == "hold"
    if fitted.hybrid.structure.reads_images:
        given = {"initial_states": initial_states, "first_outputs": first_outputs}
        unused = [name for name, value in given.items() if value is not None]
        if unused:
            raise ValueError(
                f"{unused[0]} is not for a LatentODE: its encoder finds the initial states in the "
                "images of X. Leave it out."
            )
    new = read_new_trajectories(estimator, X, times=times, initial_states=initial_states)
    model = fitted.hybrid.at_step(uniform_step(new.times, new.lengths))
    model = model.with_steps(model.solver_steps.at(np.diff(new.times, axis=1)))
    coordinates = physics_coordinates(fitted)
    if fitted.set_params:
        model = with_enough_steps(model, new.x, model.space.values(coordinates))
    if first_outputs is not None:
        new = with_estimated_states(fitted, model, new, first_outputs, hold=hold)
    dtype, device = model.scales.target_scale.dtype, model.scales.target_scale.device
    _require_ranges(new.x, dtype, "X" if initial_states is None else "initial_states")
    size = max(1, PREDICTION_NUMBERS // (new.x.first_state[0].size * new.times.shape[1]))
    chunks = []
    with torch.no_grad():
        for begin in range(0, len(new.times), size):
            part: Windows = select_rows(new.x, slice(begin, begin + size))
            chunks.append(outputs(model, as_tensors(part, dtype, device), coordinates, hold))
    whole = [torch.cat(chunk).cpu().double().numpy() for chunk in zip(*chunks, strict=True)]
    _warn_of_divergence(whole[-1], new)
    drop_first = model.structure.inputs is None and model.layout.with_first
    scalar = fitted.trajectory_info.scalar
    return tuple(_in_shape(each, new, drop_first=drop_first, scalar=scalar) for each in whole)


def _require_ranges(x: Windows, dtype: torch.dtype, states: str) -> None:
    """Raise a ValueError for numbers of new trajectories that are too large for a dtype."""
    for name, array in ((states, x.first_state), ("times", x.first_time), ("X", x.inputs)):
        if array is not None:
            require_range(name, array, dtype)


def _warn_of_divergence(outputs: np.ndarray, new: NewTrajectories) -> None:
    """Warn of trajectories that are not finite."""
    finite = np.isfinite(outputs).reshape(*outputs.shape[:2], -1).all(axis=2)
    diverged = np.flatnonzero(~finite.all(axis=1))
    if len(diverged) == 0:
        return
    first = diverged[0]
    since = np.flatnonzero(~finite[first])[0] + new.times.shape[1] - finite.shape[1]
    warn(
        f"The rollouts of {len(diverged)} of {len(outputs)} trajectories diverge; that of "
        f"trajectory {first} is not finite from t = {new.times[first, since]:g} on. If these "
        "are like the training trajectories, train with longer windows, or use more substeps "
        "or an adaptive method.",
        DivergenceWarning,
    )


def _in_shape(outputs: np.ndarray, new: NewTrajectories, *, drop_first: bool, scalar: bool) -> Any:
    """Return outputs at the wanted times, in the shape of y."""
    if drop_first:
        outputs = outputs[:, 1:]
    if scalar:
        outputs = outputs[..., 0]
    if isinstance(new.wanted, list):
        rows = [each[wanted - 1] for each, wanted in zip(outputs, new.wanted, strict=True)]
        return np.stack(rows) if len({len(row) for row in rows}) == 1 else rows
    if new.wanted is not None:
        outputs = outputs[:, new.wanted - 1]
    if np.ptp(new.lengths) == 0:
        return outputs
    return [each[:length] for each, length in zip(outputs, new.lengths, strict=True)]
