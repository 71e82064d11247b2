"""Score trajectories by R²."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import r2_score

from skhybrid.data.records import read_outputs
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.model.ode import ODE
from skhybrid.prediction.rollouts import predict_trajectories


def score_trajectories(estimator: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """Return R² over all times of all trajectories, as the mean over outputs.

    Missing values do not count. With inputs over time, the first ``n_initial`` outputs estimate the
    initial state and do not count. For images, all pixels are one output.

    Parameters
    ----------
    estimator : HybridRegressor
        Fitted, with an :class:`~skhybrid.ODE`.
    X, y
        As given to ``score``.
    sample_weight : array-like of shape (n_trajectories,) or None
    """
    info: TrajectoryInfo = estimator._fitted.trajectory_info
    ode: ODE = estimator._fitted.hybrid.structure
    outputs, scalar = read_outputs(y, masked=True)
    n_first = 0
    given = {}
    if ode.inputs is not None and ode.n_initial > 0:
        n_first = min(ode.n_initial, min(len(each) for each in outputs) - 1)
        first = np.stack([each[:n_first] for each in outputs])
        given["first_outputs"] = first[..., 0] if info.scalar else first
    if ode.inputs is None:
        given["times"] = _times_of(ode, info, max(len(each) for each in outputs))
    (prediction,) = predict_trajectories(
        estimator, X, lambda model, x, z, hold: (model(x, z, hold=hold),), **given
    )
    if scalar:
        prediction = [each[..., None] for each in prediction]
    observed, predicted, weight = [], [], []
    weights = np.ones(len(outputs)) if sample_weight is None else np.asarray(sample_weight)
    for each, rollout, w in zip(outputs, prediction, weights, strict=True):
        observed.append(_as_columns(each[n_first:]))
        predicted.append(_as_columns(rollout[n_first : len(each)]))
        weight.append(np.full(len(observed[-1]), w))
    observed, predicted, weight = (np.concatenate(each) for each in (observed, predicted, weight))
    if ode.reads_images:  # R² of one pixel is undefined if it never changes
        weight = np.repeat(weight, observed.shape[1])
        observed, predicted = observed.reshape(-1, 1), predicted.reshape(-1, 1)
    scores = []
    for true, guess in zip(observed.T, predicted.T, strict=True):
        known = ~np.isnan(true)
        scores.append(r2_score(true[known], guess[known], sample_weight=weight[known]))
    return float(np.mean(scores))


def _as_columns(outputs: np.ndarray) -> np.ndarray:
    """Return outputs of one trajectory with one column per output or channel."""
    return np.moveaxis(outputs, 1, -1).reshape(-1, outputs.shape[1])


def _times_of(ode: ODE, info: TrajectoryInfo, n_times: int) -> np.ndarray | None:
    """Return the times of ``n_times`` outputs; None if they are the training times."""
    known = info.times[1:]
    if n_times == len(known):
        return None
    if n_times > len(known) and ode.dt is not None:
        known = info.times[0] + ode.dt * np.arange(1, n_times + 1)
    elif n_times > len(known) and np.ndim(ode.times[0]) == 0:
        known = np.asarray(ode.times, dtype=np.float64)
        known = known[known > info.times[0]]
    if n_times > len(known):
        raise ValueError(
            f"y has {n_times} times, but only {len(known)} are known from the training "
            "trajectories and ODE."
        )
    return known[:n_times]
