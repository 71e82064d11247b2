"""Trials, each a candidate on a cross-validation fold: prepared one by one, trained in batches."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from skhybrid.batching.batch_training import train_tasks
from skhybrid.batching.deferred_fits import DeferredFits, NotTrainedYet, deferring
from skhybrid.batching.fit_tasks import (
    START_PARAMETERS,
    TRAINING_PARAMETERS,
    FitTask,
    FitTasks,
    TrialKeys,
)
from skhybrid.batching.trial_callbacks import TrialCallbacks
from skhybrid.model.physics import Physics
from skhybrid.runtime.progress import open_display


@dataclass
class Trial:
    """One candidate on one fold, and the preparation of its fit.

    Attributes
    ----------
    number : int
    parameters : mapping of str to object
        The candidate.
    split : tuple of (fold, (train, test))
    estimator : estimator
        A clone of the user's.
    seconds : float
        Time to prepare the fit, and its share of the batch's training time.
    error : BaseException or None
        Error of the fit.
    finished : bool
        Whether the fit is trained or has failed.
    """

    number: int
    parameters: Mapping[str, Any]
    split: tuple[int, tuple[np.ndarray, np.ndarray]]
    estimator: Any
    seconds: float = 0.0
    error: BaseException | None = None
    finished: bool = False
    _n_waiting: int = field(default=0, repr=False)

    def prepare(
        self,
        tasks: FitTasks,
        X: Any,
        y: Any,
        fit_params: Mapping[str, Any],
        callbacks: TrialCallbacks | None = None,
    ) -> None:
        """Prepare the fit for a batch, or fit at once if no batch can train it."""
        began = time.perf_counter()
        with contextlib.nullcontext() if callbacks is None else callbacks.begun(self):
            self._prepare(tasks, X, y, fit_params)
        self._n_waiting = tasks.count(self.number)
        self.finished = self._n_waiting == 0
        self.seconds = time.perf_counter() - began

    def _prepare(self, tasks: FitTasks, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:
        estimator = self.estimator
        estimator.set_params(**clone(self.parameters, safe=False))
        fold, (train, _) = self.split
        fit_params = _check_method_params(X, params=fit_params, indices=train)
        X_train, y_train = _safe_split(estimator, X, y, train)
        targets = () if y_train is None else (y_train,)
        batching_key, preparation_key = _keys(estimator, self.parameters)
        keys = TrialKeys(self.number, batching_key, (fold, preparation_key))
        try:
            if targets and _can_be_prepared(estimator) and _are_known(fit_params):
                tasks.add(estimator, keys, 0, X_train, *targets, **fit_params)
            elif targets and _is_physics_alone(estimator) and _are_known(fit_params):
                tasks.fit_physics_alone(estimator, keys, X_train, *targets, **fit_params)
            elif targets and _is_plain_pipeline(estimator, fit_params):
                X_train, fit_params = _transform(estimator, X_train, targets, fit_params)
                tasks.add(estimator[-1], keys, 0, X_train, *targets, **fit_params)
            else:
                self._defer(tasks, keys, X_train, targets, fit_params)
        except Exception as error:
            self.error = error

    def _defer(
        self, tasks: FitTasks, keys: TrialKeys, X: Any, targets: tuple, fit_params: Mapping
    ) -> None:
        """Fit a meta-estimator, and defer the training of the models in it where possible."""
        try:
            with deferring(DeferredFits(tasks, keys)):
                self.estimator.fit(X, *targets, **fit_params)
        except (NotTrainedYet, Exception) as error:
            # The meta-estimator may have used its model, or the model's attributes, in its fit.
            if not (isinstance(error, NotTrainedYet) or tasks.count(self.number)):
                raise
            tasks.discard(self.number)
            with deferring(None):
                self.estimator.fit(X, *targets, **fit_params)

    def note(self, task: FitTask) -> None:
        """Note that a batch has trained one of the fits that wait."""
        self.seconds += task.seconds
        self.error = self.error or task.error
        self._n_waiting -= 1
        self.finished = self._n_waiting == 0


def make_trials(
    estimator: Any,
    candidates: Sequence[Mapping[str, Any]],
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
) -> list[Trial]:
    """Return trials of clones, for every candidate and fold, candidate by candidate."""
    pairs = itertools.product(candidates, enumerate(splits))
    return [
        Trial(number, candidate, split, clone(estimator))
        for number, (candidate, split) in enumerate(pairs)
    ]


def train_trials(
    trials: Sequence[Trial],
    X: Any,
    y: Any,
    fit_params: Mapping[str, Any],
    *,
    error_score: Any = "raise",
    n_jobs: int | None = None,
    max_members: int | None = None,
    callbacks: TrialCallbacks | None = None,
) -> None:
    """Prepare all trials, and train them in batches.

    Parameters
    ----------
    trials : sequence of Trial
        Each notes when it is finished, so that an interrupt keeps the finished ones.
    X, y : array-like
        All rows.
    fit_params : mapping of str to object
        Parameters of ``fit``, such as sample weights for all rows.
    error_score : "raise" or float, default="raise"
        "raise" raises the error of a fit; otherwise the trial notes it.
    n_jobs, max_members : int, default=None
        See :func:`skhybrid.batching.batch_training.train_tasks`.
    callbacks : TrialCallbacks, default=None
        Told when a trial begins.
    """
    tasks = FitTasks()

    def raise_error(trial: Trial) -> None:
        if error_score == "raise" and trial.error is not None:
            raise trial.error

    def note(finished: Sequence[FitTask]) -> None:
        for task in finished:
            trials[task.owner].note(task)
            raise_error(trials[task.owner])

    with open_display().work("fit", len(trials)) as work:
        for trial in trials:
            trial.prepare(tasks, X, y, fit_params, callbacks)
            work.advance(1, lambda: f"{work.done:.0f} of {len(trials)} fits prepared")
            raise_error(trial)
    train_tasks(tasks.tasks, n_jobs=n_jobs, max_members=max_members, done=note)


def _can_be_prepared(estimator: Any) -> bool:
    """Whether it is a HybridRegressor whose fit a batch can train."""
    is_ours = hasattr(estimator, "_can_be_batched") and not estimator._has_own_fit()
    return is_ours and estimator._can_be_batched()


def _is_physics_alone(estimator: Any) -> bool:
    """Whether it is a HybridRegressor whose fit the parameters of the training do not change."""
    is_ours = hasattr(estimator, "_fits_physics_alone") and not estimator._has_own_fit()
    return is_ours and estimator._fits_physics_alone()


def _are_known(fit_params: Mapping[str, Any]) -> bool:
    """Whether the ``fit`` of HybridRegressor has these parameters; it raises an error if not."""
    return set(fit_params) <= {"sample_weight"}


def _is_plain_pipeline(estimator: Any, fit_params: Mapping[str, Any]) -> bool:
    """Whether it is a pipeline whose last step a batch can train, after the steps before.

    Callbacks, ``transform_input`` and metadata routing need the pipeline's ``fit``.
    """
    last = estimator.steps[-1][1] if type(estimator) is Pipeline else None
    return (
        type(estimator) is Pipeline
        and estimator.transform_input is None
        and not any(getattr(each, "_skl_callbacks", []) for each in (estimator, last))
        and not get_config()["enable_metadata_routing"]
        and all("__" in name for name in fit_params)
        and _can_be_prepared(last)
        and _are_known(_split_params(estimator, fit_params)[1])
    )


def _split_params(
    pipeline: Pipeline, fit_params: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fit parameters of the other steps, and those of the last without its prefix."""
    prefix = f"{pipeline.steps[-1][0]}__"
    others = {name: value for name, value in fit_params.items() if not name.startswith(prefix)}
    last = {
        name.removeprefix(prefix): value
        for name, value in fit_params.items()
        if name.startswith(prefix)
    }
    return others, last


