"""Score predictions by R²."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score
from sklearn.utils import check_consistent_length

from skhybrid.data.given_arrays import read_weights
from skhybrid.data.missing_targets import mask_suggested, read_table_targets
from skhybrid.data.records import check_lengths, read_outputs
from skhybrid.data.trajectory_info import TrajectoryInfo
from skhybrid.model.ode import ODE
from skhybrid.prediction.new_trajectories import read_new_trajectories
from skhybrid.prediction.rollouts import predict_trajectories
from skhybrid.runtime.user_warnings import warn

# Sums of squares of larger numbers, and of those below the inverse, may not be representable.
LARGEST = 1e140


def score_table(estimator: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """Return R² of a table, as the mean over targets.

    With ``missing_targets="mask"``, missing targets do not count, target by target.

    Parameters
    ----------
    estimator : HybridRegressor
        Fitted.
    X, y, sample_weight
        As given to ``score``.

    Raises
    ------
    ValueError
        If y contains NaN without ``missing_targets="mask"``.
    """
    prediction = estimator.predict(X)
    observed = read_table_targets(y)
    if not np.isnan(observed).any():
        return r2_score(*_moderate(observed, prediction), sample_weight=sample_weight)
    if estimator.missing_targets != "mask":
        with mask_suggested(observed):
            raise ValueError("Input y contains NaN.")
    check_consistent_length(observed, prediction, sample_weight)
    if sample_weight is not None:
        sample_weight = read_weights(sample_weight, len(prediction))
    observed, prediction = (each.reshape(len(each), -1) for each in (observed, prediction))
    if observed.shape != prediction.shape:
        raise ValueError(
            f"y has {observed.shape[1]} targets, but the model predicts {prediction.shape[1]}."
        )
    return _mean_r2(observed, prediction, sample_weight)


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
    fitted_shape = tuple(info.layout.output_shape)
    if outputs[0].shape[1:] != fitted_shape:
        raise ValueError(
            f"y has outputs of shape {outputs[0].shape[1:]}, but the model was fitted with shape "
            f"{fitted_shape}."
        )
    given, n_first = given_for_rollouts(estimator, X, outputs)
    (prediction,) = predict_trajectories(
        estimator, X, lambda model, x, z, hold: (model(x, z, hold=hold),), **given
    )
    if len(prediction) != len(outputs):
        raise ValueError(f"X has {len(prediction)} trajectories, but y has {len(outputs)}.")
    if ode.inputs is not None:
        check_lengths(prediction, outputs)
    if scalar:
        prediction = [each[..., None] for each in prediction]
    observed, predicted, weight = [], [], []
    weights = read_weights(sample_weight, len(outputs))
    for each, rollout, w in zip(outputs, prediction, weights, strict=True):
        observed.append(_as_columns(each[n_first:]))
        predicted.append(_as_columns(rollout[n_first : len(each)]))
        weight.append(np.full(len(observed[-1]), w))
    observed, predicted, weight = (np.concatenate(each) for each in (observed, predicted, weight))
    if ode.reads_images:  # R² of one pixel is undefined if it never changes
        weight = np.repeat(weight, observed.shape[1])
        observed, predicted = observed.reshape(-1, 1), predicted.reshape(-1, 1)
    return _mean_r2(observed, predicted, weight)


def given_for_rollouts(
    estimator: Any, X: Any, outputs: Sequence[np.ndarray]
) -> tuple[dict[str, Any], int]:
    """Return what a rollout to observed outputs is given beside X, and how many outputs that uses.

    Parameters
    ----------
    estimator : HybridRegressor
        Fitted, with an :class:`~skhybrid.ODE`.
    X : array-like or list of array-like
        If columns of it hold all initial states, nothing else is needed.
    outputs : sequence of arrays of shape (n_times, *output_shape)
        Of every trajectory.

    Returns
    -------
    given : dict
        Times, or the first outputs, from which the initial state is estimated.
    n_first : int
        Number of the first outputs, or 1 if the first outputs are themselves the initial states.
    """
    info: TrajectoryInfo = estimator._fitted.trajectory_info
    ode: ODE = estimator._fitted.hybrid.structure
    if ode.inputs is None:
        return {"times": _times_of(ode, info, [len(each) for each in outputs])}, 0
    if info.state_columns is not None:
        known = read_new_trajectories(estimator, X).known_first
        if known.all():
            return {}, int(info.layout.states_observed)
    if ode.n_initial == 0:
        return {}, 0
    n_first = min(ode.n_initial, min(len(each) for each in outputs) - 1)
    first = np.stack([each[:n_first] for each in outputs])
    return {"first_outputs": first[..., 0] if info.scalar else first}, n_first


def _mean_r2(observed: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the mean of R² over the columns with two known values or more; NaN if there are none.

    ``observed`` and ``predicted`` have one row for every sample, NaN where a value is missing.
    """
    scores, undefined = [], []
    for number, (true, guess) in enumerate(zip(observed.T, predicted.T, strict=True)):
        known = ~np.isnan(true)
        w = None if weight is None else weight[known]
        if np.count_nonzero(known if w is None else w) < 2:
            undefined.append(number)
        else:
            pair = _moderate(true[known], guess[known])
            scores.append(r2_score(*pair, sample_weight=w))
    if undefined:
        _warn_of_undefined(undefined, len(observed), bool(scores))
    return float(np.mean(scores)) if scores else float("nan")


