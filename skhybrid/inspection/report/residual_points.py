"""Residuals of a fitted model with the features that they may depend on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.inspection.residual_checks import ResidualChecks, check_residuals
from skhybrid.inspection.training_rows import TrainingRows
from skhybrid.model.batch import Batch, Windows, select_rows

# Of more outputs, such as the points of a field, so many random ones are tested.
MAX_OUTPUTS = 16
# So many numbers are predicted at most: of larger fields and longer series, random trajectories.
MAX_NUMBERS = 2**21


def check_residuals_of(estimator: Any, rows: TrainingRows) -> ResidualChecks:
    """Test the residuals of a fitted model on the rows of its fit.

    For a table, features are its columns. For an ODE, every observed time counts once, with the
    window that begins last before it; features are the state and the inputs at the time before, for
    a field the state at the same point. Noise in observed first states makes neighbours differ, so
    only a positive correlation counts there. Of more than 16 outputs, 16 are tested, drawn at
    random; the one that the features predict best is returned. Of more than two million numbers,
    trajectories are drawn at random.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
    rows : TrainingRows
    """
    is_table = not isinstance(rows.data.x, Windows)
    points = _of_table(estimator, rows) if is_table else _of_windows(rows)
    found = []
    for column in _chosen_outputs(points.residuals.shape[1]):
        used, features = points.weight[:, column] > 0, points.features(column)
        names = points.names or [f"component {i}" for i in range(features.shape[1])]
        found.append(
            check_residuals(
                points.residuals[used, column],
                float(points.targets[used, column].std()) if used.any() else 0.0,
                features[used],
                names,
                None if points.series is None else points.series[used],
                whole_series=points.whole_series,
            )
        )
    worst = max(found, key=lambda each: each.predictable)
    return replace(worst, n_outputs=points.residuals.shape[1], n_tested=len(found))


@dataclass(frozen=True)
class _Points:
    """Residuals, in order, with what they may depend on.

    Attributes
    ----------
    residuals, targets, weight : array of shape (n, n_outputs)
    before : list of array of shape (n, n_features, ...)
        Features; for a field, at every point.
    names : list of str
        Names of the features; empty if they have none.
    series : array of int, shape (n,), or None
    whole_series : bool
        As for :func:`~skhybrid.inspection.residual_checks.check_residuals`.
    """

    residuals: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    before: list[np.ndarray]
    names: list[str]
    series: np.ndarray | None = None
    whole_series: bool = False

    def features(self, column: int) -> np.ndarray:
        """Return the features of one output; for a field, those at its point."""
        parts = []
        for each in self.before:
            points = each.reshape(*each.shape[:2], -1)
            parts.append(points[:, :, column % points.shape[2]])
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(self.residuals), 0))


def _of_table(estimator: Any, rows: TrainingRows) -> _Points:
    """Return the residuals of the rows of a table, with its columns."""
    prediction, _ = _predicted(rows)
    columns = (f"column {i}" for i in range(rows.data.x.shape[1]))
    names = [*getattr(hybrid_of(estimator), "feature_names_in_", columns)]
    return _Points(*_compared(rows.data, prediction), [_array(rows.data.x)], names)


def _of_windows(rows: TrainingRows) -> _Points:
    """Return the residuals at every observed time, with what the step before began with."""
    trajectory, at = _places(rows)
    chosen = _few_windows(rows.data, trajectory)
    if len(chosen) < len(trajectory):
        trajectory, at, rows = trajectory[chosen], at[chosen], _selected(rows, chosen)
    data, length = rows.data, rows.data.x.steps.shape[1]
    prediction, before = _predicted(rows)
    window, step = _observed_once(trajectory, at, length)
    n_times = data.y.shape[1]
    offset = n_times - length  # one if outputs begin with the first state
    arrays = (
        each.reshape(len(each), n_times, -1)[window, step + offset]
        for each in _compared(data, prediction)
    )
    learned = rows.inputs.trajectories.layout.learned
    return _Points(
        *arrays,
        [each[window, step] for each in before],
        [],
        series=trajectory[window],
        whole_series=not learned and float(np.mean(step > 0)) > 0.5,
    )


def _compared(data: Batch, prediction: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return residuals, targets and weights, with two dimensions."""
    residuals, targets = _array(data.y - prediction), _array(data.y)
    weight = np.ones(targets.shape) if data.weight is None else _array(data.weight)
    return residuals, targets, weight


def _chosen_outputs(n: int) -> np.ndarray:
    """Return the outputs that are tested."""
    if n <= MAX_OUTPUTS:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, MAX_OUTPUTS, replace=False))


def _places(rows: TrainingRows) -> tuple[np.ndarray, np.ndarray]:
    """Return the trajectory of each window, and the index of its first time."""
    window = rows.data.x.steps.shape[1]
    kept = rows.inputs.rows.kept
    kept = np.arange(len(rows.data.y)) if kept is None else kept
    return rows.inputs.trajectories.window_places(window, kept)


def _few_windows(data: Batch, trajectory: np.ndarray) -> np.ndarray:
    """Return the windows of random whole trajectories, or the first ones of a single long one."""
    most = max(1, MAX_NUMBERS // math.prod(data.y.shape[1:]))
    if len(trajectory) <= most:
        return np.arange(len(trajectory))
    numbers, counts = np.unique(trajectory, return_counts=True)
    order = np.random.default_rng(0).permutation(len(numbers))
    n_whole = max(1, int(np.searchsorted(np.cumsum(counts[order]), most, side="right")))
    return np.flatnonzero(np.isin(trajectory, numbers[order[:n_whole]]))[:most]


def _selected(rows: TrainingRows, chosen: np.ndarray) -> TrainingRows:
    """Return some of the windows."""
    at, data = torch.from_numpy(chosen), rows.data
    parts = (None if part is None else select_rows(part, at) for part in data)
    return replace(rows, data=Batch(*parts))


def _observed_once(
    trajectory: np.ndarray, at: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return windows, and steps in them, that reach every observed time once, in order of time."""
    own = np.full(len(at), length)
    follows = trajectory[1:] == trajectory[:-1]
    own[:-1] = np.where(follows, np.minimum(np.diff(at), length), length)
    window = np.repeat(np.arange(len(at)), own)
    return window, np.concatenate([np.arange(each) for each in own])


@torch.no_grad()
def _predicted(rows: TrainingRows) -> tuple[torch.Tensor, list[np.ndarray]]:
    """Return the prediction; of windows also states and inputs at the beginning of each step.

    They have shape (n_windows, n_steps, ...). The states behind an encoder are left out.
    """
    hybrid, x = rows.hybrid, rows.data.x
    if not isinstance(x, Windows) or hybrid.has_hidden_encoder:
        return hybrid.evaluate(x, rows.coordinates)[0], []
    values, network = hybrid.space.values(rows.coordinates), hybrid.bind_network()
    states = hybrid.whole_rollout(x, values, network)
    parts = [states] if x.inputs is None else [states, x.inputs]
    before = [each[:, : x.steps.shape[1]].double().cpu().numpy() for each in parts]
    return hybrid.observed(x, states, values, network), before


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array of two dimensions, in float64."""
    return tensor.double().cpu().numpy().reshape(len(tensor), -1)
