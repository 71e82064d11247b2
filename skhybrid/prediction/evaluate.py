"""Evaluate a fitted model on new rows: a table, or trajectories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skhybrid.prediction.rollouts import predict_trajectories
from skhybrid.prediction.tables import predict_table
from skhybrid.runtime.threads import threads


def evaluate(
    estimator: Any, X: Any, outputs: Callable[..., tuple[Tensor, ...]], **given: Any
) -> tuple[Any, ...]:
    """Return the outputs of a function of (model, rows, coordinates, hold).

    Parameters
    ----------
    estimator : HybridRegressor
    X : array-like
    outputs : callable
    **given
        ``times``, ``initial_states`` and ``first_outputs`` of trajectories.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If the model is no differential equation, and something is given for trajectories.
    """
    check_is_fitted(estimator)
    if estimator._fitted.trajectory_info is not None:
        with threads(estimator.n_threads):
            return predict_trajectories(estimator, X, outputs, **given)
    unused = [name for name, value in given.items() if value is not None]
    if unused:
        raise ValueError(
            f"{unused[0]} is for trajectories, and this model's structure is "
            f"{estimator.structure!r}. Leave it out."
        )
    with threads(estimator.n_threads):
        return predict_table(estimator, X, outputs)