def _transform(
    pipeline: Pipeline, X: Any, targets: tuple, fit_params: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Fit the steps before the last; return transformed X and the last step's parameters."""
    others, last = _split_params(pipeline, fit_params)
    # With the last step skipped, a memory caches all the others, as in the pipeline's ``fit``.
    before = Pipeline(
        [*pipeline.steps[:-1], (pipeline.steps[-1][0], "passthrough")],
        memory=pipeline.memory,
        verbose=pipeline.verbose,
    )
    X = before.fit_transform(X, *targets, **others)
    # With a memory, the fitted steps are clones.
    pipeline.steps = [*before.steps[:-1], pipeline.steps[-1]]
    return X, last


def _keys(estimator: Any, parameters: Mapping[str, Any]) -> tuple[tuple, tuple]:
    """Return the batching key and the preparation cache key of a candidate."""
    known = estimator.get_params(deep=True)
    batching, preparation = [], []
    for name, value in sorted(parameters.items()):
        owner, last = _split_name(name, known)
        is_ours = hasattr(known[owner] if owner else estimator, "_can_be_batched")
        if is_ours and last in TRAINING_PARAMETERS:
            continue
        preparation.append((name, id(value)))
        # What else an unknown of the physics changes is in the key of each fit.
        if not (is_ours and (last in START_PARAMETERS or last.startswith("physics__"))):
            batching.append((name, id(value)))
    return tuple(batching), tuple(preparation)


def _split_name(name: str, known: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of a parameter's owner, and its own; a Physics is one with its unknowns."""
    parts = name.split("__")
    prefixes = ["__".join(parts[:n]) for n in range(len(parts))]
    physics = [n for n, prefix in enumerate(prefixes) if isinstance(known.get(prefix), Physics)]
    n_owner = physics[0] - 1 if physics else len(parts) - 1
    return prefixes[n_owner], "__".join(parts[n_owner:])
