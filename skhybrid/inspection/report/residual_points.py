"""Residuals of a fitted model with the features that they may depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.inspection.residual_checks import ResidualChecks, check_residuals
from skhybrid.inspection.training_rows import TrainingRows
from skhybrid.model.batch import Windows

# Of more outputs, such as the points of a field, so many random ones are tested.
MAX_OUTPUTS = 16


def check_residuals_of(estimator: Any, rows: TrainingRows) -> ResidualChecks:
    """Test the residuals of a fitted model on the rows of its fit.

    For a table, features are its columns. For an ODE, every observed time counts once, with the
    window that begins last before it; features are the state and the inputs at the time before, for
    a field the state at the same point. Noise in observed first states makes neighbours differ, so
    only a positive correlation counts there. Of more than 16 outputs, 16 are tested, drawn at
    random; the one that the features predict best is returned.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
    rows : TrainingRows
    """
    data, x = rows.data, rows.data.x
    with torch.no_grad():
        prediction, _ = rows.hybrid.evaluate(x, rows.coordinates)
    residuals, targets = (_array(each) for each in (data.y - prediction, data.y))
    weight = np.ones(targets.shape) if data.weight is None else _array(data.weight)
    features = series = None
    if isinstance(x, Windows):
        window, step = _observed_once(rows)
        n_times = data.y.shape[1]
        offset = n_times - x.steps.shape[1]  # one if outputs begin with the first state
        residuals, targets, weight = (
            each.reshape(len(each), n_times, -1)[window, step + offset]
            for each in (residuals, targets, weight)
        )
        series = _trajectories(rows)[window]
        before = [each[window, step] for each in _before(rows)]
        is_field = len(before) > 0 and before[0].ndim > 2
    else:
        is_field, features = False, _array(x)
        model = hybrid_of(estimator)
        names = [*getattr(model, "feature_names_in_", (f"column {i}" for i in range(x.shape[1])))]
    used, found = weight.min(axis=1) > 0, []
    for column in _chosen_outputs(residuals.shape[1]):
        if isinstance(x, Windows) and (is_field or features is None):
            features = _at_point(before, column, len(residuals))
            names = [f"component {i}" for i in range(features.shape[1])]
        found.append(
            check_residuals(
                residuals[used, column],
                float(targets[used, column].std()),
                features[used],
                names,
                None if series is None else series[used],
            )
        )
    worst = max(found, key=lambda each: each.predictable)
    return replace(worst, n_outputs=residuals.shape[1], n_tested=len(found))


def _chosen_outputs(n: int) -> np.ndarray:
    """Return the outputs that are tested."""
    if n <= MAX_OUTPUTS:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).choice(n, MAX_OUTPUTS, replace=False))


def _at_point(before: list[np.ndarray], column: int, n: int) -> np.ndarray:
    """Return states and inputs as columns; for a field, the state at the point of an output."""
    parts = []
    for each in before:
        points = each.reshape(*each.shape[:2], -1)
        parts.append(points[:, :, column % points.shape[2]])
    return np.concatenate(parts, axis=1) if parts else np.zeros((n, 0))


def _places(rows: TrainingRows) -> tuple[np.ndarray, np.ndarray]:
    """Return the trajectory of each window, and the index of its first time."""
    window = rows.data.x.steps.shape[1]
    kept = rows.inputs.rows.kept
    kept = np.arange(len(rows.data.y)) if kept is None else kept
    return rows.inputs.trajectories.window_places(window, kept)


def _trajectories(rows: TrainingRows) -> np.ndarray:
    """Return the trajectory of each window."""
    return _places(rows)[0]


def _observed_once(rows: TrainingRows) -> tuple[np.ndarray, np.ndarray]:
    """Return windows, and steps in them, that reach every observed time once, in order of time."""
    trajectory, at = _places(rows)
    length = rows.data.x.steps.shape[1]
    own = np.full(len(at), length)
    follows = trajectory[1:] == trajectory[:-1]
    own[:-1] = np.where(follows, np.minimum(np.diff(at), length), length)
    window = np.repeat(np.arange(len(at)), own)
    return window, np.concatenate([np.arange(each) for each in own])


def _before(rows: TrainingRows) -> list[np.ndarray]:
    """Return states and inputs at the beginning of each step, (n_windows, n_steps, ...).

    The states behind an encoder are left out.
    """
    hybrid, x = rows.hybrid, rows.data.x
    if hybrid.has_hidden_encoder:
        return []
    with torch.no_grad():
        physics = hybrid.bind_physics(hybrid.space.values(rows.coordinates))
        states = hybrid.rollout(x, hybrid.first_states(x, None), physics, hybrid.bind_network())
    parts = [states] if x.inputs is None else [states, x.inputs]
    return [each[:, : x.steps.shape[1]].double().cpu().numpy() for each in parts]


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array of two dimensions, in float64."""
    return tensor.double().cpu().numpy().reshape(len(tensor), -1)