def _moderate(observed: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return columns in units of a power of two if their squares are no floating-point numbers."""
    if observed.shape != predicted.shape:
        return observed, predicted  # the metric says what is wrong
    size = np.maximum(np.abs(observed).max(axis=0), np.abs(predicted).max(axis=0))
    extreme = (size > LARGEST) | ((size > 0.0) & (size < 1.0 / LARGEST))
    exponent = np.where(extreme, -np.frexp(size)[1], 0)
    return np.ldexp(observed, exponent), np.ldexp(predicted, exponent)


def _warn_of_undefined(columns: list[int], n_rows: int, others: bool) -> None:
    """Warn about columns of y with fewer than two known values."""
    result = "The score is the mean over the other columns." if others else "The score is NaN."
    warn(
        f"Column {', '.join(map(str, columns))} of y has fewer than two known values (with a "
        f"weight above zero) in the {n_rows} rows to score, so R² is undefined there. {result} "
        "In cross-validation, choose folds that each hold known values of every column, such as "
        "KFold(5, shuffle=True).",
        UndefinedMetricWarning,
    )


def _as_columns(outputs: np.ndarray) -> np.ndarray:
    """Return outputs of one trajectory with one column per output or channel."""
    return np.moveaxis(outputs, 1, -1).reshape(-1, outputs.shape[1])


def _times_of_each(ode: ODE, info: TrajectoryInfo, lengths: Sequence[int]) -> list[np.ndarray]:
    """Return the times of each trajectory in training, as ``predict`` reads them."""
    first = int(info.has_first_times)
    given = [np.asarray(each, dtype=np.float64) for each in ode.times]
    if len(given) != len(lengths) or any(
        len(times) < n + first for times, n in zip(given, lengths, strict=True)
    ):
        raise ValueError(
            f"ODE has the times of each of {len(given)} training trajectories, but not of the "
            f"{len(lengths)} in y. Predict with times=[...], a list for each trajectory, and "
            "compare with sklearn.metrics.r2_score."
        )
    return [times[: n + first] for times, n in zip(given, lengths, strict=True)]


def _times_of(ode: ODE, info: TrajectoryInfo, lengths: Sequence[int]) -> Any:
    """Return the times of outputs; None if they are the training times."""
    if ode.times is not None and np.ndim(ode.times[0]) > 0 and not ode.reads_images:
        return _times_of_each(ode, info, lengths)
    known, n_times = info.times[1:], max(lengths)
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
