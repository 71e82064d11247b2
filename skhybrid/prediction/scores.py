"""R² of trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import r2_score

from skhybrid.data.records import read_outputs
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.model.ode import ODE
from skhybrid.prediction.rollouts import predict_trajectories


def score_trajectories(estimator: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """Return the mean over outputs of R², with all times of all trajectories as rows.

    For images, all pixels are one output.
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
    truth, guess, weight = [], [], []
    weights = np.ones(len(outputs)) if sample_weight is None else np.asarray(sample_weight)
    for each, predicted, w in zip(outputs, prediction, weights, strict=True):
        predicted = predicted[: len(each)]
        columns = np.moveaxis(each[n_first:], 1, -1).reshape(-1, each.shape[1])
        truth.append(columns)
        guess.append(np.moveaxis(predicted[n_first:], 1, -1).reshape(-1, each.shape[1]))
        weight.append(np.full(len(columns), w))
    truth, guess, weight = (np.concatenate(each) for each in (truth, guess, weight))
    if ode.reads_images:  # a pixel that never changes has no R² of its own
        weight = np.repeat(weight, truth.shape[1])
        truth, guess = truth.reshape(-1, 1), guess.reshape(-1, 1)
    scores = []
    for column, predicted in zip(truth.T, guess.T, strict=True):
        there = ~np.isnan(column)
        scores.append(r2_score(column[there], predicted[there], sample_weight=weight[there]))
    return float(np.mean(scores))


def _times_of(ode: ODE, info: TrajectoryInfo, n_times: int) -> np.ndarray | None:
    """Return the times of ``n_times`` outputs; None if they are the times of training."""
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
