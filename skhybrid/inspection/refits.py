"""Fit clones of an estimator to other data, or with other parameters, side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples

from skhybrid.batching.batch_training import train_tasks
from skhybrid.batching.fit_tasks import FitTask, FitTasks
from skhybrid.batching.trials import Trial
from skhybrid.inspection.flat_parameters import hybrid_of
from skhybrid.runtime.progress import open_display

# Options of the estimator that must not reach its clones.
QUIET = {"verbose": 0, "warm_start": False, "checkpoint": None}


@dataclass(frozen=True)
class Refit:
    """What to fit a clone to.

    Attributes
    ----------
    X, y : array-like
        As for ``fit``.
    sample_weight : array-like of shape (n_samples,), default=None
        Rows of weight zero are left out.
    params : mapping of str to object
        Parameters of the last step that differ from the estimator's, such as ``rho``.
    """

    X: Any
    y: Any
    sample_weight: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)


def refit(
    estimator: Any,
    refits: Sequence[Refit],
    *,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    max_members: int | None = None,
    what: str = "refits",
    done: Callable[[int], None] | None = None,
) -> list[Any]:
    """Fit clones side by side, and return the fitted clones or their errors.

    Parameters
    ----------
    estimator : HybridRegressor or Pipeline
        Cloned. Its callbacks, checkpoints and warm start do not reach the clones.
    refits : sequence of Refit
    random_state : int or None, default=0
        Seed of all clones, so that networks and minibatches are the same where possible; None
        keeps the estimator's.
    n_jobs, max_members : int, default=None
        As for :class:`~skhybrid.HybridSearchCV`.
    what : str, default="refits"
        What the progress display calls them.
    done : callable, default=None
        Told how many refits are finished, whenever this changes.

    Returns
    -------
    list of estimator or Exception
        In the order of ``refits``. Warnings about single clones are not shown.
    """
    quiet = dict(QUIET) if random_state is None else {**QUIET, "random_state": random_state}
    base = clone(estimator)
    hybrid_of(base).set_params(**quiet)
    vars(hybrid_of(base)).pop("_skl_callbacks", None)
    tasks, trials = FitTasks(), []
    prefix = f"{base.steps[-1][0]}__" if isinstance(base, Pipeline) else ""
    with warnings.catch_warnings(), open_display().work(what, len(refits)) as work:
        warnings.simplefilter("ignore")
        for number, each in enumerate(refits):
            params = {f"{prefix}{name}": value for name, value in each.params.items()}
            rows = np.arange(_num_samples(each.X))
            trial = Trial(number, params, (0, (rows, rows)), clone(base))
            trials.append(trial)
            weights = {} if each.sample_weight is None else {"sample_weight": each.sample_weight}
            fit_params = {f"{prefix}{name}": value for name, value in weights.items()}
            trial.prepare(tasks, each.X, each.y, fit_params)
            work.advance(1)

        def note(finished: Sequence[FitTask]) -> None:
            for task in finished:
                trials[task.owner].note(task)
            if done is not None:
                done(sum(trial.finished for trial in trials))

        train_tasks(tasks.tasks, n_jobs=n_jobs, max_members=max_members, done=note)
    return [trial.estimator if trial.error is None else trial.error for trial in trials]
